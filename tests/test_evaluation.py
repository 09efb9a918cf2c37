"""What scripts call: the same numbers as on the command line, in every form that predictions come in."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import jinbench
from jinbench import comparing, files, golds, ranking, scoring, submissions, tagging
from jinbench.problems import DataError
from jinbench.records import Span
from jinbench.rooms import Rooms
from jinbench.scores import Score
from jinbench.tallying import Report
from tests.conftest import ROOT
from tests.test_problems import run


def test_every_form_of_predictions_gives_the_same_score(real: Rooms) -> None:
    path = real.baselines / "tagger" / "predictions-ner-test.jsonl"
    gold = golds.read(real, "ner", "test")
    texts = dict(zip(gold.ids, gold.texts, strict=True))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    triples = {row["id"]: [(s["start"], s["end"], s["type"]) for s in row["spans"]] for row in rows}
    spans = {id: [Span(*found, texts[id][found[0] : found[1]]) for found in each] for id, each in triples.items()}
    tags = {id: tagging.to_bio(len(texts[id]), each) for id, each in spans.items()}
    expected = scoring.score(gold, submissions.read_predictions(path, gold))
    forms: list[Any] = [path, str(path), rows, iter(rows), triples, spans, tags,
                        {id: [span._asdict() for span in each] for id, each in spans.items()}]  # fmt: skip
    for form in forms:
        assert jinbench.score(form, root=real.root) == expected
    assert isinstance(expected, Score)
    frame = expected.to_pandas()
    assert len(frame) == sum(map(len, expected.cells.values()))
    assert expected.headline in str(expected)


def test_sectors_and_their_scores(real: Rooms) -> None:
    gold = golds.read(real, "sector", "test")
    said = {id: sorted(label[0] for label in labels) for id, labels in zip(gold.ids, gold.labels, strict=True)}
    perfect = jinbench.score(said, task="sector", root=real.root)
    assert isinstance(perfect, Score)
    assert (perfect.micro.f1, perfect.exact.value, perfect.ranking) == (1.0, 1.0, None)
    rows = [{"id": id, "sectors": names, "scores": dict.fromkeys(names, 0.5)} for id, names in said.items()]
    ranked = jinbench.score(rows, task="sector", root=real.root)
    assert isinstance(ranked, Score)
    assert ranked.ranking is not None
    assert ranked.ranking.value == 1.0
    assert "label-ranking average precision 1.000" in str(ranked)


def test_compare_is_that_of_the_command(real: Rooms, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [real.baselines / name / "predictions-ner-folds.jsonl" for name in ("tagger", "rules")]
    found = jinbench.compare(*paths, split="folds", root=real.root)
    assert run(["--root", str(real.root), "compare", *map(str, paths), "--split", "folds", "--json"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert found.to_dict() == {key: value for key, value in record.items() if key not in ("a", "b")}
    assert found.folds is not None
    assert found.folds.folds == 5
    assert "from fold to fold" in str(found)
    assert len(found.to_pandas()) == 1


def test_many_systems_are_compared_two_by_two(real: Rooms, capsys: pytest.CaptureFixture[str]) -> None:
    names = ("tagger", "rules", "lexicon")
    paths = [str(real.baselines / name / "predictions-ner-test.jsonl") for name in names]
    assert run(["--root", str(real.root), "compare", *paths, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [(each["a"], each["b"]) for each in record] == [
        (paths[0], paths[1]),
        (paths[0], paths[2]),
        (paths[1], paths[2]),
    ]
    gold = golds.read(real, "ner", "test")
    single = [comparing.compare(gold, *(submissions.read_predictions(Path(each[key]), gold) for key in "ab")).p
              for each in record]  # fmt: skip
    assert [each["p"] for each in record] == [round(p, 6) for p in single]
    assert max(each["adjusted"] for each in record) >= round(max(single), 6)
    assert run(["--root", str(real.root), "compare", paths[0]]) == 2


def test_a_board_is_that_of_the_leaderboard(real: Rooms) -> None:
    board = jinbench.leaderboard("sector", "test", root=real.root)
    stored = json.loads((real.leaderboard / "leaderboard.json").read_text())
    assert board.to_dict() in stored
    assert list(board.to_pandas()["system"]) == [row.system for row in board.rows]
    assert str(board) == ranking.markdown([board])


GOLD = [["B-P", "I-P", "O"], ["B-L", "I-L"], ["O"]]
GUESS = [["B-P", "I-P", "O"], ["O", "B-L"], ["B-P"]]


def test_gold_of_ones_own() -> None:
    """Tags, spans and Arrow columns; types are found in what is given."""
    report = jinbench.score(GUESS, GOLD)
    assert isinstance(report, Report)
    assert (report.micro.gold, report.micro.predicted, report.micro.correct) == (2, 3, 1)
    assert [cell.name for cell in report.labels] == ["L", "P"]
    assert jinbench.score(pa.array(GUESS), pa.array(GOLD)) == report
    spans = [[[(0, 2, "P")], [(0, 2, "L")], []], [[(0, 2, "P")], [{"start": 1, "end": 2, "type": "L"}], [(0, 1, "P")]]]
    assert jinbench.score(spans[1], spans[0]) == report
    assert jinbench.score(GUESS, spans[0]) == report
    bioes = [["B-P", "E-P", "O"], ["B-L", "E-L"], ["O"]]
    assert jinbench.score(bioes, bioes, scheme="BIOES").micro.f1 == 1.0
    with pytest.raises(DataError, match="wrong-tags"):
        jinbench.score([["I-P", "I-P", "O"], *GUESS[1:]], GOLD)
    assert jinbench.score([["I-P", "I-P", "O"], *GUESS[1:]], GOLD, repair="begin") == report
    assert jinbench.score([["I-P", "I-P", "O"], *GUESS[1:]], GOLD, repair="drop").micro.correct == 0
    assert jinbench.score(GUESS, GOLD, articles=[0, 0, 1]).articles == 2
    assert jinbench.score([], []).items == 0


def test_compare_on_gold_of_ones_own() -> None:
    gold = [["B-P", "I-P", "O"]] * 30
    found = jinbench.compare(gold, [["O"] * 3] * 30, gold)
    assert (found.value, found.articles, found.told_apart) == (1.0, 30, True)
    assert not jinbench.compare(gold, [["O"] * 3] * 30, gold, articles=[i // 10 for i in range(30)]).told_apart


@pytest.mark.parametrize(
    ("predictions", "said"),
    [
        ({"b-L3-S1": [(0, 999, "DATE")]}, r"predictions\['b-L3-S1'\]: span-outside-text"),
        ({"b-L3-S1": ["B-DATE"]}, "one per character"),
        ({"nobody": []}, "unknown-id"),
        ([["B-DATE"]], r"predictions\[0\]: wrong-shape"),
        ([{"id": "b-L3-S1", "spans": [(0, 1)]}], "wrong-shape"),
        ("no/such/file.jsonl", "file-missing"),
    ],
)
def test_what_is_wrong_is_named(world: Rooms, predictions: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        jinbench.score(predictions, root=world.root)


def test_the_example_of_the_readme_runs() -> None:
    match = re.search(r"## In scripts\n\n```py\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert match
    done = subprocess.run([sys.executable, "-c", match[1]], cwd=ROOT, capture_output=True, text=True, check=True)
    for part in ("task:ner|data:", "micro-F1, 95 % interval", "| rank | system |", "1 of 1 items wholly right"):
        assert part in done.stdout


# ---- with other libraries -------------------------------------------------------------------------------------


def test_evaluate_loads_the_metric_offline(tmp_path: Path) -> None:
    """In a process of its own, with a cache of its own and no way out."""
    program = """
