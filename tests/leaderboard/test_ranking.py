"""Ranking: ties where differences are not significant; text of a submitter stays text."""

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from jinbench.baselines.recipe import find_recipes, load_recipe
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError
from jinbench.dataset import load
from jinbench.dataset.gold import read_task_gold
from jinbench.leaderboard import page, ranking
from jinbench.leaderboard.board import Board, SystemInfo
from jinbench.leaderboard.systems import SystemPredictions
from jinbench.leaderboard.tables import format_markdown
from jinbench.scoring import predictions, significance
from jinbench.scoring.gold import LabelKey
from tests.helpers.scoring import X, Y, gold_of, guesses

Z = (1, 3, "X")  # neither of the two


def test_committed_leaderboard_is_up_to_date(real: Benchmark) -> None:
    for name, text in page.build_page(real, ranking.build_boards(real)).items():
        assert (real.leaderboard / name).read_text() == text, f"{name} is stale: jinbench rank"


def test_every_baseline_is_on_its_boards(real: Benchmark) -> None:
    boards = {
        (board["task"], board["split"], board["crosswalk"]): board
        for board in json.loads((real.leaderboard / "leaderboard.json").read_text())
    }
    fine = {(task, split, "") for task in ("ner", "sector") for split in ("test", "folds")}
    coarse = {("ner", split, "msra") for split in ("folds", "test", "noisy")}
    assert set(boards) == fine | {("ner", "noisy", "")} | coarse
    for (task, _, crosswalk), board in boards.items():
        rows = {row["system"]: row for row in board["rows"] if not row["about"]["annotator"]}
        known = [recipe for path in find_recipes(real) if (recipe := load_recipe(path)).task == task]
        assert set(rows) == {recipe.name for recipe in known if recipe.crosswalk in ("", crosswalk)}
        for recipe in known:
            if recipe.oracle_inputs:
                assert (tuple(rows[recipe.name]["about"]["oracle_inputs"]), rows[recipe.name]["rank"]) == (
                    recipe.oracle_inputs,
                    None,
                )


def test_annotators_are_on_every_board_without_a_rank(real: Benchmark) -> None:
    """Scored by the scorer of models, on the same gold as they: the figures of agreement.json."""
    measured = json.loads((real.annotation / "agreement.json").read_text())["against_gold"]
    boards = json.loads((real.leaderboard / "leaderboard.json").read_text())
    for board in boards:
        rows = [row for row in board["rows"] if row["about"]["annotator"]]
        if board["split"] == "noisy":
            assert not rows, "they read the pages, not what noise made of them"
            continue
        assert {row["system"] for row in rows} == {"annotator-a", "annotator-b"}
        assert {row["about"]["kind"] for row in rows} == {"language model"}
        assert {row["rank"] for row in rows} == {None}
        if board["split"] == "folds" and not board["crosswalk"]:
            for row in rows:
                again = measured[row["system"]][board["task"]]
                assert row["score"]["micro"] == again["micro"]
                assert row["score"]["labels"] == again["labels"]


def test_systems_without_significant_difference_are_tied() -> None:
    gold = gold_of([{X}] * 30)
    rng = random.Random(1)
    one, other = (guesses(*({X} if rng.random() < 0.6 else set() for _ in range(30))) for _ in range(2))
    systems = {"one": one, "other": other, "all": guesses(*[{X}] * 30), "none": guesses(*[{Y}] * 30)}
    board = ranking.rank_systems(gold, SystemPredictions(systems))
    assert [(row.rank_range, len(row.ties)) for row in board.rows] == [("1", 0), ("2–3", 1), ("2–3", 1), ("4", 0)]
    (tied,) = (pair for pair in board.pairs if not pair.difference.significant)
    assert {tied.a, tied.b} == {"one", "other"}
    assert board.minimum_detectable is not None
    assert board.minimum_detectable > 0


def test_scores_on_different_gold_are_refused_in_one_board() -> None:
    golds = gold_of([{X}] * 30), replace(gold_of([{X}] * 30), sha256="9" * 64)
    rows = [ranking.rank_systems(gold, SystemPredictions({"same": guesses(*[{X}] * 30)})).rows[0] for gold in golds]
    with pytest.raises(DataError, match="wrong-version"):
        Board("ner", "test", tuple(rows), None)


