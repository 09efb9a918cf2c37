"""Assignments are even and stay; adjudication, agreement and dataset work when nobody labelled everything."""

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jinbench.annotation import adjudication, agreement
from jinbench.annotation.annotators import read_annotators
from jinbench.annotation.assignments import (
    assign_articles,
    assigned_passages,
    read_assignments,
    summarize_assignments,
    write_assignments,
)
from jinbench.annotation.workspace import Workspace
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError
from jinbench.core.types import Article, Passage
from jinbench.dataset import build, load
from jinbench.leaderboard import ranking
from jinbench.scoring import gold
from jinbench.seeds.articles import read_seeds


def article(id: str, length: int) -> Article:
    return Article(id, "p", id, "clean", (), (Passage(f"{id}-1", id, "p", "字" * length, ()),))


ARTICLES = st.lists(st.integers(1, 3000), min_size=1, max_size=40).map(
    lambda lengths: [article(f"a{i}", length) for i, length in enumerate(lengths)]
)


@given(ARTICLES, st.integers(1, 6), st.data())
def test_every_article_has_so_many_annotators(articles: list[Article], people: int, data: st.DataObject) -> None:
    names = [f"n{i}" for i in range(people)]
    overlap = data.draw(st.integers(1, people))
    assignments = assign_articles(articles, names, overlap)
    assert list(assignments) == [item.id for item in articles]
    assert all(len(set(assigned)) == len(assigned) == overlap for assigned in assignments.values())
    assert assign_articles(articles, names, overlap) == assignments


@given(ARTICLES, ARTICLES)
def test_existing_assignments_stay(first: list[Article], more: list[Article]) -> None:
    before = assign_articles(first, ["x", "y", "z"], 2)
    longer = [*first, *(article(f"b{item.id}", len(item.passages[0].text)) for item in more)]
    after = assign_articles(longer, ["x", "y", "z", "w"], 2, before)
    assert {id: after[id] for id in before} == before
    thrice = assign_articles(first, ["x", "y", "z"], 3, before)
    assert all(set(assigned) == {"x", "y", "z"} for assigned in thrice.values())


@pytest.mark.parametrize(("people", "overlap"), [(2, 1), (3, 2), (4, 3), (5, 1), (5, 2)])
def test_shares_are_even(real: Benchmark, people: int, overlap: int) -> None:
    seeds, names = read_seeds(real), [f"n{i}" for i in range(people)]
    assignments = assign_articles(seeds.articles, names, overlap)
    rows = summarize_assignments(assignments, seeds, names)
    characters = [int(str(row["characters"])) for row in rows]
    total = sum(len(passage.text) for passage in seeds.passages())
    assert sum(characters) == overlap * total
    assert max(characters) <= 1.08 * min(characters)
    articles = [int(str(row["articles"])) for row in rows]
    assert max(articles) - min(articles) <= 4
    if overlap > 1:  # every two have something in common, so that agreement is measured between all
        together = {
            frozenset(pair) for assigned in assignments.values() for pair in itertools.combinations(assigned, 2)
        }
        assert len(together) == people * (people - 1) / 2


@pytest.mark.parametrize("overlap", [0, 3])
def test_an_overlap_that_cannot_be(overlap: int) -> None:
    with pytest.raises(ValueError, match="1 to 2"):
        assign_articles([article("a", 5)], ["x", "y"], overlap)


def test_it_comes_back_as_it_was_written(mini: Benchmark) -> None:
    seeds = read_seeds(mini)
    assert read_assignments(mini, seeds) == {}
    assert assigned_passages({}, seeds, "annotator-a") is None
    assignments = assign_articles(seeds.articles, ["annotator-a", "annotator-b"], 1)
    write_assignments(mini, assignments)
    assert read_assignments(mini, seeds) == assignments
    parts = [assigned_passages(assignments, seeds, name) or [] for name in ("annotator-a", "annotator-b")]
    assert sorted(parts[0] + parts[1]) == sorted(passage.id for passage in seeds.passages())
    assert Workspace(mini).assigned_passages("annotator-b") == parts[1]
    assert assigned_passages(assignments, seeds, "adjudicator") is None  # whom it does not name labels everything


