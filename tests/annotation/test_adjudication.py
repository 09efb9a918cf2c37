"""Disagreements, decisions, and the reason of each decision."""

import json
from typing import Any

import pytest

from jinbench.annotation import adjudication, exports, markup
from jinbench.annotation.adjudication import Disagreement, check_reasons, find_disagreements
from jinbench.annotation.annotators import read_annotators
from jinbench.annotation.workspace import Workspace
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError
from jinbench.core.types import Passage, PassageLabels
from jinbench.dataset import build, load
from jinbench.leaderboard import ranking
from jinbench.publish import card
from tests.helpers.labelstudio import run_command


def find(*marked: str, reasons: tuple[str, ...] = ()) -> list[Disagreement]:
    """The disagreements of readings of one passage."""
    readings = {}
    for number, text in enumerate(marked):
        plain, spans = markup.from_markup(text)
        readings[str(number)] = {"p": PassageLabels("p", str(number), tuple(spans), ("port",))}
    return find_disagreements([Passage("p", "a", "page", plain, ())], readings, {"p": reasons})


@pytest.mark.parametrize(
    ("a", "b", "subjects"),
    [
        ("[天津|L]港", "[天津|L]港", []),
        ("[天津|L]港", "天津港", ["天津"]),
        ("[天津|L]港", "[天津港|F]", ["天津港"]),
        ("[天津|L]港", "[天津|F]港", ["天津"]),
        ("[天津|L][港口|F]", "[天津港口|F]", ["天津港口"]),  # one question, not two
        ("[天津|L]和[港|F]", "天津和港", ["天津", "港"]),
        ("[天津|L][港|F]", "天津港", ["天津", "港"]),  # they touch and do not overlap
    ],
)
def test_what_is_in_dispute(a: str, b: str, subjects: list[str]) -> None:
    assert [item.subject for item in find(a, b)] == subjects


def test_an_overruled_agreement_is_a_decision_too() -> None:
    (item,) = find("[天津|L]港", "[天津|L]港", "天津港", reasons=("天津: 不是地名",))
    assert item.readings == {"0": "[天津|L]", "1": "[天津|L]", "2": "天津"}
    assert item.reason == "不是地名"


def test_one_reason_does_not_cover_opposite_decisions() -> None:
    disagreements = find("[港|F]与[港|F]", "港与港", "[港|F]与港", reasons=("港: 第一处是名称",))
    assert [item.reason for item in disagreements] == ["第一处是名称", None]
    reasons = ("港: 第一处是名称", "港\uff1a 第二处不是")
    assert [item.reason for item in find("[港|F]与[港|F]", "港与港", "[港|F]与港", reasons=reasons)] == [
        "第一处是名称", "第二处不是",
    ]  # fmt: skip
    same = find("[港|F]与[港|F]", "港与港", "[港|F]与[港|F]", reasons=("港: 都是名称",))
    assert [item.reason for item in same] == ["都是名称"] * 2  # the same question with the same answer


def test_a_reason_of_nothing_is_a_problem() -> None:
    disagreements = find("[天津|L]", "天津", "天津", reasons=("天津: 是", "北京: 胡写"))
    codes = [p.code for p in check_reasons(disagreements, {"p": ("天津: 是", "北京: 胡写")}, "x")]
    assert codes == ["reason-unused"]
    assert check_reasons(disagreements, {"p": ("天津: 是",)}, "x") == []


def test_every_decision_in_the_gold_has_its_reason(real: Benchmark) -> None:
    annotators = read_annotators(real)
    decisions = adjudication.check_decisions(Workspace(real), annotators.gold)
    assert len(decisions) == 20
    overruled = [item for item in decisions if len({item.readings[name] for name in annotators.adjudicated}) == 1]
    assert len(overruled) == 6


def test_what_is_still_open_is_not_in_order(mini: Benchmark) -> None:
    path = mini.exports / "adjudicator.json"
    tasks = [task for task in json.loads(path.read_text()) if task["data"]["passage_id"] != "c-L3"]
    path.write_text(json.dumps(tasks))
    with pytest.raises(DataError, match="passage-unlabelled") as caught:
        adjudication.check_decisions(Workspace(mini), "adjudicator")
    assert "c-L3" in str(caught.value)


