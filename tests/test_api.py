"""Public functions: the same numbers as on the command line, for every form of predictions."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import jinbench
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError
from jinbench.core.tags import to_bio
from jinbench.core.types import Span
from jinbench.dataset.gold import read_task_gold
from jinbench.leaderboard.tables import format_markdown
from jinbench.scoring import compare, score
from jinbench.scoring.predictions import read_predictions
from jinbench.scoring.results import Score
from tests.helpers.commands import contents, run
from tests.helpers.paths import ROOT
from tests.helpers.scoring import GOLD, GUESS


def test_all_forms_of_predictions_give_the_same_score(real: Benchmark) -> None:
    path = real.baselines / "tagger" / "predictions-ner-test.jsonl"
    gold = read_task_gold(real, "ner", "test")
    texts = dict(zip(gold.ids, gold.texts, strict=True))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    triples = {row["id"]: [(s["start"], s["end"], s["type"]) for s in row["spans"]] for row in rows}
    spans = {id: [Span(*result, texts[id][result[0] : result[1]]) for result in item] for id, item in triples.items()}
    tags = {id: to_bio(len(texts[id]), item) for id, item in spans.items()}
    expected = score.score_predictions(gold, read_predictions(path, gold))
    forms: list[Any] = [path, str(path), rows, iter(rows), triples, spans, tags,
                        {id: [span._asdict() for span in item] for id, item in spans.items()}]  # fmt: skip
    for form in forms:
        assert jinbench.score(form, root=real.root) == expected
    assert isinstance(expected, Score)
    frame = expected.to_pandas()
    assert len(frame) == sum(map(len, expected.cells.values()))
    assert expected.headline in str(expected)


def test_every_function_takes_the_benchmark_around_the_current_folder(
    world: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without `root` all of them mean the same: that of the current folder, else the packaged one."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (row,) = jinbench.load("sector", "test", root=world.root).select([0])
    predictions = {row["id"]: []}
    for folder, expected in ((world.seeds, world.root), (elsewhere, ROOT)):
        monkeypatch.chdir(folder)
        assert Path(jinbench.info().root) == expected
        assert jinbench.info() == jinbench.info(expected)
        test = jinbench.load("sector", "test")
        assert list(test) == list(jinbench.load("sector", "test", root=expected))
        assert jinbench.verify(test) == len(test)
        labels = predictions if expected == world.root else {test[0]["id"]: []}
        score = jinbench.score(labels, task="sector")
        assert score == jinbench.score(labels, task="sector", root=expected)
        assert jinbench.compare(labels, {}, task="sector").articles == score.articles
        assert jinbench.rank("sector", "test").key == "sector-test"
    with pytest.raises(DataError, match="unknown-id"):
        jinbench.score(predictions, task="sector")


@pytest.mark.parametrize(
    ("options", "location"), [({"task": "x"}, "task"), ({"split": "x"}, "split"), ({"crosswalk": "x"}, "crosswalk")]
)
def test_errors_name_the_parameter(real: Benchmark, options: Any, location: str) -> None:
    for call in (lambda: jinbench.score({}, **options), lambda: jinbench.rank(**options)):
        with pytest.raises(DataError) as caught:
            call()
        assert [problem.location for problem in caught.value.problems] == [location]


def test_results_print_as_tables(real: Benchmark) -> None:
    path = real.baselines / "tagger" / "predictions-ner-test.jsonl"
    results: list[Any] = [
        jinbench.score(path, root=real.root),
        jinbench.compare(path, path, root=real.root),
        jinbench.rank("sector", "test", root=real.root),
        jinbench.score(predictions=GUESS, gold=GOLD),
    ]
    for result in results:
        assert len(repr(result)) < 300
        assert "\n" not in repr(result)
        html = result._repr_html_()
        assert "95 % confidence interval" in html
        assert html.count("<tr>") <= 80
        assert len(html) < 10_000


def test_help_is_a_page_with_examples() -> None:
    import doctest

    assert doctest.testmod(jinbench).attempted >= 8
    assert doctest.testmod(jinbench).failed == 0
    assert re.fullmatch(r"\d+\.\d+\.\d+", jinbench.__version__)


def test_sectors_are_scored_with_their_ranking(real: Benchmark) -> None:
    gold = read_task_gold(real, "sector", "test")
    output = {id: sorted(label[0] for label in labels) for id, labels in zip(gold.ids, gold.labels, strict=True)}
    perfect = jinbench.score(output, task="sector", root=real.root)
    assert isinstance(perfect, Score)
    assert (perfect.micro.f1, perfect.exact.value, perfect.ranking) == (1.0, 1.0, None)
    rows = [{"id": id, "sectors": names, "scores": dict.fromkeys(names, 0.5)} for id, names in output.items()]
    ranked = jinbench.score(rows, task="sector", root=real.root)
    assert isinstance(ranked, Score)
    assert ranked.ranking is not None
    assert ranked.ranking.value == 1.0
    assert "label-ranking average precision 1.000" in str(ranked)


def test_compare_equals_the_command(real: Benchmark, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [real.baselines / name / "predictions-ner-folds.jsonl" for name in ("tagger", "rules")]
    result = jinbench.compare(*paths, split="folds", root=real.root)
    assert run(["--root", str(real.root), "compare", *map(str, paths), "--split", "folds", "--json"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert result.to_dict() == {key: value for key, value in record.items() if key not in ("a", "b", "signature")}
    assert result.folds is not None
    assert result.folds.folds == 5
    assert "from fold to fold" in str(result)
    assert len(result.to_pandas()) == 1


def test_command_compares_all_pairs_of_systems(real: Benchmark, capsys: pytest.CaptureFixture[str]) -> None:
    names = ("tagger", "rules", "lexicon")
    paths = [str(real.baselines / name / "predictions-ner-test.jsonl") for name in names]
    assert run(["--root", str(real.root), "compare", *paths, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [(item["a"], item["b"]) for item in record] == [
        (paths[0], paths[1]),
        (paths[0], paths[2]),
        (paths[1], paths[2]),
    ]
    gold = read_task_gold(real, "ner", "test")
    single = [compare.compare_systems(gold, *(read_predictions(Path(item[key]), gold) for key in "ab")).p
              for item in record]  # fmt: skip
    assert [item["p"] for item in record] == [round(p, 6) for p in single]
    assert max(item["adjusted"] for item in record) >= round(max(single), 6)
    assert run(["--root", str(real.root), "compare", paths[0]]) == 2
    assert run(["--root", str(real.root), "compare", paths[0], paths[1], paths[0]]) == 2
    assert run(["--root", str(real.root), "compare", *paths]) == 0
    output = capsys.readouterr().out
    assert output.startswith("[task:ner|data:")
    assert "after correction for 10 comparisons" in output
    assert output.count("minimum detectable difference (80 % power)") == 3


def test_rank_equals_the_committed_board(real: Benchmark) -> None:
    board = jinbench.rank("sector", "test", root=real.root)
    stored = json.loads((real.leaderboard / "leaderboard.json").read_text())
    assert board.to_dict() in stored
    assert list(board.to_pandas()["system"]) == [row.system for row in board.rows]
    assert str(board) == format_markdown([board])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "predictions: wrong-shape"),
        (3, "predictions: wrong-shape"),
        ({"x": 3}, "predictions['x']: wrong-shape"),
        ({"x": None, "y": "B-DATE"}, "predictions['y']: wrong-shape"),
        ({"b-L3-S1": None}, "predictions['b-L3-S1']: wrong-shape"),
        ({"b-L3-S1": [3]}, "predictions['b-L3-S1']: wrong-shape"),
        ({"b-L3-S1": [()]}, "predictions['b-L3-S1']: wrong-shape"),
        ([{1: 2, "id": "x"}], "predictions[0]: wrong-shape"),
        ([3, None], "predictions[1]: wrong-shape"),
    ],
)
def test_values_that_are_no_predictions_are_refused(world: Benchmark, given: Any, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        jinbench.score(given, root=world.root)
    with pytest.raises(DataError, match=re.escape(message)):
        jinbench.compare({}, given, root=world.root)


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        ({"b-L3-S1": [(0, 999, "DATE")]}, r"predictions\['b-L3-S1'\]: span-outside-text"),
        ({"b-L3-S1": ["B-DATE"]}, "one per character"),
        ({"nobody": []}, "unknown-id"),
        ([["B-DATE"]], r"predictions\[0\]: wrong-shape"),
        ([{"id": "b-L3-S1", "spans": [(0, 1)]}], "wrong-shape"),
        ("no/such/file.jsonl", "file-missing"),
    ],
)
def test_invalid_predictions_are_refused(world: Benchmark, predictions: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        jinbench.score(predictions, root=world.root)


def test_example_of_the_documents_runs() -> None:
    match = re.search(r"## Scoring\n\n```py\n(.*?)```", (ROOT / "docs" / "api.md").read_text(), re.DOTALL)
    assert match
    done = subprocess.run([sys.executable, "-c", match[1]], cwd=ROOT, capture_output=True, text=True, check=True)
    for part in (
        "task:ner|data:",
        "micro-F1, 95 % confidence interval",
        "| rank | system |",
        "1.000   0.500    0.667 [",
        "20 of 40 items are exact matches",
    ):
        assert part in done.stdout


def test_evaluate_loads_the_metric_offline(tmp_path: Path) -> None:
    """In a process of its own, with a cache of its own and no way out."""
    program = """