def test_everything_wrong_with_it_is_said_at_once(mini: Benchmark) -> None:
    text = "article,annotator\nno-such,annotator-a\ntrees,nobody\ntrees\ntrees,annotator-a\ntrees,annotator-a\n"
    mini.assignments.write_text(text)
    with pytest.raises(DataError) as caught:
        read_assignments(mini, read_seeds(mini))
    assert [problem.location.rsplit(":", 1)[1] for problem in caught.value.problems] == ["1", "2", "3", "4", "6"]


def test_a_spreadsheet_may_have_saved_it(mini: Benchmark) -> None:
    mini.assignments.write_text("article_id,annotator\r\ntrees,annotator-a\r\n", encoding="utf-8-sig")
    assert read_assignments(mini, read_seeds(mini)) == {"trees": ("annotator-a",)}


@pytest.fixture
def shared(mini: Benchmark) -> Benchmark:
    """The three-page world as labelled by three, two to an article: b and c have what b labelled, between them."""
    listing = mini.annotators
    entry = 'name = "annotator-c"\nkind = "test data"\ndescription = "A third."\nguidelines = "1.0.0"\n'
    third = f"[[annotator]]\n{entry}date = 2026-11-22\n"
    text = listing.read_text().replace('"annotator-b"]', '"annotator-b", "annotator-c"]')
    listing.write_text(f"{text}\n{third}")
    seeds = read_seeds(mini)
    ids = [item.id for item in seeds.articles]
    assignments = {id: ("annotator-a", "annotator-b" if number % 2 else "annotator-c") for number, id in enumerate(ids)}
    write_assignments(mini, assignments)
    tasks = json.loads((mini.exports / "annotator-b.json").read_text())
    for name in ("annotator-b", "annotator-c"):
        own = [task for task in tasks if name in assignments[task["data"]["article_id"]]]
        text_of_export = json.dumps(own, ensure_ascii=False).replace("annotator-b@", f"{name}@")
        (mini.exports / f"{name}.json").write_text(text_of_export)
    return mini


def test_decisions_name_those_who_labelled(shared: Benchmark) -> None:
    workspace = Workspace(shared)
    decisions = adjudication.check_decisions(workspace, "adjudicator")
    assert [item.subject for item in decisions] == ["3万平方米", "产业", "滦河"]
    assignments = read_assignments(shared, workspace.seeds)
    article_of = {passage.id: passage.article_id for passage in workspace.seeds.passages()}
    assert all({*item.readings} == {*assignments[article_of[item.passage_id]], "adjudicator"} for item in decisions)


def test_a_share_that_is_not_finished_is_named(shared: Benchmark) -> None:
    path = shared.exports / "annotator-c.json"
    tasks = json.loads(path.read_text())
    path.write_text(json.dumps(tasks[1:]))
    with pytest.raises(DataError, match=r"passage-unlabelled(.|\n)*annotator-c") as caught:
        adjudication.check_decisions(Workspace(shared), "adjudicator")
    assert len(caught.value.problems) == 1


def test_exports_that_are_not_there_are_named_all_at_once(shared: Benchmark) -> None:
    for name in ("annotator-a", "annotator-c"):
        (shared.exports / f"{name}.json").unlink()
    with pytest.raises(DataError) as caught:
        adjudication.labels_to_adjudicate(Workspace(shared), "adjudicator")
    assert [(problem.code, Path(problem.location).stem) for problem in caught.value.problems] == [
        ("file-missing", "annotator-a"), ("file-missing", "annotator-c"),
    ]  # fmt: skip
    assert all("annotate pull" in problem.fix for problem in caught.value.problems)


def test_agreement_and_dataset_of_shares(shared: Benchmark) -> None:
    workspace = Workspace(shared)
    measured = agreement.measure_agreement(workspace)
    assert [(pair.first, pair.second) for pair in measured.pairs] == [
        ("annotator-a", "annotator-b"), ("annotator-a", "annotator-c"),
    ]  # fmt: skip
    assert sum(pair.passages for pair in measured.pairs) == 8
    for scores in measured.against_gold.values():  # what somebody was not given is not missing
        assert scores["ner"].missing == 0
    built = build.build_dataset(shared)
    build.write_dataset(built, shared.dataset)
    by = [row["annotator"] for row in load.read_rows(shared, "annotations")]
    assert by.count("annotator-a") == by.count("annotator-b") + by.count("annotator-c") == 8
    board = ranking.build_board(shared, "ner", gold.FOLDS)
    assert [row.system for row in board.rows] == ["annotator-a"]  # the others were not given every passage
    assert read_annotators(shared).kinds == {"test data"}
