"""Errata: applied in order, refused when they do not fit, and what they do to version, manifest and ranks."""

from typing import Any

import pytest

from jinbench.annotation import errata, markup
from jinbench.annotation.gold import read_gold
from jinbench.annotation.workspace import Workspace
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError
from jinbench.dataset import build, load
from jinbench.leaderboard import rescore


def write(benchmark: Benchmark, number: int, **table: Any) -> None:
    path = benchmark.annotation / "errata" / f"{number:03}.toml"
    lines = [f"{key} = {value!r}" for key, value in table.items()]
    files.write_text(path, "\n".join(["date = 2026-11-22", 'by = "a test"', 'why = "a test"', *lines, ""]))


def gold(benchmark: Benchmark) -> dict[str, str]:
    """The gold as marked-up text, and the sectors after it."""
    workspace = Workspace(benchmark)
    labels = read_gold(workspace)
    return {
        p.id: f"{markup.to_markup(p.text, labels[p.id].spans)} {labels[p.id].sectors}"
        for p in workspace.seeds.passages()
    }


def test_errata_are_applied_in_order(mini: Benchmark) -> None:
    before = gold(mini)
    write(mini, 1, passage="a-L5", before="[昨天|DATE]开工", after="昨天[开工|DATE]")
    write(mini, 2, passage="a-L5", before="昨天[开工|DATE]", after="昨天开工")
    write(mini, 3, passage="b-L11", before=["water"], after=["port", "water"])
    after = gold(mini)
    assert {id for id in before if before[id] != after[id]} == {"a-L5", "b-L11"}
    assert "昨天开工" in after["a-L5"]
    assert after["b-L11"].endswith("('port', 'water')")


def test_an_erratum_changes_version_and_manifest(mini: Benchmark) -> None:
    old = build.build_dataset(mini).manifest
    write(mini, 1, passage="a-L5", before="[昨天|DATE]开工", after="昨天开工")
    new = build.build_dataset(mini).manifest
    assert (old["version"], new["version"]) == ("1.0.0", "1.0.1")
    assert (old["errata"], new["errata"]) == ([], ["001"])
    assert old["sha256"] != new["sha256"]
    changed = {id for id, sha in new["items"]["ner"]["train"].items() if old["items"]["ner"]["train"][id] != sha}
    assert changed == {"a-L5-S1"}
    assert old["items"]["annotations"] == new["items"]["annotations"]  # what annotators said stays as it was


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"passage": "z", "before": "x", "after": "[x|PLACE]"}, "unknown-id"),
        ({"passage": "a-L5", "before": "昨天开工", "after": "今天开工"}, "the same stretch"),
        ({"passage": "a-L5", "before": "码头", "after": "[码头|PLACE]"}, "2 times"),
        ({"passage": "a-L5", "before": "昨天开工", "after": "[昨天|DATE]开工"}, "erratum-differs"),
        ({"passage": "a-L5", "before": "天开工", "after": "天开[工|DATE]"}, "erratum-differs"),  # cuts a span in two
        ({"passage": "a-L5", "before": "[昨天|DATE]开工。码头", "after": "[昨天|DATE][开工。码头|PLACE]"}, "crosses"),
        ({"passage": "a-L5", "before": "[昨天|DATE]开工", "after": "[昨天|DAY]开工"}, "unknown-label"),
        ({"passage": "b-L11", "before": ["port"], "after": ["water"]}, "erratum-differs"),
        ({"passage": "b-L11", "before": ["water"], "after": ["general", "water"]}, "general-not-alone"),
        ({"passage": "b-L11", "before": ["water"], "after": "x"}, "wrong-shape"),
        ({"passage": "b-L11", "before": ["water"], "after": ["water"]}, "wrong-shape"),
        ({"passage": "b-L11", "before": ["water"], "after": ["port", "port"]}, "wrong-shape"),
        ({"passage": "a-L5", "before": "[昨天|DATE]", "after": "[昨天|DATE]"}, "wrong-shape"),
        ({"passage": "a-L5", "before": "[昨天|DATE]", "after": "昨天", "befor": 3}, "wrong-shape"),
        ({"passage": " ", "before": "[昨天|DATE]", "after": "昨天"}, "wrong-shape"),
        ({"passage": "b-L11", "before": "x"}, "wrong-shape"),
    ],
)
def test_an_erratum_that_does_not_fit_is_refused(mini: Benchmark, change: dict[str, Any], says: str) -> None:
    write(mini, 1, **change)
    with pytest.raises(DataError, match=says):
        gold(mini)


