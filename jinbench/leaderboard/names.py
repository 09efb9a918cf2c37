"""Names of systems that can be seen and told apart."""

import tomllib
import unicodedata
from functools import lru_cache
from pathlib import Path

MAX_MARKS = 4  # marks on one letter; more reach into other lines
_BLANKS = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0\U00016fe4\U0001d159"
_SEQUENCES = {"rn": "m", "vv": "w"}


@lru_cache(maxsize=1)
def _look_alikes() -> dict[int, str]:
    text = Path(__file__).with_name("look_alikes.toml").read_text(encoding="utf-8")
    return str.maketrans({other: letter for letter, others in tomllib.loads(text).items() for other in others})


def fold_name(name: str) -> str:
    """Return what names that look alike have in common: compatibility, case, diacritics, look-alikes, blanks."""
    letters = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", name).translate(_look_alikes()).casefold())
    folded = "".join(
        letter
        for letter in letters
        if not is_invisible(letter) and not 200 < unicodedata.combining(letter) < 240  # above, below, through
    )
    folded = " ".join(unicodedata.normalize("NFKC", folded).translate(_look_alikes()).split())
    for sequence, letter in _SEQUENCES.items():
        folded = folded.replace(sequence, letter)
    return folded


def is_invisible(character: str) -> bool:
    """Return True for what no reader sees: control and format characters, fillers, variation selectors."""
    variation = "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
    return variation or character in _BLANKS or unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn")


def find_illegible(text: str) -> str:
    """Return the first character of a line that cannot be seen or marks nothing, as U+…; empty without one."""
    marks = 0
    for before, character in zip(" " + text, text, strict=False):
        marks = marks + 1 if unicodedata.category(character).startswith("M") else 0
        if is_invisible(character) or marks > MAX_MARKS or (marks and before.isspace()):
            return f"U+{ord(character):04X}"
    return ""