import json, sys, evaluate
metric = evaluate.load(sys.argv[1])
print(json.dumps(metric.compute(predictions=json.loads(sys.argv[2]), references=json.loads(sys.argv[3]))))
"""
    folder = ROOT / "jinbench" / "metrics" / "span_f1"
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    out = subprocess.run(
        [sys.executable, "-c", program, str(folder), json.dumps(GUESS), json.dumps(GOLD)],
        env={"HF_HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "PATH": "", **nowhere},
        capture_output=True, text=True, check=True, cwd=tmp_path,
    ).stdout  # fmt: skip
    found, report = json.loads(out), jinbench.score(GUESS, GOLD)
    assert (found["precision"], found["recall"], found["f1"]) == (report.micro.precision, 0.5, report.micro.f1)
    assert found["L"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "low": None, "high": None, "number": 1}


def test_metrics_for_a_trainer() -> None:
    """With the record that `transformers` gives; padding and special tokens have the label -100."""
    from transformers import EvalPrediction

    names = ["O", "B-P", "I-P", "B-L", "I-L"]
    labels = np.array([[-100, 1, 2, 0, -100], [-100, 3, 4, -100, -100]])
    predicted = np.array([[4, 1, 2, 0, 1], [0, 0, 4, 3, 3]])  # the second: an I that goes on with nothing
    logits = np.eye(len(names))[predicted]
    compute = jinbench.compute_metrics(names)
    found = compute(EvalPrediction(predictions=logits, label_ids=labels))
    assert found == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "f1_L": 0.0, "f1_P": 1.0}
    assert compute(EvalPrediction(predictions=predicted, label_ids=labels)) == found
    assert compute(EvalPrediction(predictions=(logits, None), label_ids=labels)) == found
    with pytest.raises(DataError, match="wrong-tags"):
        jinbench.compute_metrics(names, repair=None)(EvalPrediction(predictions=logits, label_ids=labels))


def test_tags_as_predictions_on_the_command_line(
    world: Rooms, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gold = golds.read(world, "ner", "test")
    rows = [
        {"id": id, "tags": tagging.to_bio(len(text), [Span(*label, "") for label in labels])}
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


def test_mistakes_on_the_command_line(real: Rooms, capsys: pytest.CaptureFixture[str]) -> None:
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