@pytest.mark.parametrize("date", ['"yesterday"', "true", "3", "2026-11-22T10:00:00"])
def test_the_date_of_an_erratum_is_a_date(mini: Benchmark, date: str) -> None:
    write(mini, 1, passage="a-L5", before="[昨天|DATE]开工", after="昨天开工")
    path = mini.annotation / "errata" / "001.toml"
    path.write_text(path.read_text().replace("2026-11-22", date))
    with pytest.raises(DataError, match="a date: 2026-11-22"):
        errata.read_errata(mini)


@pytest.mark.parametrize("name", ["001.TOML", "erratum-one.txt", "001"])
def test_nothing_else_lies_among_the_errata(mini: Benchmark, name: str) -> None:
    files.write_text(mini.annotation / "errata" / name, "x")
    with pytest.raises(DataError, match=r"001\.toml"):
        errata.read_errata(mini)


def test_errata_are_numbered_without_gaps(mini: Benchmark) -> None:
    write(mini, 2, passage="a-L5", before="[昨天|DATE]开工", after="昨天开工")
    with pytest.raises(DataError, match=r"001\.toml"):
        errata.read_errata(mini)


def test_rescoring_says_who_moved(mini: Benchmark) -> None:
    """Two systems that know one word each. An erratum takes away the word of one of them."""
    build.write_dataset(build.build_dataset(mini), mini.dataset)
    for word, name in (("昨天", "yesterday"), ("今年", "this_year")):
        rows = load.read_rows(mini, "ner")
        starts = [(row["id"], row["text"].find(word)) for row in rows]
        lines = [
            {"id": id, "spans": [{"start": at, "end": at + 2, "type": "DATE"}] if at >= 0 else []} for id, at in starts
        ]
        files.write_text(mini.baselines / name / "predictions-ner-folds.jsonl", files.dump_jsonl(lines))
    write(mini, 1, passage="a-L5", before="[昨天|DATE]开工", after="昨天开工")
    moves, versions = rescore.rescore_systems(mini, 0)
    assert versions == ("1.0.0", "1.0.1")
    by_name = {move.system: move for move in moves if (move.task, move.split) == ("ner", "folds")}
    assert by_name["yesterday"].old.micro.correct == 1
    assert by_name["yesterday"].new.micro.correct == 0
    assert by_name["this_year"].old.micro.correct == by_name["this_year"].new.micro.correct == 2
    assert by_name["this_year"].new.micro.gold == by_name["this_year"].old.micro.gold - 1
    same, _ = rescore.rescore_systems(mini, 1)
    assert not any(move.moved or move.old != move.new for move in same)


def test_a_rank_that_moves(mini: Benchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    """One system says what the gold said before five errata, the other what it says after them.

    Three articles tell nothing apart; here any difference counts.
    """
    monkeypatch.setattr("jinbench.leaderboard.ranking.MIN_ARTICLES_TEST", 2)
    monkeypatch.setattr("jinbench.scoring.compare.Difference.significant", property(lambda self: self.value != 0))
    changes = [("a-L5", "[昨天|DATE]开"), ("a-L12", "[今年|DATE]开"), ("b-L3", "[今年|DATE]不")]
    changes += [("b-L11", "[海河|PLACE]两岸"), ("c-L3", "[去年|DATE],")]
    plain = build.build_dataset(mini)
    for number, (passage, before) in enumerate(changes, 1):
        write(mini, number, passage=passage, before=before, after=markup.from_markup(before)[0])
    built = build.build_dataset(mini)
    build.write_dataset(built, mini.dataset)
    for name, table in (("before", plain.rows), ("after", built.rows)):
        rows = [{"id": row["id"], "spans": row["spans"]} for rows in table["ner"].values() for row in rows]
        files.write_text(mini.baselines / name / "predictions-ner-folds.jsonl", files.dump_jsonl(rows))
    moves = {move.system: move for move in rescore.rescore_systems(mini, 0)[0] if move.split == "folds"}
    assert {name: (move.old_rank, move.new_rank) for name, move in moves.items()} == {
        "before": (1, 2),
        "after": (2, 1),
    }
    assert all(move.moved and "MOVED" in str(move) for move in moves.values())


def test_the_committed_erratum(real: Benchmark) -> None:
    committed = errata.read_errata(real)
    assert committed, "there is one real erratum at least"
    assert files.read_json(real.manifest)["errata"] == [erratum.path.stem for erratum in committed]
    head = "\n".join(real.card.read_text().split("---\n", 2)[2].splitlines()[:12])
    if any(erratum.by != "language model" for erratum in committed):  # then the card must not say that nobody did
        assert "No person has checked one" not in head
