"""The sector classifier: counts of characters, and thresholds that are chosen on what was held out."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer

from jinbench.models import text_classifier
from jinbench.models.text_classifier import CharNgrams, SectorClassifier
from tests.helpers.paths import ROOT

ODD = ["", " ", "天津", "天津港\n天津", "a1!\uff0c", "𠮷野家😀", "\ud800x", "e\u0301" * 3]


def by_column(matrix: Any) -> list[tuple[int, ...]]:
    """The columns of a matrix without their order."""
    return sorted(map(tuple, matrix.toarray().T.astype(int).tolist()))


@pytest.mark.parametrize("longest", [1, 2, 3])
@settings(deadline=None, max_examples=40)
@given(
    seen=st.lists(st.text("天津港a1😀", max_size=8), min_size=1, max_size=12).filter(any),
    new=st.lists(st.text("天津港b2😀", max_size=8), min_size=1, max_size=12),
)
def test_runs_are_counted_as_scikit_learn_counts_them(longest: int, seen: list[str], new: list[str]) -> None:
    """White space aside, of which scikit-learn makes one space before it counts."""
    theirs = CountVectorizer(analyzer="char", ngram_range=(1, longest), lowercase=False).fit(seen)
    mine = CharNgrams(longest, bits=22).fit(seen)
    for texts in (seen, new):
        counts = mine.transform(texts)
        assert counts.shape == (len(texts), len(theirs.vocabulary_))
        assert by_column(counts) == by_column(theirs.transform(texts))


def test_many_texts_are_counted_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ODD * 5
    at_once = CharNgrams().fit(texts).transform(texts)
    monkeypatch.setattr(text_classifier, "_AT_ONCE", 3)
    assert (CharNgrams().fit(texts).transform(texts) != at_once).nnz == 0


def test_nothing_to_count() -> None:
    counts = CharNgrams().fit(["天津"])
    assert counts.transform([]).shape == (0, 3)
    assert counts.transform(["港", ""]).nnz == 0
    assert CharNgrams().fit(["", ""]).transform(["天"]).shape == (1, 1)


# ---- the classifier ---------------------------------------------------------------------------------------------


def texts(rows: Any) -> list[str]:
    return [row["text"] for row in rows]


TOPICS = {"energy": "氢能电池储能", "water": "河流补水水库", "general": "会议开幕致辞"}
ROWS = [
    {"text": f"{words[k % 3 :]}今年{words[: 2 + k % 4]}", "article_id": f"{topic}-{k // 2}"}
    for topic, words in TOPICS.items()
    for k in range(10)
]
LABELS = [[row["article_id"].split("-")[0]] for row in ROWS]


def model(**options: Any) -> SectorClassifier:
    return SectorClassifier([texts], **options)


def test_it_learns_what_it_is_shown() -> None:
    assert model().fit(ROWS, LABELS).predict(ROWS) == LABELS
    several = [[*labels, "new"] if "氢" in row["text"] else labels for row, labels in zip(ROWS, LABELS, strict=True)]
    found = model(alone=None).fit(ROWS, several).predict(ROWS)
    assert sum(set(a) == set(b) for a, b in zip(found, several, strict=True)) >= 28


def test_every_row_gets_a_label_and_general_stands_alone() -> None:
    noise = np.random.default_rng(0)
    labels = [sorted({*row, *noise.choice(["energy", "water"], 1)} - {"general"}) or ["energy"] for row in LABELS]
    labels = [["general"] if k % 4 == 0 else row for k, row in enumerate(labels)]
    found = model().fit(ROWS, labels).predict([*ROWS, *({"text": text, "article_id": "odd"} for text in ODD)])
    assert all(found)
    assert all(row == ["general"] for row in found if "general" in row)
    assert any("general" in row for row in found)


def test_the_same_twice_and_after_cloning() -> None:
    first: Any = model(longest=1, random_state=3)
    second: Any = clone(first)
    assert first.fit(ROWS, LABELS).thresholds_.tolist() == second.fit(ROWS, LABELS).thresholds_.tolist()
    assert first.decision_function(ROWS).tolist() == second.decision_function(ROWS).tolist()


@pytest.mark.parametrize("chosen", [ROWS[:2], ROWS[:1], ROWS[8:12]])
def test_little_to_learn_from(chosen: list[dict[str, str]]) -> None:
    """One article, one row, or labels that a fold has not seen."""
    labels = [[row["article_id"].split("-")[0]] for row in chosen]
    fitted = model().fit(chosen, labels)
    assert all(len(row) >= 1 for row in fitted.predict(ROWS))
    assert fitted.predict([]) == []


def test_without_folds_every_row_gets_one_label() -> None:
    several = [["energy", "water"] if row != ["general"] else row for row in LABELS]
    assert {len(row) for row in model(folds=1).fit(ROWS, several).predict(ROWS)} == {1}


class Spy(SectorClassifier):
    """Notes of which articles each model knew and which it gave scores for, and these scores."""

    def fit(self, X: Any, y: Any) -> Any:
        self.seen: list[tuple[set[str], dict[str, list[list[float]]]]] = []
        return super().fit(X, y)

    def _fitted(self, X: Any, truth: Any) -> Any:
        return {row["article_id"] for row in X}, super()._fitted(X, truth)

    def _scores(self, model: Any, X: Any) -> Any:
        known, inner = model
        scores = super()._scores(inner, X)
        found: dict[str, list[list[float]]] = {}
        for row, values in zip(X, scores.tolist(), strict=True):
            found.setdefault(row["article_id"], []).append(values)
        self.seen.append((known, found))
        return scores


def test_thresholds_are_chosen_on_articles_that_the_scores_come_without() -> None:
    spy = Spy([texts]).fit(ROWS, LABELS)
    scored = [article for known, found in spy.seen for article in found]
    assert sorted(scored) == sorted({row["article_id"] for row in ROWS})  # each once
    assert all(known.isdisjoint(found) for known, found in spy.seen)


def test_the_scores_of_an_article_do_not_know_its_labels() -> None:
    """Other labels for one article change the scores of the others, and never its own."""
    article = ROWS[0]["article_id"]
    others = [["water"] if row["article_id"] == article else labels for row, labels in zip(ROWS, LABELS, strict=True)]
    before, after = (Spy([texts]).fit(ROWS, labels).seen for labels in (LABELS, others))
    changed = {
        name
        for (_, old), (_, new) in zip(before, after, strict=True)
        for name in old
        if not np.allclose(old[name], new[name])
    }
    assert changed
    assert article not in changed


def test_a_threshold_lets_the_label_pass_as_often_as_asked() -> None:
    scores = np.random.default_rng(0).normal(size=(50, 3)) * [1, 10, 0.1]
    thresholds = text_classifier._passed_as_often(scores, np.array([5, 20, 0]))
    assert (scores >= thresholds).sum(axis=0).tolist() == [5, 20, 1]


def test_the_benchmark_runs(tmp_path: Path) -> None:
    pytest.importorskip("fasttext")
    lines = [f"{labels[0]}\t{row['text']}" for row, labels in zip(ROWS, LABELS, strict=True)]
    (tmp_path / "data.tsv").write_text("\n".join(lines), encoding="utf-8")
    command = [sys.executable, ROOT / "benchmarks" / "sectors.py", "--data", tmp_path / "data.tsv", "--repeats", "1"]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    medians = json.loads(done.stdout)["medians"]
    assert medians["jinbench"]["accuracy_first"] == 1
    assert medians["fasttext"]["documents_per_second"] > 0
