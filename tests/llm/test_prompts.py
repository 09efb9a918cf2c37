"""Prompts: their content, the labels that they must not contain, and that they are the same everywhere."""

import json
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jinbench.annotation.labels import read_label_set
from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError
from jinbench.dataset import load
from jinbench.dataset.gold import read_task_gold
from jinbench.llm import prompts, replies
from jinbench.llm.envelopes import Reply
from jinbench.llm.prompts import Example, PromptSettings
from jinbench.scoring.gold import TASKS
from tests.helpers.commands import run
from tests.helpers.paths import ROOT

BOTH = pytest.mark.parametrize("task", TASKS)
SPLITS = ("train", "validation", "test", "folds")


@BOTH
@pytest.mark.parametrize("split", SPLITS)
def test_every_item_has_a_prompt_and_a_group_shares_its_system_message(real: Benchmark, task: str, split: str) -> None:
    gold = read_task_gold(real, task, split)
    result = prompts.make_prompts(real, task, split)
    assert [row["id"] for row in result.rows] == list(gold.ids)
    for row, text in zip(result.rows, gold.texts, strict=True):
        system, user = (message["content"] for message in row["messages"])
        assert [message["role"] for message in row["messages"]] == ["system", "user"]
        assert row["prompt"] == f"{system}\n\n{user}"
        assert text in user
        assert text not in system
    folds = {row["id"]: row["fold_1"] for row in load.read_rows(real, task)}
    by_fold = split in ("train", "folds")
    systems = defaultdict[int, set[str]](set)
    for row in result.rows:
        systems[folds[row["id"]] if by_fold else 0].add(row["messages"][0]["content"])
    assert len(systems) == len(result.summary["groups"]) == (5 if by_fold else 1)
    assert {len(messages) for messages in systems.values()} == {1}
    assert result.summary["characters"]["max"] == max(len(row["prompt"]) for row in result.rows)


@BOTH
@pytest.mark.parametrize("split", SPLITS)
def test_examples_come_from_train_or_from_other_folds_never_from_the_same_article(
    real: Benchmark, task: str, split: str
) -> None:
    rows = {row["id"]: row for row in load.read_rows(real, task)}
    stories = {row["id"]: row["story"] for row in load.read_rows(real, "articles")}
    result = prompts.make_prompts(real, task, split, PromptSettings(shots=8))
    by_fold = {group["fold"]: group["shots"] for group in result.summary["groups"]}
    for item in result.rows:
        row = rows[item["id"]]
        shots = by_fold.get(row["fold_1"], by_fold.get(None, []))
        assert len(shots) == 8
        for shot in map(rows.__getitem__, shots):
            assert shot["text"] in item["messages"][0]["content"]
            assert stories[shot["article_id"]] != stories[row["article_id"]]
            if split == "folds":
                assert shot["fold_1"] != row["fold_1"]
            else:
                assert shot["split"] == "train"


