"""The multi-label text classifier: n-gram counts, and thresholds chosen on held-out articles."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer

from jinbench.models import text_classifier
from jinbench.models.text_classifier import CharNgrams, MultiLabelTextClassifier
from tests.helpers.paths import ROOT

ODD = ["", " ", "天津", "天津港\n天津", "a1!\uff0c", "𠮷野家😀", "\ud800x", "e\u0301" * 3]


def by_column(matrix: Any) -> list[tuple[int, ...]]:
    """The columns of a matrix without their order."""
    return sorted(map(tuple, matrix.toarray().T.astype(int).tolist()))


@pytest.mark.parametrize("max_n", [1, 2, 3])
@given(
    train=st.lists(st.text("天津港a1😀", max_size=8), min_size=1, max_size=12).filter(any),
    new=st.lists(st.text("天津港b2😀", max_size=8), min_size=1, max_size=12),
)
def test_ngram_counts_equal_those_of_scikit_learn(max_n: int, train: list[str], new: list[str]) -> None:
    """White space aside, of which scikit-learn makes one space before it counts."""
    theirs = CountVectorizer(analyzer="char", ngram_range=(1, max_n), lowercase=False).fit(train)
    mine = CharNgrams(max_n, bits=22).fit(train)
    for texts in (train, new):
        counts = mine.transform(texts)
        assert counts.shape == (len(texts), len(theirs.vocabulary_))
        assert by_column(counts) == by_column(theirs.transform(texts))


def test_counting_in_batches_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ODD * 5
    at_once = CharNgrams().fit(texts).transform(texts)
    monkeypatch.setattr(text_classifier, "_BATCH_SIZE", 3)
    assert (CharNgrams().fit(texts).transform(texts) != at_once).nnz == 0


def test_counts_of_empty_and_unseen_texts() -> None:
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


def model(**options: Any) -> MultiLabelTextClassifier:
    return MultiLabelTextClassifier([texts], **options)


def test_training_rows_get_their_labels() -> None:
    assert model().fit(ROWS, LABELS).predict(ROWS) == LABELS
    several = [[*labels, "new"] if "氢" in row["text"] else labels for row, labels in zip(ROWS, LABELS, strict=True)]
    predictions = model(alone=None).fit(ROWS, several).predict(ROWS)
    assert sum(set(a) == set(b) for a, b in zip(predictions, several, strict=True)) >= 28


def test_every_row_gets_a_label_and_general_stands_alone() -> None:
    noise = np.random.default_rng(0)
    labels = [sorted({*row, *noise.choice(["energy", "water"], 1)} - {"general"}) or ["energy"] for row in LABELS]
    labels = [["general"] if k % 4 == 0 else row for k, row in enumerate(labels)]
    predictions = model().fit(ROWS, labels).predict([*ROWS, *({"text": text, "article_id": "odd"} for text in ODD)])
    assert all(predictions)
    assert all(row == ["general"] for row in predictions if "general" in row)
    assert any("general" in row for row in predictions)


def test_fitting_is_reproducible_and_survives_cloning() -> None:
    first: Any = model(max_n=1, random_state=3)
    second: Any = clone(first)
    assert first.fit(ROWS, LABELS).thresholds_.tolist() == second.fit(ROWS, LABELS).thresholds_.tolist()
    assert first.decision_function(ROWS).tolist() == second.decision_function(ROWS).tolist()


@pytest.mark.parametrize("chosen", [ROWS[:2], ROWS[:1], ROWS[8:12]])
def test_few_rows_can_be_learnt_from(chosen: list[dict[str, str]]) -> None:
    """One article, one row, or labels that a fold has not seen."""
    labels = [[row["article_id"].split("-")[0]] for row in chosen]
    fitted = model().fit(chosen, labels)
    assert all(len(row) >= 1 for row in fitted.predict(ROWS))
    assert fitted.predict([]) == []


def test_without_folds_every_row_gets_one_label() -> None:
    several = [["energy", "water"] if row != ["general"] else row for row in LABELS]
    assert {len(row) for row in model(folds=1).fit(ROWS, several).predict(ROWS)} == {1}


class Spy(MultiLabelTextClassifier):
    """Records the training articles of each model, and the scores of each article it scored."""

    def fit(self, X: Any, y: Any) -> Any:
        self.records: list[tuple[set[str], dict[str, list[list[float]]]]] = []
        return super().fit(X, y)

    def _fit_model(self, X: Any, truth: Any) -> Any:
        return {row["article_id"] for row in X}, super()._fit_model(X, truth)

    def _scores(self, model: Any, X: Any) -> Any:
        train_articles, inner = model
        scores = super()._scores(inner, X)
        scores_by_article: dict[str, list[list[float]]] = {}
        for row, values in zip(X, scores.tolist(), strict=True):
            scores_by_article.setdefault(row["article_id"], []).append(values)
        self.records.append((train_articles, scores_by_article))
        return scores


def test_thresholds_are_chosen_on_scores_of_held_out_articles() -> None:
    spy = Spy([texts]).fit(ROWS, LABELS)
    scored = [article for _, scores in spy.records for article in scores]
    assert sorted(scored) == sorted({row["article_id"] for row in ROWS})  # each once
    assert all(train_articles.isdisjoint(scores) for train_articles, scores in spy.records)


def test_scores_of_an_article_do_not_depend_on_its_labels() -> None:
    """Other labels for one article change the scores of the others, and never its own."""
    article = ROWS[0]["article_id"]
    others = [["water"] if row["article_id"] == article else labels for row, labels in zip(ROWS, LABELS, strict=True)]
    before, after = (Spy([texts]).fit(ROWS, labels).records for labels in (LABELS, others))
    changed = {
        name
        for (_, old), (_, new) in zip(before, after, strict=True)
        for name in old
        if not np.allclose(old[name], new[name])
    }
    assert changed
    assert article not in changed


def test_threshold_is_exceeded_as_often_as_asked() -> None:
    scores = np.random.default_rng(0).normal(size=(50, 3)) * [1, 10, 0.1]
    thresholds = text_classifier._thresholds_at(scores, np.array([5, 20, 0]))
    assert (scores >= thresholds).sum(axis=0).tolist() == [5, 20, 1]


@pytest.mark.slow
def test_benchmark_runs(tmp_path: Path) -> None:
    pytest.importorskip("fasttext")
    lines = [f"{labels[0]}\t{row['text']}" for row, labels in zip(ROWS, LABELS, strict=True)]
    (tmp_path / "data.tsv").write_text("\n".join(lines), encoding="utf-8")
    command = [sys.executable, ROOT / "benchmarks" / "sectors.py", "--data", tmp_path / "data.tsv", "--repeats", "1"]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    medians = json.loads(done.stdout)["medians"]
    assert medians["jinbench"]["accuracy_first"] == 1
    assert medians["fasttext"]["documents_per_second"] > 0
