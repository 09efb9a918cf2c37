"""Format of an entry: template, example and schema are what entries are validated against."""

import json
import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from jinbench.core import jsonl, schemas
from jinbench.core.benchmark import Benchmark
from jinbench.dataset.gold import read_task_gold
from jinbench.leaderboard import entry_format, submission
from jinbench.scoring.gold import TASKS
from tests.helpers.commands import run
from tests.helpers.entries import entry_problems, write_entry


def fill_in(template: str) -> str:
    for field in ("name", "who", "trained_on"):
        assert f'\n{field} = ""\n' in template
        template = template.replace(f'\n{field} = ""\n', f'\n{field} = "something"\n')
    return template


def test_template_is_refused_until_filled_in(stable: Benchmark, tmp_path: Path) -> None:
    """As `jinbench submit --template system` prints it, it is refused, and the fields to fill in are named."""
    result = entry_problems(stable, write_entry(tmp_path, system=entry_format.describe_format(stable, "system")))
    hints = [problem.fix.partition(";")[0] for problem in result]
    assert hints == ["fill in name", "fill in who", "fill in trained_on"]
    assert {problem.found for problem in result} == {"nothing"}


@pytest.mark.parametrize("task", TASKS)
def test_example_is_a_valid_entry(task: str, stable: Benchmark, tmp_path: Path) -> None:
    """What `jinbench submit --template` prints is taken once its empty fields are filled in."""
    text = fill_in(entry_format.describe_format(stable, "system")).replace('task = "ner"', f'task = "{task}"')
    line = entry_format.describe_format(stable, task).splitlines()[2]
    (part,) = submission.check_entry(stable, write_entry(tmp_path, system=text, predictions__jsonl=line)).files
    ((id, labels),) = part.predictions.items()
    assert labels == part.gold.labels[part.gold.ids.index(id)]
    assert labels
    assert list(Draft202012Validator(entry_format.build_schema(stable, task)).iter_errors(json.loads(line))) == []
    assert list(Draft202012Validator(schemas.read_schema("prediction")).iter_errors(json.loads(line))) == []
    assert set(tomllib.loads(text)) <= set(schemas.read_schema("system")["properties"])


def test_example_has_a_label(real: Benchmark) -> None:
    """Though the shortest sentence of the test split has none."""
    gold = read_task_gold(real, "ner", "test")
    assert not gold.labels[min(range(len(gold.ids)), key=lambda i: len(gold.texts[i]))]
    assert json.loads(entry_format.describe_format(real, "ner").splitlines()[2])["spans"]


def test_committed_predictions_match_the_schema(real: Benchmark) -> None:
    validators = {task: Draft202012Validator(entry_format.build_schema(real, task)) for task in TASKS}
    for task, validator in validators.items():
        paths = list(real.baselines.glob(f"*/predictions-{task}-test.jsonl"))
        assert paths
        for path in paths:
            for _, row in jsonl.read_rows(path):
                assert list(validator.iter_errors(row)) == []
                assert list(Draft202012Validator(schemas.read_schema("prediction")).iter_errors(row)) == []
                other = next(other for other in validators if other != task)
                assert list(validators[other].iter_errors(row))


def test_format_command_prints_description_or_schema(stable: Benchmark, capsys: pytest.CaptureFixture[str]) -> None:
    root = ["--root", str(stable.root)]
    assert run([*root, "submit", "--template"]) == 0
    output = capsys.readouterr().out
    for part in ('"id": "b-', "PLACE, DATE, QUANTITY", "port, water, general", "load_dataset(", 'data = "1.0.0"'):
        assert part in output
    assert run([*root, "submit", "--schema", "sector"]) == 0
    schema = json.loads(capsys.readouterr().out)
    Draft202012Validator.check_schema(schema)
    assert schema["properties"]["sectors"]["items"]["enum"] == ["port", "water", "general"]
    assert run([*root, "submit", "--schema"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == set(entry_format.KINDS)
    assert run([*root, "submit", "--template", "poem"]) == 2
