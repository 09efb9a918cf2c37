"""Entries: system.toml, names and prediction files of a folder."""

import os
from pathlib import Path

import pytest

from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.leaderboard import submission
from tests.helpers.entries import GOOD, SYSTEM, entry_problems, line_with, system_with, write_entry

BAD_SYSTEMS = [
    ("name", '""', "wrong-shape", "in one line"),
    ("name", '"  "', "wrong-shape", "in one line"),
    ("name", '"a\\nb"', "wrong-shape", "in one line"),
    ("name", '"a\\n"', "wrong-shape", "in one line"),
    ("name", '"a\\u001b[31mb"', "wrong-shape", "in one line"),
    ("name", '"a\\u202eb"', "wrong-shape", "in one line"),
    ("name", '"' + "n" * 81 + '"', "wrong-shape", "80"),
    ("name", "3", "wrong-shape", "string"),
    ("who", "", "wrong-shape", "who"),
    ("link", '"javascript:alert(1)"', "wrong-shape", "an http or https address"),
    ("link", '"https://x.org/\\"><script>"', "wrong-shape", "an http or https address"),
    ("link", '"https://x.org\\n"', "wrong-shape", "an http or https address"),
    ("trained_on", '" "', "wrong-shape", "all that it learnt from"),
    ("saw_test_articles", "true", "wrong-shape", "one of no, yes, unknown\n  found    True"),
    ("data", "", "wrong-shape", "system.toml data: wrong-shape\n  expected the version of the dataset"),
    ("data", '"1.0"', "wrong-shape", "jinbench verify --info"),
    ("data", '"1.1.0"', "wrong-version", 'data = "1.0.0"'),
    ("data", '"2.0.0"', "wrong-version", "1.0.…, as the data at hand (1.0.0)"),
    ("task", '"translation"', "wrong-shape", "sector"),
    ("task", "", "wrong-shape", "which task predictions.jsonl is for"),
    ("split", "", "wrong-shape", "which split predictions.jsonl is for: folds, test, noisy"),
    ("split", '"train"', "unknown-id", "a split that ner has a leaderboard table for: folds, test, noisy"),
    ("crosswalk", '"conll"', "declaration-unknown", "a crosswalk of"),
    ("model", '"a\\nb"', "wrong-shape", "in one line"),
    ("parameters", '"seven"', "wrong-shape", "such as 110M or 7B"),
    ("parameters", "7", "wrong-shape", "string"),
    ("date", "2026-11-22", "wrong-shape", "string"),
    ("date", '"2026-13-01"', "wrong-shape", "the date of its predictions"),
    ("rank", "1", "wrong-shape", "system.toml rank: wrong-shape\n  expected no field of this name\n  found    1"),
    ("rank", "1", "wrong-shape", "try      correct its name, or remove rank"),
]


@pytest.mark.parametrize(("field", "value", "code", "says"), BAD_SYSTEMS)
def test_invalid_fields_of_system_toml_are_refused(
    field: str, value: str, code: str, says: str, stable: Benchmark, tmp_path: Path
) -> None:
    result = entry_problems(stable, write_entry(tmp_path, system=system_with(field, value)))
    assert code in {problem.code for problem in result}
    assert says in "\n".join(map(str, result)), result
    assert not any(part in str(result) for part in ("(?=", '{"', "additionalProperties"))
    assert all("system.toml" in problem.location for problem in result)


def test_optional_fields_are_on_the_board(stable: Benchmark, tmp_path: Path) -> None:
    fields = {"model": "hfl/chinese-roberta-wwm-ext", "parameters": "0.1B", "date": "2026-11-22"}
    system = "\n".join([SYSTEM, *(f'{name} = "{value}"' for name, value in fields.items())])
    info = submission.check_entry(stable, write_entry(tmp_path, system=system)).entry.system.info
    assert {name: getattr(info, name) for name in fields} == fields
    assert (info.kind, info.name, info.link) == ("entry", "Mine", "https://example.org/mine")


@pytest.mark.parametrize("data", ["1.0.0", "1.0.7"])
def test_entry_stays_valid_after_errata(data: str, stable: Benchmark, tmp_path: Path) -> None:
    assert submission.check_entry(stable, write_entry(tmp_path, system=system_with("data", f'"{data}"'))).files


@pytest.mark.parametrize("text", ["", "name =", "\0", "x = " + "[" * 10_000])
def test_system_toml_that_is_no_toml_is_refused(text: str, stable: Benchmark, tmp_path: Path) -> None:
    (result, *_) = entry_problems(stable, write_entry(tmp_path, system=text))
    assert result.code in ("broken-toml", "wrong-shape")


@pytest.mark.parametrize("name", ["Mine", "mine!", ".mine", "-mine", "my system", "n" * 65, "天津"])
def test_invalid_ids_are_refused(name: str, stable: Benchmark, tmp_path: Path) -> None:
    (result,) = entry_problems(stable, write_entry(tmp_path, name))
    assert (result.code, result.fix[:17]) == ("wrong-shape", "rename the folder")


