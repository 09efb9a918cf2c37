"""Public functions: the same numbers as on the command line, for every form of predictions."""

import json
import random
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from jinbench.scoring.streaming import StreamingReport
from tests.helpers.commands import run
from tests.helpers.paths import ROOT


def test_all_forms_of_predictions_give_the_same_score(real: Benchmark) -> None:
    path = real.baselines / "tagger" / "predictions-ner-test.jsonl"
    gold = read_task_gold(real, "ner", "test")
    texts = dict(zip(gold.ids, gold.texts, strict=True))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    triples = {row["id"]: [(s["start"], s["end"], s["type"]) for s in row["spans"]] for row in rows}
    spans = {id: [Span(*found, texts[id][found[0] : found[1]]) for found in each] for id, each in triples.items()}
    tags = {id: to_bio(len(texts[id]), each) for id, each in spans.items()}
    expected = score.score_predictions(gold, read_predictions(path, gold))
    forms: list[Any] = [path, str(path), rows, iter(rows), triples, spans, tags,
                        {id: [span._asdict() for span in each] for id, each in spans.items()}]  # fmt: skip
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


def test_compare_equals_the_command(real: Benchmark, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [real.baselines / name / "predictions-ner-folds.jsonl" for name in ("tagger", "rules")]
    found = jinbench.compare(*paths, split="folds", root=real.root)
    assert run(["--root", str(real.root), "compare", *map(str, paths), "--split", "folds", "--json"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert found.to_dict() == {key: value for key, value in record.items() if key not in ("a", "b", "signature")}
    assert found.folds is not None
    assert found.folds.folds == 5
    assert "from fold to fold" in str(found)
    assert len(found.to_pandas()) == 1


def test_command_compares_all_pairs_of_systems(real: Benchmark, capsys: pytest.CaptureFixture[str]) -> None:
    names = ("tagger", "rules", "lexicon")
    paths = [str(real.baselines / name / "predictions-ner-test.jsonl") for name in names]
    assert run(["--root", str(real.root), "compare", *paths, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [(each["a"], each["b"]) for each in record] == [
        (paths[0], paths[1]),
        (paths[0], paths[2]),
        (paths[1], paths[2]),
    ]
    gold = read_task_gold(real, "ner", "test")
    single = [compare.compare_systems(gold, *(read_predictions(Path(each[key]), gold) for key in "ab")).p
              for each in record]  # fmt: skip
    assert [each["p"] for each in record] == [round(p, 6) for p in single]
    assert max(each["adjusted"] for each in record) >= round(max(single), 6)
    assert run(["--root", str(real.root), "compare", paths[0]]) == 2
    assert run(["--root", str(real.root), "compare", paths[0], paths[1], paths[0]]) == 2
    assert run(["--root", str(real.root), "compare", *paths]) == 0
    said = capsys.readouterr().out
    assert said.startswith("[task:ner|data:")
    assert "after Holm" in said
    assert said.count("minimum detectable difference (80 % power)") == 3


def test_rank_equals_the_committed_board(real: Benchmark) -> None:
    board = jinbench.rank("sector", "test", root=real.root)
    stored = json.loads((real.leaderboard / "leaderboard.json").read_text())
    assert board.to_dict() in stored
    assert list(board.to_pandas()["system"]) == [row.system for row in board.rows]
    assert str(board) == format_markdown([board])


GOLD = [["B-P", "I-P", "O"], ["B-L", "I-L"], ["O"]]
GUESS = [["B-P", "I-P", "O"], ["O", "B-L"], ["B-P"]]


def test_own_gold_is_scored_in_every_form() -> None:
    """Tags, spans and Arrow columns; types are found in what is given."""
    report = jinbench.score(predictions=GUESS, gold=GOLD)
    assert isinstance(report, StreamingReport)
    assert (report.micro.gold, report.micro.predicted, report.micro.correct) == (2, 3, 1)
    assert [cell.name for cell in report.labels] == ["L", "P"]
    assert jinbench.score(predictions=pa.array(GUESS), gold=pa.array(GOLD)) == report
    spans = [[[(0, 2, "P")], [(0, 2, "L")], []], [[(0, 2, "P")], [{"start": 1, "end": 2, "type": "L"}], [(0, 1, "P")]]]
    assert jinbench.score(predictions=spans[1], gold=spans[0]) == report
    assert jinbench.score(predictions=GUESS, gold=spans[0]) == report
    bioes = [["B-P", "E-P", "O"], ["B-L", "E-L"], ["O"]]
    assert jinbench.score(predictions=bioes, gold=bioes, scheme="BIOES").micro.f1 == 1.0
    with pytest.raises(DataError, match="wrong-tags"):
        jinbench.score(predictions=[["I-P", "I-P", "O"], *GUESS[1:]], gold=GOLD)
    assert jinbench.score(predictions=[["I-P", "I-P", "O"], *GUESS[1:]], gold=GOLD, repair="begin") == report
    assert jinbench.score(predictions=[["I-P", "I-P", "O"], *GUESS[1:]], gold=GOLD, repair="drop").micro.correct == 0
    assert jinbench.score(predictions=GUESS, gold=GOLD, articles=[0, 0, 1]).articles == 2
    assert jinbench.score(predictions=[], gold=[]).items == 0


def test_systems_are_compared_on_own_gold() -> None:
    gold = [["B-P", "I-P", "O"]] * 30
    found = jinbench.compare(gold, [["O"] * 3] * 30, gold=gold)
    assert (found.value, found.articles, found.significant) == (1.0, 30, True)
    assert not jinbench.compare(gold, [["O"] * 3] * 30, gold=gold, articles=[i // 10 for i in range(30)]).significant


def test_order_of_items_does_not_matter() -> None:
    """Items of an article that stand apart are one article, for tags with their lengths and for spans."""
    rng = random.Random(0)
    gold = [[rng.choice(["B-P", "B-L", "O"]) for _ in range(rng.randint(1, 5))] for _ in range(48)]
    guess = [[tag if rng.random() < 0.7 else "O" for tag in row] for row in gold]
    other = [[tag if rng.random() < 0.4 else "O" for tag in row] for row in gold]
    articles = [f"a{i // 12}" for i in range(48)]
    order = list(range(48))
    rng.shuffle(order)
    mixed = [[side[i] for i in order] for side in (guess, other, gold)]
    where = [articles[i] for i in order]
    report = jinbench.score(predictions=guess, gold=gold, articles=articles)
    assert report.articles == 4
    assert jinbench.score(predictions=mixed[0], gold=mixed[2], articles=where) == report
    assert jinbench.score(predictions=mixed[0], gold=mixed[2]) != report
    spans = [[[(i, i + 1, tag[2:]) for i, tag in enumerate(row) if tag != "O"] for row in side] for side in mixed]
    assert jinbench.score(predictions=spans[0], gold=spans[2], articles=np.array(where)) == report
    assert jinbench.score(predictions=mixed[0], gold=spans[2], articles=iter(where)) == report
    found = jinbench.compare(guess, other, gold=gold, articles=articles)
    assert found.articles == 4
    assert jinbench.compare(mixed[0], spans[1], gold=mixed[2], articles=where) == found
    assert jinbench.compare(GUESS, GUESS, gold=GOLD, articles=[1, "1", 1]).articles == 2
    assert jinbench.score(predictions=GUESS, gold=GOLD, articles=[1, "1", 1]).articles == 2


def test_iterators_are_scored() -> None:
    report = jinbench.score(predictions=GUESS, gold=GOLD)
    assert jinbench.score(predictions=iter(GUESS), gold=(iter(row) for row in GOLD)) == report
    assert jinbench.score(predictions=np.array(GUESS, dtype=object), gold=map(tuple, GOLD)) == report
    spans = [[(0, 2, "P")], [(1, 2, "L")], [(0, 1, "P")]]
    assert jinbench.score(predictions=map(iter, spans), gold=iter(GOLD)) == report
    assert jinbench.score(predictions=(set(row) for row in spans), gold=iter(GOLD), names=iter(["L", "P"])) == report
    assert jinbench.compare(iter(GOLD), iter(GUESS), gold=iter(GOLD)) == jinbench.compare(GOLD, GUESS, gold=GOLD)


def test_class_labels_need_tag_names() -> None:
    names = ["O", "B-P", "I-P", "B-L", "I-L", "B-X"]
    guess, gold = ([[names.index(tag) for tag in row] for row in side] for side in (GUESS, GOLD))
    report = jinbench.score(predictions=GUESS, gold=GOLD, names=["L", "P", "X"])
    by_number: Any = {str(i): name for i, name in enumerate(names)}
    for form in (pa.array, np.array, iter, lambda side: pa.chunked_array([side[:1], side[1:]])):
        ours = form(gold) if form is not np.array else [np.array(row) for row in gold]
        theirs = form(guess) if form is not np.array else [np.array(row) for row in guess]
        assert jinbench.score(predictions=theirs, gold=ours, tag_names=by_number if form is iter else names) == report
    assert jinbench.score(predictions=pa.array(guess), gold=GOLD, tag_names=names) == report
    both = pa.array(guess), pa.array(gold)
    assert jinbench.compare(both[1], both[0], gold=both[1], tag_names=names) == jinbench.compare(GOLD, GUESS, gold=GOLD)
    with pytest.raises(DataError, match=r"(?s)predictions: wrong-shape.*give tag_names"):
        jinbench.score(predictions=pa.array(guess), gold=GOLD)
    with pytest.raises(DataError, match=r"(?s)gold: wrong-shape.*give tag_names"):
        jinbench.compare(GOLD, GUESS, gold=pa.array(gold), names=["L", "P"])
    with pytest.raises(DataError, match=r"(?s)predictions\[0\]: wrong-shape.*give tag_names"):
        jinbench.score(predictions=guess, gold=GOLD)
    for wrong in ([[7]], [[-1]], [[True, 1]], [[1, True]], [[0, "O"]]):
        with pytest.raises(DataError, match=r"predictions\[0\]"):
            jinbench.score(predictions=wrong, gold=[["O"] * len(wrong[0])], tag_names=names)
    with pytest.raises(DataError, match=r"(?s)predictions: wrong-tags.*0 to 5"):
        jinbench.score(predictions=pa.array([[7]]), gold=[["O"]], tag_names=names)
    spans = pa.array([[{"start": 0, "end": 2, "type": "P"}], [], []])
    assert jinbench.score(predictions=spans, gold=spans).micro.correct == 1


SPAN = [[(0, 2, "P")]]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (Path("gold.jsonl"), "{}: wrong-shape"),
        ({"b-L3-S1": [(0, 2, "P")]}, "{}: wrong-shape"),
        (3, "{}: wrong-shape"),
        ("gold.jsonl", "{}: wrong-shape"),
        ([3], "{}[0]: wrong-shape"),
        ([None], "{}[0]: wrong-shape"),
        (["B-P"], "{}[0]: wrong-shape"),
        ([{"spans": []}], "{}[0]: wrong-shape"),
        ([[], []], "wrong-shape"),
        ([[None]], "{}[0]: wrong-shape"),
        ([[(0, 2)]], "{}[0]: wrong-shape"),
        ([[{}]], "{}[0]: wrong-shape"),
        ([[(0, 3.7, "P")]], "{}[0]: wrong-shape"),
        ([[(0, "3", "P")]], "{}[0]: wrong-shape"),
        ([[(False, 2, "P")]], "{}[0]: wrong-shape"),
        ([[(-1, 2, "P")]], "{}[0]: wrong-shape"),
        ([[(2, 2, "P")]], "{}[0]: wrong-shape"),
        ([[(0, 2**63, "P")]], "{}[0]: wrong-shape"),
        ([[(0, 10**5000, "P")]], "{}[0]: wrong-shape"),
        ([10**5000], "{}[0]: wrong-shape"),
        ([[(0, 2, 5)]], "{}[0]: wrong-shape"),
        ([[(0, 2, ["P"])]], "{}[0]: wrong-shape"),
        ([[(0, 2, "Q")]], "{}[0]: wrong-shape"),
        ([["B-Q"]], "{}[0], tag 0: wrong-tags"),
        ([["B-P", []]], "{}[0], tag 1: wrong-tags"),
    ],
)
def test_invalid_sequences_are_refused_on_every_side(wrong: Any, said: str) -> None:
    """On each side."""
    calls = {
        "gold": lambda: jinbench.score(predictions=SPAN, gold=wrong, names=["P"]),
        "predictions": lambda: jinbench.score(predictions=wrong, gold=SPAN, names=["P"]),
        "a": lambda: jinbench.compare(wrong, SPAN, gold=SPAN, names=["P"]),
        "b": lambda: jinbench.compare(SPAN, wrong, gold=SPAN, names=["P"]),
    }
    for place, call in calls.items():
        with pytest.raises(DataError, match=re.escape(said.format(place))):
            call()


def test_problems_of_both_sides_are_raised_at_once() -> None:
    good = [[(0, 1, "P")]] * 3
    with pytest.raises(DataError) as caught:
        jinbench.score(predictions=[*good, [(1, 0, "P")]], gold=[*good, [(0, 1)]])
    assert [problem.location for problem in caught.value.problems] == ["gold[3]", "predictions[3]"]


@pytest.mark.parametrize(
    ("a", "articles", "said"),
    [
        (GUESS[:2], None, "a: wrong-shape\n  expected 3 items"),
        ([*GUESS, ["O"]], None, "a: wrong-shape\n  expected 3 items"),
        ([*GUESS[:2], ["O", "O"]], None, "a[2]: wrong-shape\n  expected 1 tags"),
        (GUESS, [1, 2], "articles: wrong-shape"),
        (GUESS, 5, "articles: wrong-shape"),
        (GUESS, [1, 2, {}], "articles[2]: wrong-shape"),
    ],
)
def test_compare_validates_like_score(a: Any, articles: Any, said: str) -> None:
    with pytest.raises(DataError, match=re.escape(said)):
        jinbench.compare(a, GOLD, gold=GOLD, articles=articles)
    of_b, of_score = (re.sub(r"^a(?=[:\[])", place, said) for place in ("b", "predictions"))
    with pytest.raises(DataError, match=re.escape(of_b)):
        jinbench.compare(GOLD, a, gold=GOLD, articles=articles)
    with pytest.raises(DataError, match=re.escape(of_score)):
        jinbench.score(predictions=a, gold=GOLD, articles=articles)


def test_compare_refuses_empty_gold() -> None:
    with pytest.raises(DataError, match=r"(?s)gold: wrong-shape.*no items"):
        jinbench.compare([], [], gold=[])


leaves = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.sampled_from(["O", "B-P", "I-P"])
)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
spans = st.tuples(st.integers(-1, 3) | leaves, st.integers(0, 4) | leaves, st.sampled_from(["P", "L"]) | leaves)
by_name = st.fixed_dictionaries({}, optional={"start": leaves, "end": leaves, "type": leaves, "surface": leaves})
labels = st.lists(st.sampled_from(["O", "B-P", "I-P"]) | st.integers(-1, 3) | spans | by_name | values, max_size=2)
sides = values | st.lists(labels | values, max_size=2)


@given(sides, sides, st.none() | values, st.sampled_from([(), ["P"]]), st.sampled_from([(), ["O", "B-P", "I-P"]]))
@settings(max_examples=300, deadline=None)
def test_arbitrary_input_gives_a_result_or_data_error(
    a: Any, b: Any, articles: Any, names: Any, tag_names: Any
) -> None:
    for call in (
        lambda: jinbench.score(
            predictions=a, gold=b if b is not None else [], articles=articles, names=names, tag_names=tag_names
        ),
        lambda: jinbench.compare(
            a, b, gold=b if b is not None else [], articles=articles, names=names, tag_names=tag_names
        ),
    ):
        with suppress(DataError):
            assert str(call())


@pytest.mark.parametrize(
    ("given", "said"),
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
def test_values_that_are_no_predictions_are_refused(world: Benchmark, given: Any, said: str) -> None:
    with pytest.raises(DataError, match=re.escape(said)):
        jinbench.score(given, root=world.root)
    with pytest.raises(DataError, match=re.escape(said)):
        jinbench.compare({}, given, root=world.root)


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
def test_invalid_predictions_are_refused(world: Benchmark, predictions: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        jinbench.score(predictions, root=world.root)


def test_readme_example_runs() -> None:
    match = re.search(r"## In scripts\n\n```py\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
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


# ---- with other libraries -------------------------------------------------------------------------------------


def test_evaluate_loads_the_metric_offline(tmp_path: Path) -> None:
    """In a process of its own, with a cache of its own and no way out."""
    program = """
import json, sys, evaluate
metric = evaluate.load(sys.argv[1])
guess, gold = json.loads(sys.argv[2]), json.loads(sys.argv[3])
apart = metric.compute(predictions=guess * 39, references=gold * 39, articles=[i % 39 for i in range(117)])
print(json.dumps([metric.compute(predictions=guess, references=gold), apart]))
"""
    folder = ROOT / "jinbench" / "metrics" / "span_f1"
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    out = subprocess.run(
        [sys.executable, "-c", program, str(folder), json.dumps(GUESS), json.dumps(GOLD)],
        env={"HF_HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "PATH": "", **nowhere},
        capture_output=True, text=True, check=True, cwd=tmp_path,
    ).stdout  # fmt: skip
    (found, apart), report = json.loads(out), jinbench.score(predictions=GUESS, gold=GOLD)
    ours, theirs = ([row for row in side for _ in range(39)] for side in (GUESS, GOLD))
    grouped = jinbench.score(
        predictions=ours, gold=theirs, articles=[13 * k + i // 3 for k in range(3) for i in range(39)]
    )
    assert grouped.articles == 39
    assert (apart["low"], apart["high"]) == (grouped.micro.low, grouped.micro.high)
    assert apart["low"] != jinbench.score(predictions=ours, gold=theirs).micro.low
    assert (found["precision"], found["recall"], found["f1"]) == (report.micro.precision, 0.5, report.micro.f1)
    assert found["L"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "low": None, "high": None, "number": 1}


def test_compute_metrics_takes_predictions_of_a_trainer() -> None:
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
    for mapping in (dict(enumerate(names)), {str(i): name for i, name in reversed(list(enumerate(names)))}):
        assert jinbench.compute_metrics(mapping)(EvalPrediction(predictions=logits, label_ids=labels)) == found


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["O", None], "tag_names[1]: wrong-shape"),
        ({0: "O", 1: None}, "tag_names[1]: wrong-shape"),
        ({0: "O", 2: "B-P"}, "tag_names[1]: wrong-shape"),
        (None, "tag_names: wrong-shape"),
        ("O", "tag_names: wrong-shape"),
    ],
)
def test_invalid_tag_names_are_refused(names: Any, said: str) -> None:
    with pytest.raises(DataError, match=re.escape(said)):
        jinbench.compute_metrics(names)
    with pytest.raises(DataError, match=re.escape(said)):
        jinbench.score(predictions=GUESS, gold=GOLD, tag_names=names)


@pytest.mark.parametrize(
    ("predicted", "labels", "said"),
    [
        (np.zeros((2, 3, 3)), np.zeros((2, 4), int), "predictions and labels: wrong-shape"),
        (np.zeros((2, 3), int), np.zeros((2, 4), int), "(2, 3) and (2, 4)"),
        (np.zeros(3, int), np.zeros(3, int), "predictions and labels: wrong-shape"),
        (np.zeros((1, 1), int), np.ones((1, 1), int) * 9, "labels: wrong-tags"),
        (np.zeros((1, 1), int), -np.ones((1, 1), int), "labels: wrong-tags"),
        (np.eye(4)[[[3]]], np.zeros((1, 1), int), "predictions: wrong-tags"),
        (np.zeros((1, 1)), np.zeros((1, 1), int), "predictions: wrong-tags"),
        ([[1], [1, 2]], np.zeros((1, 1), int), "predictions: wrong-shape"),
        (None, np.zeros((1, 1), int), "predictions: wrong-shape"),
    ],
)
def test_invalid_arrays_of_a_trainer_are_refused(predicted: Any, labels: Any, said: str) -> None:
    with pytest.raises(DataError, match=re.escape(said)):
        jinbench.compute_metrics(["O", "B-P", "I-P"])((predicted, labels))  # type: ignore[arg-type]


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