def test_every_score_names_the_manifest(real: Benchmark) -> None:
    sha = json.loads(real.manifest.read_text())["sha256"]
    for path in real.baselines.glob("*/scores.json"):
        assert {score["manifest"] for score in json.loads(path.read_text())["scores"].values()} == {sha}
    boards = json.loads((real.leaderboard / "leaderboard.json").read_text())
    assert {row["score"]["manifest"] for board in boards for row in board["rows"]} == {sha}


def noisy_systems(articles: int) -> dict[str, dict[str, frozenset[LabelKey]]]:
    """Systems that find each entity with a probability of their own."""
    rng = random.Random(0)
    shares = {"best": 0.95, "good": 0.9, "fair": 0.6, "worst": 0.05}
    return {
        name: guesses(*({X} if rng.random() < share else {Y} for _ in range(articles)))
        for name, share in shares.items()
    }


def near_copy(labels: dict[str, frozenset[LabelKey]], place: int) -> dict[str, frozenset[LabelKey]]:
    return labels | {list(labels)[place]: frozenset({Z})}


@pytest.mark.parametrize(
    "crowd", ["copies of the worst", "near-copies of the worst", "near-copies of the best", "random"]
)
def test_who_enters_changes_nothing_between_others(crowd: str) -> None:
    gold, systems, rng = gold_of([{X}] * 40), noisy_systems(40), random.Random(1)
    entrants = {
        "copies of the worst": lambda i: dict(systems["worst"]),
        "near-copies of the worst": lambda i: near_copy(systems["worst"], i),
        "near-copies of the best": lambda i: near_copy(systems["best"], i),
        "random": lambda i: guesses(*(rng.choice([{X}, {Y}, {Z}, set()]) for _ in range(40))),
    }[crowd]
    more = {f"z{i}": entrants(i) for i in range(20 if crowd == "random" else 6)}
    before = ranking.rank_systems(gold, SystemPredictions(dict(systems)))
    after = ranking.rank_systems(gold, SystemPredictions(systems | more))
    same = {(pair.a, pair.b): pair.difference for pair in after.pairs}
    assert all(same[pair.a, pair.b] == pair.difference for pair in before.pairs)
    places = {row.system: row for row in after.rows}
    for row in before.rows:
        now, others = places[row.system], more.keys() & places.keys()
        better = {
            name for pair in after.pairs if pair.difference.significant and row.system in (pair.a, pair.b)
            for name in others & {pair.a, pair.b} if (pair.difference.value > 0) == (pair.a == name)
        }  # fmt: skip
        assert row.rank is not None
        assert row.worst_rank is not None
        assert (now.rank, now.worst_rank) == (
            row.rank + len(better),
            row.worst_rank + len(better) + len(others & set(now.ties)),
        )
    if crowd != "near-copies of the best":
        assert [places[name].rank_range for name in ("best", "good")] == ["1–2"] * 2, "far better than all of them"


def test_identical_predictions_are_one_line() -> None:
    gold, systems = gold_of([{X}] * 40), noisy_systems(40)
    about = {name: SystemInfo("baseline", name) for name in systems}
    about["a-copy"] = SystemInfo("entry", "A copy", date="2026-01-01")
    about["seen"] = SystemInfo("entry", "Seen", saw_test_articles="yes")
    about["b-copy"] = SystemInfo("entry", "B copy", saw_test_articles="unknown")
    copies = dict.fromkeys(("a-copy", "b-copy", "seen"), systems["worst"])
    board = ranking.rank_systems(gold, SystemPredictions(systems | copies, about))
    assert [row.system for row in board.rows] == ["best", "good", "fair", "seen", "worst"]
    (row,) = (row for row in board.rows if row.copies)
    says = "worst; same predictions as A copy, B copy (may have seen the test articles)"
    assert (row.system, list(row.copies), row.display_name) == ("worst", ["a-copy", "b-copy"], says)
    assert board.describe_place("a-copy").startswith("4th of 4, the same predictions as worst, B copy, significantly")
    assert board.describe_place("seen") == "no rank: saw the test articles"
    assert says in format_markdown([board])
    assert board.to_dict()["rows"][4]["copies"]["a-copy"]["name"] == "A copy"
    text = page.render_page([board], "Title")
    assert "same predictions as" in text
    assert "<bdi>A copy</bdi>, <bdi>B copy (may have seen the test articles)</bdi>" in text


@pytest.mark.parametrize("articles", [1, 2, significance.MIN_ARTICLES_TEST - 1])
def test_few_articles_give_no_ranks(articles: int) -> None:
    gold = gold_of([{X}] * articles)
    board = ranking.rank_systems(gold, SystemPredictions({"all": guesses(*[{X}] * articles), "none": {}}))
    assert [(row.rank, row.rank_range, row.ties) for row in board.rows] == [(None, "–", ())] * 2
    assert board.minimum_detectable is None
    assert "too few" in format_markdown([board])