def test_what_is_open_is_listed(mini: Benchmark) -> None:
    """Before the adjudicator's first pull, and after one of a part."""
    path = mini.exports / "adjudicator.json"
    tasks = json.loads(path.read_text())

    def listed(*more: str) -> list[tuple[str, bool, bool]]:
        rows = run_command(mini.root, "annotate", "adjudicate", *more, "--json")
        return [(row["passage_id"], "adjudicator" in row["readings"], bool(row["reason"])) for row in rows]

    a, b, c = (("a-L5", False, False), ("b-L11", False, False), ("c-L3", False, False))
    path.unlink()
    assert listed("--list") == listed("--dry-run") == [a, b, c]
    path.write_text(json.dumps([task for task in tasks if task["data"]["passage_id"] != "b-L11"]))
    assert listed("--list") == [("a-L5", True, True), ("c-L3", True, True), b]
    assert listed("--dry-run") == [b]
    assert "3 of 3 disagreements and decisions; 1 open." in run_command(mini.root, "annotate", "adjudicate", "--list")


def test_a_reason_that_was_only_begun_is_none(mini: Benchmark) -> None:
    workspace = Workspace(mini)
    labels = adjudication.labels_to_adjudicate(workspace, "adjudicator")
    begun = adjudication.begin_decisions(labels, adjudication.find_open_disagreements(workspace, labels), "adjudicator")
    assert {id: entry.reasons for id, entry in begun.items() if entry.reasons} == {
        "a-L5": ("3万平方米: ",), "b-L11": ("产业: ",), "c-L3": ("滦河: ",),
    }  # fmt: skip
    titles = {article.id: article.title for article in workspace.seeds.articles}
    tasks = exports.to_export(begun.values(), workspace.passages.values(), titles)
    (mini.exports / "adjudicator.json").write_text(files.dump_json(tasks))
    with pytest.raises(DataError) as caught:
        adjudication.check_decisions(workspace, "adjudicator", allow_open=True)
    assert [problem.code for problem in caught.value.problems] == ["reason-missing"] * 3


def test_a_sample_of_the_decisions(mini: Benchmark) -> None:
    def sample(*more: str) -> Any:
        return run_command(mini.root, "annotate", "adjudicate", "--list", "--json", *more)

    everything = sample()
    assert len(everything) == 3
    assert sample("--sample", "99") == everything
    two = sample("--sample", "2", "--seed", "4")
    assert len(two) == 2
    assert all(row in everything for row in two)
    assert two == sample("--sample", "2", "--seed", "4")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('name = "annotator-b"', 'name = "annotator-a"', "each name once"),
        ("adjudicates =", "adjudicate =", "adjudicate"),
        ("date = 2026-11-22", "date = 3", "a date"),
        ('["annotator-a", "annotator-b"]', '["annotator-a", "adjudicator"]', "who label by themselves"),
        ('["annotator-a", "annotator-b"]', '["annotator-a", "somebody"]', "who label by themselves"),
        ('gold = "adjudicator"', 'gold = "somebody"', "one of annotator-a"),
    ],
)
def test_who_labelled_is_checked(mini: Benchmark, old: str, new: str, says: str) -> None:
    path = mini.annotation / "annotators.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(DataError, match=says):
        read_annotators(mini)


def test_an_annotator_who_is_the_gold_is_not_scored_against_it(mini: Benchmark) -> None:
    path = mini.annotation / "annotators.toml"
    head, first, *_ = path.read_text().split("[[annotator]]")
    path.write_text(f"{head}[[annotator]]{first}".replace('gold = "adjudicator"', 'gold = "annotator-a"'))
    build.write_dataset(build.build_dataset(mini), mini.dataset)
    assert len(load.read_rows(mini, "annotations")) == 8
    assert ranking.build_board(mini, "ner", "folds").rows == ()


def test_text_of_a_data_file_stays_in_its_cell(mini: Benchmark) -> None:
    files.write_text(
        mini.annotation / "errata" / "001.toml",
        """
passage = "a-L5"
date = 2026-11-22
by = "a | b"
why = "x | y\\n\\n<!-- end:errata --> z"
before = "[昨天|DATE]开工"
after = "昨天开工"
""",
    )
    files.write_text(mini.root / "README.md", "<!-- generated:errata -->\n<!-- end:errata -->\n")
    for document in ("DATASET_CARD.md", "docs/dataset.md"):
        (mini.root / document).unlink()
    assert card.write_card(mini) == ["README.md"]
    assert card.write_card(mini) == []
    text = (mini.root / "README.md").read_text()
    assert len(text.splitlines()) == 5
    assert "x \\| y &lt;!-- end:errata --> z" in text
