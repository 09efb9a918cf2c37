"""Annotators and roles (annotators.toml)."""

import datetime
import json
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinbench.annotation.labels import LabelSet
from jinbench.core import files, schemas
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import ErrorList
from jinbench.core.types import JsonObject

DOMAIN = "@jinbench.localhost"
ADJUDICATOR = "adjudicator"
_DESCRIPTION = "Labels in Label Studio. Say here who or what it is, and how it works."


def account_email(name: str) -> str:
    """Return the login of an annotator in Label Studio: an address that leads nowhere and names no person."""
    return f"{name}{DOMAIN}"


def account_name(email: str) -> str:
    """Return the annotator of a login."""
    return email.removesuffix(DOMAIN)


def find_login_clash(names: Iterable[str]) -> tuple[str, ...]:
    """Return names that would be one login, as Label Studio ignores case; empty if there are none."""
    by_login: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        by_login.setdefault(name.casefold(), []).append(name)
    return next((tuple(same) for same in by_login.values() if len(same) > 1), ())


@dataclass(frozen=True)
class Annotator:
    """An entry of annotators.toml.

    Args:
        name: Its account in Label Studio and the name of its export.
        kind: Who or what labelled: "person", "language model", …
        description: Free text.
        guidelines: Version of the guidelines that it followed.
        date: ISO date of its labels.
        adjudicates: The annotators whose disagreements it decides; empty if it labels by itself.
    """

    name: str
    kind: str
    description: str
    guidelines: str
    date: str
    adjudicates: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reviewer:
    """A person or model that labelled a sample afterwards, independently, to test the gold.

    `file` is an export or marked-up text.
    """

    name: str
    kind: str
    description: str
    file: Path


@dataclass(frozen=True)
class Annotators:
    """The annotators of a benchmark.

    Args:
        gold: Name of the annotator whose export is the gold.
        entries: All annotators, in the order of annotators.toml.
        reviewers: Those who labelled a sample to test the gold.
    """

    gold: str
    entries: tuple[Annotator, ...]
    reviewers: tuple[Reviewer, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(entry.name for entry in self.entries)

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of the annotators that the gold is made from."""
        return frozenset(entry.kind for entry in self.entries if self.is_gold_source(entry.name))

    def is_gold_source(self, name: str) -> bool:
        """Return whether the gold is made from labels of `name`."""
        return name == self.gold or name in self.adjudicated

    def adjudicated_by(self, name: str) -> tuple[str, ...]:
        """Return the annotators whose disagreements `name` decides; empty if it labels by itself."""
        return next((entry.adjudicates for entry in self.entries if entry.name == name), ())

    @property
    def adjudicated(self) -> tuple[str, ...]:
        """Annotators whose disagreements the gold decides."""
        return self.adjudicated_by(self.gold)

    @property
    def independent(self) -> tuple[Annotator, ...]:
        """Annotators who labelled by themselves, before any adjudication."""
        return tuple(entry for entry in self.entries if not entry.adjudicates)


def read_annotators(benchmark: Benchmark) -> Annotators:
    """Read annotators.toml.

    Args:
        benchmark: The benchmark.

    Returns:
        Annotators, reviewers, and whose labels are the gold.

    Raises:
        DataError: [file-missing, broken-toml, wrong-shape].
    """
    path, location = benchmark.annotators, files.display_path(benchmark.annotators)
    table = files.read_toml(path, "annotators", "who labels? jinbench annotate push --annotators a,b writes it")
    entries, reviewers = table["annotator"], table.get("reader", ())
    problems = ErrorList()
    names = [entry["name"] for entry in entries]
    if table["gold"] not in names:
        expected, fix = f"one of {', '.join(names)}", "name the annotator whose export is the gold"
        problems.add("wrong-shape", f"{location} gold", expected=expected, found=repr(table["gold"]), fix=fix)
    for kind, listed in (("annotator", entries), ("reader", reviewers)):
        for name, times in Counter(entry["name"] for entry in listed).items():
            if times > 1:
                place, found = f"{location} [[{kind}]] {name}", f"{times} times"
                problems.add("wrong-shape", place, expected="each name once", found=found, fix="rename one of them")
    if clash := find_login_clash(names):
        place, expected = f"{location} [[annotator]] {clash[1]}", "names that differ in more than capitals"
        problems.add("wrong-shape", place, expected=expected, found=" and ".join(clash), fix="rename one of them")
    independent = [entry["name"] for entry in entries if "adjudicates" not in entry]
    for entry in entries:
        problems += files.date_problems(entry["date"], f"{location} {entry['name']} date")
        unknown = [name for name in entry.get("adjudicates", ()) if name not in independent]
        if unknown:
            place, expected = f"{location} {entry['name']} adjudicates", f"names of {', '.join(independent)}"
            fix = "name annotators who label by themselves"
            problems.add("wrong-shape", place, expected=expected, found=", ".join(unknown), fix=fix)
    problems.raise_if_any()
    return Annotators(
        table["gold"],
        tuple(_to_annotator(entry) for entry in entries),
        tuple(Reviewer(r["name"], r["kind"], r["description"], benchmark.annotation / r["file"]) for r in reviewers),
    )


def _to_annotator(entry: JsonObject) -> Annotator:
    return Annotator(
        entry["name"],
        entry["kind"],
        entry["description"],
        entry["guidelines"],
        str(entry["date"]),
        tuple(entry.get("adjudicates", ())),
    )


def add_annotators(benchmark: Benchmark, label_set: LabelSet, names: Sequence[str], kind: str) -> list[str]:
    """Add to annotators.toml those of `names` that are not in it; return the new ones.

    A new file gets an adjudicator if there are two names or more; otherwise the labels of the one annotator are the
    gold. Raises :class:`DataError` (wrong-shape, and those of the present file).
    """
    path = benchmark.annotators
    today = datetime.date.today().isoformat()
    if path.is_file():
        present, text = read_annotators(benchmark).names, files.read_text(path).rstrip("\n") + "\n"
    else:
        present = ()
        gold = ADJUDICATOR if len(names) > 1 else names[0]
        text = "# Who labels. `gold` names the export that `dataset/` is built from.\n"
        text += f"gold = {files.toml_string(gold)}\n"
        names = [*names, *([ADJUDICATOR] if gold == ADJUDICATOR else [])]
    new = [name for name in dict.fromkeys(names) if name not in present]
    for name in new:
        description = "Decides where annotators differ." if name == ADJUDICATOR else _DESCRIPTION
        fields = {"name": name, "kind": kind, "description": description, "guidelines": label_set.version}
        text += "\n[[annotator]]\n"
        text += "".join(f"{key} = {files.toml_string(value)}\n" for key, value in fields.items())
        text += f"date = {today}\n"
        if name == ADJUDICATOR and not present:
            text += f"adjudicates = {json.dumps([name for name in names if name != ADJUDICATOR])}\n"
    if new:
        schemas.check_shape(tomllib.loads(text), "annotators", files.display_path(path))
        files.write_text(path, text)
    return new