def enter(benchmark: Benchmark, id: str, text: str = "", **says: str) -> None:
    """An entry for ner/test."""
    values = {"name": id, "who": "Somebody", "link": "", "trained_on": "train", "saw_test_articles": "no"}
    values |= {"data": load.read_manifest(benchmark)["version"], **says}
    folder = benchmark.leaderboard / "entries" / id
    files.write_text(folder / "system.toml", "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()))
    files.write_text(folder / "predictions-ner-test.jsonl", text)


def test_entry_without_predictions_is_on_the_board(world: Benchmark) -> None:
    enter(world, "nothing", name="Nothing at all")
    (row,) = (row for row in ranking.build_board(world, "ner", "test").rows if not row.about.annotator)
    assert (row.system, row.display_name, row.score.micro.f1, row.score.missing) == (
        "nothing",
        "Nothing at all",
        0.0,
        row.score.items,
    )


def test_entry_with_the_name_of_a_baseline_is_refused(world: Benchmark) -> None:
    files.write_text(world.baselines / "same" / "predictions-ner-test.jsonl", "")
    enter(world, "same")
    with pytest.raises(DataError, match="duplicate-id"):
        ranking.build_board(world, "ner", "test")


def test_system_that_saw_the_test_articles_has_no_rank() -> None:
    gold = gold_of([{X}] * 30)
    seen = {"one": "no", "other": "yes", "third": "unknown"}
    about = {name: SystemInfo("entry", name, saw_test_articles=saw) for name, saw in seen.items()}
    labels = {name: guesses(*[{X}] * number) for name, number in (("one", 9), ("other", 30), ("third", 20))}
    board = ranking.rank_systems(gold, SystemPredictions(labels, about))
    assert [(row.system, row.rank_range) for row in board.rows] == [("other", "–"), ("third", "1"), ("one", "2")]
    text = format_markdown([board])
    assert "other (saw the test articles)" in text
    assert "third (may have seen the test articles)" in text
    assert "A system that saw the test articles has no rank." in text


def test_board_without_systems_has_no_rows() -> None:
    board = ranking.rank_systems(gold_of([{X}]), SystemPredictions())
    assert board.rows == ()
    assert "No systems yet." in format_markdown([board])


@pytest.mark.parametrize(
    ("kinds", "who"),
    [
        (("language model",) * 2, "a language model"),
        (("person",), "people"),
        (("person", "x"), "people and language models"),
    ],
)
def test_annotators_have_a_table_below_the_systems(kinds: tuple[str, ...], who: str) -> None:
    right = guesses(*[{X}] * 30)
    annotators = {(f"annotator-{n}", kind): right for n, kind in enumerate(kinds)}
    board = ranking.rank_systems(gold_of([{X}] * 30), SystemPredictions({"poor": {}}), annotators)
    assert [row.system for row in board.rows] == ["poor", *(name for name, _ in annotators)]
    for text in (str(board), board._repr_html_()):
        systems, band = text.split(f"Annotators ({who}): no rank and no ceiling")
        assert "poor" in systems
        assert "annotator-0" not in systems
        assert all(name in band for name, _ in annotators)
        assert "poor" not in band
    assert "missing" in str(board), "thirty items of the system"
    assert "missing" not in str(board).split("Annotators")[1]


def test_names_of_systems_are_escaped_in_markdown() -> None:
    board = ranking.rank_systems(gold_of([{X}, {Y}]), SystemPredictions({"<script>alert(1)</script>|x": {}}))
    text = format_markdown([board])
    assert "<script>" not in text
    assert "\\|x" in text


def test_entry_with_the_gold_scores_one(real: Benchmark, tmp_path: Path) -> None:
    benchmark = Benchmark(tmp_path)
    for room in ("dataset", "annotation"):
        (tmp_path / room).symlink_to(real.root / room)
    gold = read_task_gold(real, "ner", "test")
    rows = predictions.to_rows("ner", zip(gold.ids, gold.labels, strict=True))
    enter(benchmark, "oracle", files.dump_jsonl(rows))
    board = ranking.build_board(benchmark, "ner", "test")
    result = [(row.system, row.score.micro.f1) for row in board.rows if not row.about.annotator]
    assert result == [("oracle", 1.0)]
