"""Names of systems: seen, and told apart."""

from pathlib import Path

import pytest

from jinbench.core.benchmark import Benchmark
from jinbench.leaderboard import submission
from jinbench.leaderboard.board import SystemInfo
from jinbench.leaderboard.names import find_illegible, fold_name
from jinbench.leaderboard.ranking import rank_systems
from jinbench.leaderboard.systems import SystemPredictions
from tests.helpers.entries import GOOD, entry_problems, system_with, write_entry
from tests.helpers.scoring import X, gold_of, guesses


@pytest.mark.parametrize(
    "name",
    [
        "LEXICON",
        "l\u0435xicon",  # Cyrillic е
        "lexic\u03bfn",  # Greek ο
        "\u216cexicon",  # the Roman number fifty
        "\uff4cexicon",  # full width
        "\U0001d425exicon",  # bold
        "1exicon",
        "Iexicon",
        "lex1con",
        "lexic0n",
        "lexlcon",
        "lexi\u0441on",
        "lexi\u200bcon",
        "lexi\u3164con",
        "lexicon\ufe0f",
        "lexico\u0301n",
        "lexic\u00f3n",
        "lexic\u1ecdn",
        "lex\u0131con",
        " lexicon\u00a0",
        "le\u0445icon",
        "\u13de\u0415XICON",
    ],
)
def test_names_that_look_alike(name: str) -> None:
    assert fold_name(name) == fold_name("lexicon")


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("lexicon", "lexicon 2"),
        ("lexicon", "lexicons"),
        ("lexicon", "lexi-con"),
        ("BERT", "BART"),
        ("词典", "词库"),
        ("は", "ば"),
        ("कि", "की"),
        ("tagger-2", "tagger-3"),
    ],
)
def test_names_that_differ(name: str, other: str) -> None:
    assert fold_name(name) != fold_name(other)


@pytest.mark.parametrize(
    ("name", "other"), [("modern", "modem"), ("vvhite", "white"), ("三 — A", "三  - A"), ("人カ", "人力")]
)
def test_more_names_that_look_alike(name: str, other: str) -> None:
    assert fold_name(name) == fold_name(other)


@pytest.mark.parametrize(
    "code",
    "00AD 034F 061C 115F 1160 17B4 180B 180E 200B 200D 2060 2800 3164 E000 FE0F FEFF FFA0 FFFE E0041 E0100".split(),  # noqa: SIM905
)
def test_what_cannot_be_seen_is_refused(code: str, stable: Benchmark, tmp_path: Path) -> None:
    for text in (chr(int(code, 16)), f"Mine{chr(int(code, 16))}"):
        assert find_illegible(text) == f"U+{code}"
    made = write_entry(tmp_path, system=system_with("name", f'"Mine{chr(int(code, 16))}"'), predictions__jsonl=GOOD)
    assert f"take U+{code} out" in str(entry_problems(stable, made))


def test_marks_need_a_letter() -> None:
    assert find_illegible("\u0301") == find_illegible("a \u0301") == find_illegible("a" + "\u0301" * 5) == "U+0301"
    for name in ("Việt", "Vie\u0323\u0302t", "क्षि", "น้ำ", "词典 2.0（大）", "🤖 tagger", "naïve"):
        assert not find_illegible(name)


@pytest.mark.parametrize(("name", "owner"), [("rul\u0435s", "a baseline"), ("0ther", "the entry other"), ("A", "")])
def test_a_name_that_looks_like_another_is_refused(name: str, owner: str, world: Benchmark, tmp_path: Path) -> None:
    (world.baselines / "rules").mkdir(parents=True, exist_ok=True)
    other = write_entry(tmp_path / "in", system=system_with("name", '"Other"'), predictions__jsonl=GOOD)
    submission.submit(world, other.rename(tmp_path / "other"))
    made = write_entry(tmp_path / "in", system=system_with("name", f'"{name}"'), predictions__jsonl=GOOD)
    if not owner:
        assert submission.submit(world, made).state == "new"
        assert submission.submit(world, made).state == "the same"
        return
    (problem,) = entry_problems(world, made)
    assert (problem.code, owner in problem.found) == ("duplicate-id", True)


def test_the_id_stands_beside_a_name_that_looks_like_another() -> None:
    names = {"lexicon": "lexicon", "mine": "l\u0435xicon", "yours": "Lexicon", "third": "Third"}
    labels = {id: guesses(*[{X}] * number) for number, id in enumerate(names, 3)}
    about = {id: SystemInfo("entry", name) for id, name in names.items()}
    board = rank_systems(gold_of([{X}] * 9), SystemPredictions(dict(labels), about))
    assert {row.system: row.display_name for row in board.rows} == {
        "lexicon": "lexicon",
        "mine": "l\u0435xicon [mine]",
        "yours": "Lexicon [yours]",
        "third": "Third",
    }