@pytest.mark.parametrize("name", ["m", "my-system_2.1", "0", "n" * 64])
def test_valid_ids_are_accepted(name: str, stable: Benchmark, tmp_path: Path) -> None:
    assert submission.check_entry(stable, write_entry(tmp_path, name)).entry.system.id == name


@pytest.mark.parametrize(
    ("name", "whose"), [("rules", "a baseline"), ("kept", "a baseline"), ("annotator-a", "an annotator")]
)
def test_id_of_a_baseline_or_annotator_is_refused(name: str, whose: str, world: Benchmark, tmp_path: Path) -> None:
    files.write_text(world.baselines / "rules.py", "")
    (world.baselines / "kept").mkdir()
    (result,) = entry_problems(world, write_entry(tmp_path / "in", name))
    assert (result.code, result.found) == ("duplicate-id", f"that of {whose}")


def test_missing_folder_is_refused(stable: Benchmark, tmp_path: Path) -> None:
    made = write_entry(tmp_path)
    for path, what in ((made / "predictions.jsonl", "a file"), (tmp_path / "nowhere", "nothing")):
        (result,) = entry_problems(stable, path)
        assert (result.code, result.expected, result.found) == ("file-missing", "a folder", what)


def test_missing_files_are_refused(stable: Benchmark, tmp_path: Path) -> None:
    made = write_entry(tmp_path, predictions__jsonl__gz=b"\x1f\x8b")
    (result,) = entry_problems(stable, made)
    assert (result.code, result.found) == ("file-missing", "'predictions.jsonl.gz'")
    (made / "predictions.jsonl").mkdir()
    (result,) = entry_problems(stable, made)
    assert (result.code, result.found) == ("file-missing", "a folder")
    (made / "system.toml").unlink()
    (result,) = entry_problems(stable, made)
    assert result.location.endswith("system.toml")
    assert "jinbench submit --template system" in result.fix


def test_pipe_is_refused(stable: Benchmark, tmp_path: Path) -> None:
    made = write_entry(tmp_path)
    (made / "predictions.jsonl").unlink()
    os.mkfifo(made / "predictions.jsonl")
    (result,) = entry_problems(stable, made)
    assert (result.code, result.found) == ("file-missing", "something that cannot be copied")


def test_file_names_determine_the_board(stable: Benchmark, tmp_path: Path) -> None:
    """Without task and split; coarse labels are read with the names of the crosswalk."""
    system = system_with("task", "").replace('split = "test"', "")
    coarse = line_with((0, 3, "LOC"))
    made = write_entry(tmp_path, system=system, predictions_ner_test__jsonl=GOOD, predictions_ner_folds__jsonl=GOOD,
                  predictions_ner_msra_folds__jsonl=coarse, predictions_sector_test__jsonl="")  # fmt: skip
    checked = submission.check_entry(stable, made)
    assert [(part.board, part.items, part.predicted, part.missing) for part in checked.files] == [
        (("ner", "folds", ""), 12, 3, 9),
        (("ner", "test", ""), 3, 3, 0),
        (("sector", "test", ""), 2, 0, 2),
        (("ner", "folds", "msra"), 12, 1, 11),
    ]
    assert checked.files[-1].gold.names == ("LOC", "TIME")


def test_misspelt_file_name_is_refused_with_a_suggestion(stable: Benchmark, tmp_path: Path) -> None:
    made = write_entry(tmp_path, predictions_ner_tset__jsonl=GOOD, predictions_ner_train__jsonl=GOOD)
    result = entry_problems(stable, made)
    assert [problem.code for problem in result] == ["unknown-id", "unknown-id"]
    assert "rename it to predictions-ner-test.jsonl" in result[1].fix


def test_two_files_for_one_board_are_refused(stable: Benchmark, tmp_path: Path) -> None:
    (result,) = entry_problems(stable, write_entry(tmp_path, predictions__jsonl=GOOD, predictions_ner_test__jsonl=GOOD))
    assert (result.code, result.found) == ("duplicate-id", "two for ner/test")


def test_problems_of_all_files_are_raised_at_once(stable: Benchmark, tmp_path: Path) -> None:
    made = write_entry(
        tmp_path,
        predictions_ner_test__jsonl="{]\n" + line_with((9, 99, "DATE")),
        predictions_sector_folds__jsonl="5",
    )
    result = entry_problems(stable, made)
    assert [(Path(p.location).name, p.code) for p in result] == [
        ("predictions-ner-test.jsonl:1", "broken-json"),
        ("predictions-ner-test.jsonl:2", "span-outside-text"),
        ("predictions-sector-folds.jsonl:1", "broken-json"),
    ]


def test_system_with_oracle_input_is_refused(stable: Benchmark, tmp_path: Path) -> None:
    made = write_entry(tmp_path, predictions__jsonl=GOOD, scores__json='{"given": ["entities"]}')
    assert [problem.code for problem in entry_problems(stable, made)] == ["declaration-unknown"]
    (made / "scores.json").write_text("[broken")
    assert submission.check_entry(stable, made).entry.ignored == ()
