"""Error codes and exceptions.

Every check has a code that never changes; `tests/bad/<code>.toml` breaks it.
A check collects all problems in an :class:`ErrorList`, then raises one :class:`DataError` with all of them.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import NoReturn

from jinbench.core.text import escape_invisible

IN_EXCEPTION = 3  # problems of one code that the text of an exception shows
MANY, IN_TERMINAL = 50, 20  # of more than `MANY` problems of one code in one file, a command prints so many

CODES = {
    "file-missing": "a file is missing or cannot be read",
    "not-utf8": "a file is not UTF-8",
    "file-binary": "a file is compressed or binary instead of text",
    "file-too-big": "a file is far larger than its contents can be",
    "broken-toml": "a TOML file does not parse",
    "broken-json": "a JSON file, or one line of a JSON Lines file, does not parse",
    "broken-parquet": "a Parquet file, or a part of one, cannot be read",
    "plan-differs": "a folder holds the results of a run with other settings or input",
    "file-changed": "a file of the dataset is not the one that manifest.json lists",
    "wrong-shape": "a value is missing or of the wrong type",
    "pages-missing": "a benchmark has no pages yet, or no articles",
    "page-empty": "a page has no text",
    "page-changed": "a page is not the one that articles.toml describes",
    "page-unlisted": "a page lies in seeds/pages and articles.toml does not mention it",
    "page-control-character": "a page holds a control character",
    "extraction-failed": "the text of a web page cannot be extracted within the limits of time and memory",
    "line-outside-page": "articles.toml names a line, or a part of one, that the page does not have",
    "line-used-twice": "articles.toml uses the same characters of a page twice",
    "line-unused": "articles.toml leaves out a line that is not blank",
    "passage-truncated": "a passage ends in mid-sentence and is not marked as truncated by the page",
    "correction-fails": "a correction in articles.toml does not fit the page, or changes the number of characters",
    "repair-unknown": "articles.toml asks for a repair that does not exist",
    "label-set": "labels.toml contradicts itself",
    "stale-config": "labeling_config.xml is not up to date with labels.toml",
    "guidelines": "the guidelines still have a TODO, or their table of keys does not fit labels.toml",
    "assignment-unknown": "shares.csv assigns an unknown article, or one to nobody, or twice",
    "foreign-export": "an export comes from another project or from other pages",
    "export-text-differs": "the text of an exported task is not the text of its passage",
    "passage-unlabelled": "a passage has no submitted annotation in the export",
    "annotated-twice": "one annotator has two annotations on the same passage",
    "unknown-label": "a label that labels.toml does not have",
    "span-outside-text": "a span begins before its text, ends after it, or is empty",
    "span-text-differs": "the surface of a span is not the text at its offsets",
    "spans-overlap": "two spans of one text overlap",
    "span-crosses-sentence": "a span begins in one sentence and ends in another",
    "general-not-alone": "the sector that must be alone is beside another",
    "nothing-in-common": "two annotators, or fewer, labelled no passage together",
    "reason-unused": "a reason of an adjudicator belongs to no disagreement",
    "reason-missing": "an adjudicator decided a disagreement and does not say why",
    "accepted-in-vain": "accepted.toml lists a warning that the linter does not give",
    "erratum-differs": "an erratum does not match the gold",
    "item-changed": "an item of the dataset is not the one that manifest.json lists",
    "item-missing": "an item that manifest.json lists is not in the dataset",
    "item-unknown": "an item of the dataset that manifest.json does not list",
    "wrong-version": "rows of another version of the dataset than the one they are compared with",
    "standoff": "a dataset without its texts, where one with them is needed",
    "leak": "the same text is in two splits",
    "repo-id": "an invalid name of a dataset on the Hub",
    "repo-unknown": "a dataset that is not on the Hub, or is private",
    "revision-unknown": "a revision that a dataset on the Hub does not have",
    "version-taken": "a version that is on the Hub already, with other contents",
    "arrived-differs": "files read back from the Hub differ from those sent",
    "token-refused": "the Hub requires a token, or another one",
    "hub-unreachable": "the Hub does not answer, or refuses",
    "markup-differs": "marked-up text without its marks is not its passage",
    "folder-taken": "a folder that would be emptied holds something else",
    "unknown-id": "an id that the dataset does not have",
    "duplicate-id": "an id that occurs twice",
    "split-mismatch": "splits.csv does not name each article once, or separates a story",
    "wrong-task": "a recipe or submission is for another task",
    "recipe-broken": "a recipe does not run, or predicts the wrong number of items",
    "package-missing": "a package that is needed is not installed",
    "wrong-tags": "unknown tags, or an invalid sequence of tags",
    "wrong-scheme": "a scheme of tags, or a repair of them, that does not exist",
    "format-unknown": "an unknown corpus format, or a file whose format is ambiguous",
    "conversion-loses": "a format cannot represent a corpus, and --strict forbids losses",
    "declaration-unknown": "a recipe declares an unknown crosswalk or oracle input",
}


@dataclass(frozen=True)
class Problem:
    """One error in some input: its code and place, what was expected, what was found, and how to fix it."""

    code: str
    _: KW_ONLY
    location: str
    expected: str
    found: str
    fix: str

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise KeyError(f"unregistered problem code {self.code!r}")

    def __str__(self) -> str:
        location, expected, found, fix = map(escape_invisible, (self.location, self.expected, self.found, self.fix))
        return f"{location}: {self.code}\n  expected {expected}\n  found    {found}\n  try      {fix}"


class ErrorList(list[Problem]):
    """Problems that a check collects, to be raised together."""

    def add(self, code: str, location: str, *, expected: str, found: str, fix: str) -> None:
        """Append a :class:`Problem`."""
        self.append(Problem(code, location=location, expected=expected, found=found, fix=fix))

    def raise_if_any(self) -> None:
        """Raise :class:`DataError` with all problems, or do nothing if there are none."""
        raise_if_any(self)


class JinbenchError(Exception):
    """Anything that ends a command with a message instead of a result.

    `problems` is empty for an error with a bare message. `str()` abridges them: see :func:`abridge_problems`.
    """

    def __init__(self, cause: str | Problem | Iterable[Problem]) -> None:
        if isinstance(cause, Problem):
            cause = (cause,)
        self.problems = () if isinstance(cause, str) else tuple(cause)
        super().__init__(cause if isinstance(cause, str) else self.problems)

    @property
    def codes(self) -> frozenset[str]:
        """The codes of its problems."""
        return frozenset(problem.code for problem in self.problems)

    def __str__(self) -> str:
        if not self.problems:
            return super().__str__()
        return "\n".join(abridge_problems(self.problems, limit=IN_EXCEPTION, above=IN_EXCEPTION, by_file=False))


class DataError(JinbenchError):
    """Invalid input: one or more :class:`Problem`."""

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        super().__init__(problems)


class UsageError(JinbenchError):
    """Arguments that do not fit each other, or the benchmark."""


class ServerError(JinbenchError):
    """Label Studio or the Hub is not there, refuses, or holds something that must not be overwritten."""


def fail(code: str, location: str, *, expected: str, found: str, fix: str) -> NoReturn:
    """Raise :class:`DataError` with one problem."""
    raise DataError(Problem(code, location=location, expected=expected, found=found, fix=fix))


def raise_if_any(problems: Iterable[Problem]) -> None:
    """Raise :class:`DataError` with all of `problems`, or do nothing if there are none."""
    if problems := tuple(problems):
        raise DataError(problems)


def abridge_problems(
    problems: Sequence[Problem], *, limit: int = IN_TERMINAL, above: int = MANY, by_file: bool = True
) -> list[str]:
    """Format problems, of a frequent kind only the first `limit` and the number of the rest.

    A kind is a code, with `by_file` a code in one file.
    """

    def kind(problem: Problem) -> tuple[str, ...]:
        file = re.sub(r"(:\d+( .*)?| task .*)$", "", problem.location)
        return (file, problem.code) if by_file else (problem.code,)

    totals = Counter(map(kind, problems))
    counts: Counter[tuple[str, ...]] = Counter()
    texts = []
    for problem in problems:
        key = kind(problem)
        counts[key] += 1
        if totals[key] <= above or counts[key] <= limit:
            texts.append(str(problem))
        elif counts[key] == totals[key]:
            texts.append(f"{': '.join(key)}, {totals[key] - limit:,} more")
    return texts


def shorten(value: object, limit: int = 40) -> str:
    """Return `value` as a message shows it: `repr`, at most `limit` characters, cut in the middle."""
    try:
        text = value if isinstance(value, str) else repr(value)
    except RecursionError:
        text = f"a {type(value).__name__} in many layers"
    except ValueError:  # Python does not write a number of more than some thousand digits
        text = f"a {type(value).__name__} with thousands of digits"
    if len(text) > limit:
        half = (limit - 1) // 2
        text = f"{text[:half]}…{text[-half:]}"
    return repr(text) if isinstance(value, str) else text