import json, sys, evaluate
metric = evaluate.load(sys.argv[1])
guess, gold = json.loads(sys.argv[2]), json.loads(sys.argv[3])
apart = metric.compute(predictions=guess * 39, references=gold * 39, articles=[i % 39 for i in range(117)])
named = metric.compute(predictions=[["B-f1", "B-low"]], references=[["B-f1", "O"]])
print(json.dumps([metric.compute(predictions=guess, references=gold), apart, named]))
"""
    folder = ROOT / "jinbench" / "metrics" / "span_f1"
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    out = subprocess.run(
        [sys.executable, "-c", program, str(folder), json.dumps(GUESS), json.dumps(GOLD)],
        env={"HF_HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "PATH": "", **nowhere},
        capture_output=True, text=True, check=True, cwd=tmp_path,
    ).stdout  # fmt: skip
    (result, apart, named), report = json.loads(out), jinbench.score(predictions=GUESS, gold=GOLD)
    ours, theirs = ([row for row in side for _ in range(39)] for side in (GUESS, GOLD))
    grouped = jinbench.score(
        predictions=ours, gold=theirs, articles=[13 * k + i // 3 for k in range(3) for i in range(39)]
    )
    assert grouped.articles == 39
    assert (apart["low"], apart["high"]) == (grouped.micro.low, grouped.micro.high)
    assert apart["low"] != jinbench.score(predictions=ours, gold=theirs).micro.low
    assert (result["precision"], result["recall"], result["f1"]) == (report.micro.precision, 0.5, report.micro.f1)
    assert (named["f1"], named["low"], named["types"]["f1"]["f1"]) == (2 / 3, None, 1.0)
    assert result["types"]["L"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "low": None, "high": None, "number": 1}


def test_score_command_reads_tags(world: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gold = read_task_gold(world, "ner", "test")
    rows = [
        {"id": id, "tags": to_bio(len(text), [Span(*label, "") for label in labels])}
        for id, text, labels in zip(gold.ids, gold.texts, gold.labels, strict=True)
    ]
    files.write_text(tmp_path / "tags.jsonl", files.dump_jsonl(rows))
    assert run(["--root", str(world.root), "score", str(tmp_path / "tags.jsonl"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["micro"]["f1"] == 1.0
    files.write_text(tmp_path / "broken.jsonl", files.dump_jsonl(rows).replace("B-", "I-"))
    assert run(["--root", str(world.root), "score", str(tmp_path / "broken.jsonl")]) == 1
    assert "wrong-tags" in capsys.readouterr().err
    assert run(["--root", str(world.root), "score", str(tmp_path / "broken.jsonl"), "--repair", "begin", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["micro"]["f1"] == 1.0


def test_score_command_prints_errors(real: Benchmark, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(real.baselines / "tagger" / "predictions-ner-test.jsonl")
    assert run(["--root", str(real.root), "score", path, "--errors", "2", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert len(record["mistakes"]["examples"]) == 2
    kinds = record["mistakes"]["kinds"]
    assert kinds["correct"] == record["micro"]["correct"]
    assert sum(kinds.values()) - kinds["spurious"] == record["micro"]["gold"]
    assert sum(kinds.values()) - kinds["missed"] == record["micro"]["predicted"]
    assert run(["--root", str(real.root), "score", path, "--errors", "2"]) == 0
    assert "nothing predicted there" in capsys.readouterr().out


def test_a_stored_system_is_meant_by_its_name(real: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = real.baselines / "tagger" / "predictions-ner-test.jsonl"
    assert jinbench.score("tagger") == jinbench.score(path)
    assert jinbench.compare(path, "rules") == jinbench.compare("tagger", "rules")
    coarse = jinbench.score("tagger", crosswalk="msra")
    assert coarse.micro.f1 == next(cell.f1 for cell in jinbench.score(path).coarse if cell.name == "msra")
    (tmp_path / "tagger").mkdir()  # a folder is no file of predictions
    assert jinbench.score("tagger").micro.f1
    (tmp_path / "rules").write_text("")
    assert jinbench.score("rules").missing == jinbench.score({}).missing
    for name in ("tager", "gpt-4.1", ""):
        with pytest.raises(DataError, match=r"(?s)unknown-id.*gazetteer, lexicon, rules, tagger"):
            jinbench.compare(path, name)


def test_extra_systems_are_ranked_with_the_stored_ones(real: Benchmark) -> None:
    path = real.baselines / "tagger" / "predictions-ner-test.jsonl"
    board = jinbench.rank("ner", "test", extra={"mine": path, "none": {}}, root=real.root)
    rows = {row.system: row for row in board.rows}
    assert list(rows["tagger"].copies) == ["mine"]
    assert rows["none"].score.micro.f1 == 0.0
    assert len([row for row in board.rows if row.rank]) == 5
    for name in ("tagger", "annotator-a"):
        with pytest.raises(DataError, match="duplicate-id"):
            jinbench.rank("ner", "test", extra={name: path}, root=real.root)
    with pytest.raises(DataError, match=r"(?s)a: wrong-shape|predictions: wrong-shape"):
        jinbench.rank("ner", "test", extra={"mine": 3}, root=real.root)  # type: ignore[dict-item]


@pytest.mark.parametrize("name", ["dev", "valid", "val", "validation"])
def test_names_of_the_validation_split(real: Benchmark, name: Any) -> None:
    rows = jinbench.load("ner", name, root=real.root)
    assert list(rows["id"]) == list(jinbench.load("ner", root=real.root)["validation"]["id"])
    assert jinbench.score(rows, split=name, root=real.root).micro.f1 == 1.0


@pytest.mark.parametrize("split", ["x", "folds", "", 3, ["test"], "Test"])
def test_unknown_splits_are_refused_with_the_list(real: Benchmark, split: Any) -> None:
    with pytest.raises(DataError, match=r"(?s)unknown-id.*train, validation, test"):
        jinbench.load("ner", split, root=real.root)
    if split != "folds":
        with pytest.raises(DataError, match=r"(?s)unknown-id.*train, validation, test, folds"):
            jinbench.score({}, split=split, root=real.root)
    with pytest.raises(DataError, match="the config first, then the split"):
        jinbench.load("dev", root=real.root)  # type: ignore[call-overload]


def test_rows_of_another_benchmark_are_not_scored_on_this_one(real: Benchmark) -> None:
    """Ids may be the same; the texts are not."""
    row = jinbench.load("ner", "test", root=real.root)[0]
    assert jinbench.score([row], root=real.root).micro.correct == len(row["spans"])
    with pytest.raises(DataError, match=r"(?s)wrong-version.*name the benchmark that the rows are from"):
        jinbench.score([row | {"text": row["text"][::-1]}], root=real.root)
    with pytest.raises(DataError, match=r"(?s)unknown-id.*name their benchmark: root"):
        jinbench.score([row | {"id": "test-1"}], root=real.root)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"tokens": ["天津港", "今年又添"], "tags": ["B-PLACE", "O"]}, "tokens that make up the text"),
        ({"tokens": "ab", "tags": []}, "tokens that make up the text"),
        ({"tags": ["O", "O"]}, "1 tags, one per word"),
        ({"tokens": [""], "tags": ["O"]}, "tokens that make up the text"),
        ({"tokens": None, "tags": ["B-PLACE", "O"]}, ""),
    ],
)
def test_tags_by_word(world: Benchmark, row: dict[str, Any], message: str) -> None:
    gold = read_task_gold(world, "ner", "test")
    (id, text), *_ = zip(gold.ids, gold.texts, strict=True)
    if message:
        with pytest.raises(DataError, match=message):
            jinbench.score([{"id": id} | row], unit="word", root=world.root)
        return
    row |= {"id": id, "tokens": [text[:3], text[3:]]}
    by_word = jinbench.score([row], unit="word", root=world.root)
    spans = {"id": id, "spans": [{"start": 0, "end": 3, "label": "PLACE"}]}
    assert by_word == jinbench.score([spans], root=world.root)
    assert by_word.micro.predicted == 1
    with pytest.raises(DataError, match=r"(?s)one per character.*--unit word"):
        jinbench.score([row], root=world.root)
    with pytest.raises(DataError, match=r"(?s)unit: wrong-scheme.*character, word"):
        jinbench.score([row], unit="sentence", root=world.root)  # type: ignore[call-overload]


def test_rank_command_with_a_file_writes_the_page_alone(
    real: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = real.baselines / "rules" / "predictions-sector-test.jsonl"
    path = path if path.is_file() else next(real.baselines.glob("*/predictions-sector-test.jsonl"))
    before = contents(real.leaderboard)
    command = ["--root", str(real.root), "rank", "--with", str(path), "--task", "sector"]
    assert run([*command, "--out", str(tmp_path / "page.html")]) == 0
    assert f"same predictions as {path} |" in capsys.readouterr().out.replace("\\", "")
    assert str(path) in (tmp_path / "page.html").read_text()
    assert run(command) == 0
    assert "Nothing was written" in capsys.readouterr().err
    assert contents(real.leaderboard) == before
    for wrong in (["--split", "test", "--task", "sector"], ["--errata-impact", "--out", "x"]):
        assert run(["--root", str(real.root), "rank", *wrong]) == 2
    assert run([*command[:-2], "--split", "folds"]) == 1
