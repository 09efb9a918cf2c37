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
from tests.helpers.scoring import X, Y, gold_of, guesses


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