def relabel(benchmark: Benchmark, root: Path, task: str, chosen: Callable[[dict[str, Any]], bool]) -> Benchmark:
    """Copy a benchmark with other labels for the chosen items, and a manifest to match."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (root / "annotation").mkdir(parents=True)
    shutil.copyfile(benchmark.labels, root / "annotation" / "labels.toml")
    for config in TASKS:
        shutil.copytree(benchmark.dataset / config, root / "dataset" / config)
    manifest = load.read_manifest(benchmark)
    for path in (root / "dataset" / task).glob("*.parquet"):
        table = pq.ParquetFile(path).read()
        rows = [row | {"split": path.stem} for row in table.to_pylist()]
        for row in filter(chosen, rows):
            if task == "ner":
                row["spans"] = [{"start": 0, "end": 1, "type": "DATE", "surface": row["text"][:1]}]
            else:
                row["sectors"] = [0, 1, 2, 3]
        for row in rows:
            del row["split"]
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
        manifest["files"][f"{task}/{path.name}"] = files.sha256(path.read_bytes())
    (root / "dataset" / "manifest.json").write_text(json.dumps(manifest))
    return Benchmark(root)


@BOTH
@pytest.mark.parametrize("split", ["test", "validation"])
def test_prompts_do_not_depend_on_the_labels_of_a_predicted_split(
    real: Benchmark, tmp_path: Path, task: str, split: str
) -> None:
    other = relabel(real, tmp_path / "other", task, lambda row: row["split"] != "train")
    assert read_task_gold(other, task, split).labels != read_task_gold(real, task, split).labels
    assert prompts.make_prompts(other, task, split).rows == prompts.make_prompts(real, task, split).rows


@BOTH
@pytest.mark.parametrize("split", ["folds", "train"])
def test_prompts_do_not_depend_on_the_labels_of_the_predicted_fold(
    real: Benchmark, tmp_path: Path, task: str, split: str
) -> None:
    fold = 2
    other = relabel(real, tmp_path / "other", task, lambda row: row["fold_1"] == fold)
    folds = {row["id"]: row["fold_1"] for row in load.read_rows(real, task)}
    same = defaultdict[int, set[bool]](set)
    pairs = zip(
        prompts.make_prompts(real, task, split).rows, prompts.make_prompts(other, task, split).rows, strict=True
    )
    for before, after in pairs:
        same[folds[before["id"]]].add(before == after)
    assert same.pop(fold) == {True}
    assert {False} in same.values()  # other folds get the changed labels as examples


@pytest.mark.parametrize("lang", prompts.LANGUAGES)
@pytest.mark.parametrize("style", prompts.STYLES)
@BOTH
def test_a_prompt_has_every_label_with_its_definition_and_none_of_the_examples_from_all_pages(
    real: Benchmark, task: str, style: str, lang: str
) -> None:
    label_set = read_label_set(real)
    system = prompts.make_prompts(real, task, "test", PromptSettings(0, 0, style, lang)).rows[0]["messages"][0][
        "content"
    ]
    for label in label_set.entities if task == "ner" else label_set.sectors:
        line = next(line for line in system.splitlines() if line.startswith(f"- {label.name}"))
        assert label.definition in line
        assert getattr(label, lang) in line
    names = {example for label in (*label_set.entities, *label_set.sectors) for example in label.examples}
    defined = "".join(label.definition + label.zh for label in (*label_set.entities, *label_set.sectors))
    assert [name for name in names if len(name) > 2 and name in system and name not in defined] == []
    assert "$" not in system


def test_instructions_contain_no_sentence_of_the_dataset(real: Benchmark) -> None:
    words = (ROOT / "jinbench" / "llm" / "prompts.toml").read_text()
    rows = [*load.read_rows(real, "ner"), *load.read_rows(real, "sector")]
    assert [row["id"] for row in rows if row["text"] in words] == []
    surfaces = {span["surface"] for row in rows for span in row.get("spans", ()) if len(span["surface"]) > 3}
    assert [surface for surface in surfaces if surface in words] == []


@pytest.mark.parametrize("style", prompts.STYLES)
@BOTH
def test_answers_of_examples_parse_to_their_gold_labels(real: Benchmark, task: str, style: str) -> None:
    gold = read_task_gold(real, task, "train")
    result = prompts.make_prompts(real, task, "test", PromptSettings(12, style=style))
    system = result.rows[0]["messages"][0]["content"]
    aliases = replies.read_aliases(real, gold)
    offset = 0
    for id in result.summary["groups"][0]["shots"]:
        number = gold.ids.index(id)
        offset = system.index(gold.texts[number], offset) + len(gold.texts[number])
        answer = system[offset:].split("\n\n")[0].split("\uff1a", 1)[1]
        predictions, _ = replies.parse_replies(gold, {id: Reply(answer)}, aliases)
        assert predictions == {id: gold.labels[number]}


# --- the choice of examples ---

EXAMPLES = st.lists(
    st.builds(
        Example,
        id=st.text("abc", max_size=6), article=st.sampled_from("xyz"), title=st.just(""), text=st.just("天津"),
        labels=st.frozensets(st.tuples(st.just(0), st.just(1), st.sampled_from("ABCDEF")), max_size=3),
    ),
    max_size=20, unique_by=lambda example: example.id,
)  # fmt: skip


@given(EXAMPLES, st.integers(0, 8), st.integers(), st.randoms())
def test_choice_depends_on_pool_and_seed_alone(pool: list[Example], shots: int, seed: int, random: Any) -> None:
    chosen = prompts.choose_examples(pool, shots, seed)
    assert len(chosen) == min(shots, len(pool))
    assert len({example.id for example in chosen}) == len(chosen)
    random.shuffle(pool)
    assert prompts.choose_examples(pool, shots, seed) == chosen


@given(EXAMPLES, st.integers(2, 8), st.integers())
def test_choice_covers_the_labels_and_has_an_item_without_labels(pool: list[Example], shots: int, seed: int) -> None:
    chosen = prompts.choose_examples(pool, shots, seed)
    assert any(not example.labels for example in chosen) == any(not example.labels for example in pool)
    labelled = [example for example in chosen if example.labels]
    covered = {name for example in chosen for name in example.names}
    missing = {name for example in pool for name in example.names} - covered
    # Each of the labelled ones brought something new, as long as there was something: so many labels, or all of them.
    assert not missing or len(covered) >= len(labelled)


def test_choice_prefers_a_new_article_among_equally_many_new_labels() -> None:
    labels = {id: frozenset({(0, 1, name)}) for id, name in (("a", "A"), ("b", "B"), ("c", "C"))}
    for seed in range(8):
        pool = [Example(id, "y" if id == "c" else "x", "", "天津", label) for id, label in labels.items()]
        assert {example.article for example in prompts.choose_examples(pool, 2, seed)} == {"x", "y"}


def test_another_seed_chooses_other_examples(real: Benchmark) -> None:
    chosen = [
        prompts.make_prompts(real, "ner", "test", PromptSettings(seed=seed)).summary["groups"][0] for seed in range(8)
    ]
    assert len({tuple(group["shots"]) for group in chosen}) == 8
    assert min(group["covered"] for group in chosen) >= 9


def test_another_process_with_other_hashes_writes_the_same_bytes(tmp_path: Path) -> None:
    outputs = []
    for number in ("1", "2"):
        command = [sys.executable, "-m", "jinbench", "prompt", "--split", "folds", "--task", "sector"]
        done = subprocess.run(command, env={"PYTHONHASHSEED": number, "HOME": str(tmp_path)}, cwd=ROOT,
                              capture_output=True, check=True)  # fmt: skip
        outputs.append(done.stdout)
    assert outputs[0] == outputs[1] != b""


# --- the command ---


def test_output_has_prompts_alone_and_the_summary_goes_to_stderr(
    world: Benchmark, capsys: pytest.CaptureFixture[str]
) -> None:
    root = ["--root", str(world.root), "prompt"]
    assert run([*root, "--shots", "1"]) == 0
    output = capsys.readouterr()
    rows = [json.loads(line) for line in output.out.splitlines()]
    assert [set(row) for row in rows] == [{"id", "prompt", "messages"}] * len(rows)
    assert f"{len(rows)} prompts of" in output.err
    assert "|shots:1|seed:0|" in output.err
    assert run([*root, "--json"]) == 0
    output = capsys.readouterr()
    assert json.loads(output.err)["prompts"] == len(output.out.splitlines()) == len(rows)


@pytest.mark.parametrize("wrong", [["--style", "xml"], ["--lang", "fr"], ["--shots", "-1"]])
def test_wrong_options_are_usage_errors(wrong: list[str]) -> None:
    assert run(["--root", str(ROOT), "prompt", *wrong]) == 2


def test_out_refuses_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--root", str(ROOT), "prompt", "--out", str(tmp_path)]) == 2
    assert "is a directory" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["prompt", "parse"])
def test_help_names_every_split(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    assert "noisy" in capsys.readouterr().out


def test_unknown_task_or_split_is_refused(real: Benchmark) -> None:
    with pytest.raises(DataError, match="wrong-task"):
        prompts.make_prompts(real, "translation", "test")
    with pytest.raises(DataError, match="unknown-id"):
        prompts.make_prompts(real, "ner", "tomorrow")
