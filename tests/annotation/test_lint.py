"""Each check finds its slip and nothing else; every finding in the real gold is mended or accepted with a reason."""

import json
import subprocess
import sys

import pytest

from jinbench.annotation import lint, markup
from jinbench.annotation.gold import read_gold
from jinbench.annotation.labels import read_label_set
from jinbench.annotation.workspace import Workspace
from jinbench.core.benchmark import Benchmark, find_benchmark
from jinbench.core.errors import DataError
from jinbench.core.types import Passage, PassageLabels
from tests.helpers.paths import ROOT

LABELS = read_label_set(find_benchmark(ROOT))


def findings(*marked: str) -> list[tuple[str, str]]:
    passages, labelled = [], []
    for number, text in enumerate(marked):
        plain, spans = markup.from_markup(text)
        passages.append(Passage(f"p{number}", "a", "page", plain, ()))
        labelled.append(PassageLabels(f"p{number}", "x", tuple(spans), ("general",)))
    return [(finding.check, finding.surface) for finding in lint.lint_labels(passages, labelled, LABELS)]


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        (["[天津|PLACE]开会。", "[天津|COMPANY]开会。", "在[天津|PLACE]。"], [("two-types", "天津")]),
        (["[天津|PLACE]与天津。"], [("bare-elsewhere", "天津")]),
        (["[天津|PLACE]与[天津大学|INSTITUTION]。"], []),  # a name inside a name
        (["[津|PLACE]与津津有味。"], []),  # one character says nothing
        (["[天津港|PLACE]、[天津|PLACE]。", "天津港。"], [("bare-elsewhere", "天津港")]),  # the longest alone
        (["“[天津,|PLACE]”"], [("edge", "天津,")]),
        (["[《规划》|DOCUMENT]"], [("edge", "《规划》")]),
        (["[“十五五”规划|DOCUMENT]"], []),
        (["[会展中心(天津)|FACILITY]"], []),
        (["[ 天津|PLACE]"], [("edge", " 天津")]),
        (["[中国(天津|PLACE])"], [("open-bracket", "中国(天津")]),
        (["([天津)学院|PLACE]"], [("open-bracket", "天津)学院")]),
        (["[部长|TITLE][王部长|PERSON]"], [("holds-other", "王部长")]),
        (["[20|QUANTITY]座", "[3万|QUANTITY]平方米"], [("unit-missing", "20"), ("unit-missing", "3万")]),
        (["[部长|TITLE][王部长|PLACE]"], []),  # the rule is of the label set, for one type
        (["[二十|QUANTITY]座"], [("unit-missing", "二十")]),
        (["[2/3|QUANTITY]和[50%|QUANTITY]"], []),
        (["[天津|PLACE]。", "“数字天津”。他回到天津。"], [("bare-elsewhere", "天津")] * 2),  # each by itself
    ],
)
def test_each_check(marked: list[str], expected: list[tuple[str, str]]) -> None:
    assert findings(*marked) == expected


def test_full_width_punctuation_counts_as_well() -> None:
    comma, open, close = "\uff0c", "\uff08", "\uff09"
    assert findings(f"[天津{comma}|PLACE]") == [("edge", f"天津{comma}")]
    assert findings(f"[大学{open}广州{close}|INSTITUTION]") == []
    assert findings(f"[大学{open}广州|INSTITUTION]{close}") == [("open-bracket", f"大学{open}广州")]


def test_the_gold_is_clean_but_for_what_is_accepted(real: Benchmark) -> None:
    workspace = Workspace(real)
    all_findings = lint.lint_labels(workspace.seeds.passages(), read_gold(workspace).values(), workspace.label_set)
    accepted = lint.read_accepted(real)
    assert lint.filter_accepted(all_findings, accepted, "accepted.toml") == []
    # the list is what it is: who adds to it or takes from it changes this number too
    assert sum(len(entry.passages) for entry in accepted) == len(all_findings) == ACCEPTED
    assert {entry.check for entry in accepted} == {"bare-elsewhere"}


ACCEPTED = 15


def test_an_acceptance_covers_as_many_as_it_names() -> None:
    two_findings = [lint.Finding("bare-elsewhere", "p", "天津", "x")] * 2
    once, twice = (lint.AcceptedFinding("bare-elsewhere", "天津", ("p",) * n, "why") for n in (1, 2))
    assert lint.filter_accepted(two_findings, [once], "x") == two_findings[:1]
    assert lint.filter_accepted(two_findings, [twice], "x") == []
    with pytest.raises(DataError, match="accepted-in-vain"):
        lint.filter_accepted(two_findings[:1], [twice], "x")


def run(*arguments: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, "-m", "jinbench", *arguments], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_the_command_ends_with_1_if_something_is_left(mini: Benchmark) -> None:
    assert run("--root", str(mini.root), "annotate", "check")[0] == 0
    path = mini.exports / "adjudicator.json"
    entries = json.loads(path.read_text())
    del entries[6]["annotations"][0]["result"][2]  # 滦河, bare now, and labelled elsewhere
    path.write_text(json.dumps(entries))
    code, output = run("--root", str(mini.root), "annotate", "check")
    assert code == 1
    assert run("--root", str(mini.root), "annotate", "check", "--no-lint")[0] == 0
    assert "c-L3  bare-elsewhere  滦河" in output


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"start": 4, "end": 14, "labels": ["PLACE"], "text": "新码头昨天开工。码头"}, "span-crosses-sentence"),
        ({"choices": ["general", "port"]}, "general-not-alone"),
    ],
)
def test_what_can_never_be_right_is_refused_before_the_linter(
    mini: Benchmark, change: dict[str, object], says: str
) -> None:
    path = mini.exports / "adjudicator.json"
    entries = json.loads(path.read_text())
    result = entries[0]["annotations"][0]["result"]
    if "choices" in change:
        next(region for region in result if region["type"] == "choices")["value"] = change
    else:
        result[:2] = [{**result[0], "value": change}]
    path.write_text(json.dumps(entries))
    code, output = run("--root", str(mini.root), "annotate", "check")
    assert code == 1
    assert says in output
