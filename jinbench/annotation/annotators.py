"""Who labelled: reads `annotation/annotators.toml`."""

import datetime
import json
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinbench.annotation.labels import LabelSet
from jinbench.core import files, schemas
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import Problem, raise_if_any

DOMAIN = "@jinbench.localhost"


def email(name: str) -> str:
    """The login of an account in Label Studio. The name is no person's, and the address leads nowhere."""
    return f"{name}{DOMAIN}"


def one_login(names: Iterable[str]) -> tuple[str, ...]:
    """Names that would be one login, as capitals make no difference there; empty if there are none."""
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        found.setdefault(name.casefold(), []).append(name)
    return next((tuple(same) for same in found.values() if len(same) > 1), ())


def name_of(address: str) -> str:
    return address.removesuffix(DOMAIN)


@dataclass(frozen=True)
class Annotator:
    """An entry of annotators.toml. `kind` says what labelled: a person, a language model.

    `adjudicates` names the annotators between whose labels this one decides; empty for all others.
    """

    name: str
    kind: str
    description: str
    guidelines: str
    date: str
    adjudicates: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reviewer:
    """Somebody who labelled a sample afterwards, blind, to test the gold. `file` is marked-up text or an export."""

    name: str
    kind: str
    description: str
    file: Path


@dataclass(frozen=True)
class Annotators:
    gold: str
    entries: tuple[Annotator, ...]
    reviewers: tuple[Reviewer, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(entry.name for entry in self.entries)

    @property
    def kinds(self) -> frozenset[str]:
        """What made the labels that the gold is made from."""
        return frozenset(entry.kind for entry in self.entries if self.is_for_gold(entry.name))

    def is_for_gold(self, name: str) -> bool:
        """Whether the gold is made from labels of `name`."""
        return name == self.gold or name in self.adjudicated

    def adjudicates(self, name: str) -> tuple[str, ...]:
        """The annotators between whose labels `name` decides; empty if it labels by itself."""
        return next((entry.adjudicates for entry in self.entries if entry.name == name), ())

    @property
    def adjudicated(self) -> tuple[str, ...]:
        """The annotators between whose labels the gold decides."""
        return self.adjudicates(self.gold)

    @property
    def independent(self) -> tuple[Annotator, ...]:
        """Those who labelled by themselves, before any adjudication."""
        return tuple(entry for entry in self.entries if not entry.adjudicates)


def read_annotators(benchmark: Benchmark) -> Annotators:
    """Raises :class:`DataError` (file-missing, broken-toml, wrong-shape)."""
    path = benchmark.annotators
    table = files.read_toml(path, "annotators", "who labels? jinbench annotate desk --annotators a,b writes it")
    entries = table["annotator"]
    problems = []
    names = [entry["name"] for entry in entries]
    if table["gold"] not in names:
        problems.append(
            Problem(
                "wrong-shape",
                location=f"{files.shown(path)} gold",
                expected=f"one of {', '.join(names)}",
                found=repr(table["gold"]),
                fix="name the annotator whose export is the gold",
            )
        )
    readers = table.get("reader", ())
    for kind, listed in (("annotator", entries), ("reader", readers)):
        for name, times in Counter(entry["name"] for entry in listed).items():
            if times > 1:
                place = f"{files.shown(path)} [[{kind}]] {name}"
                problems.append(
                    Problem(
                        "wrong-shape",
                        location=place,
                        expected="each name once",
                        found=f"{times} times",
                        fix="rename one of them",
                    )
                )
    same = one_login(names)
    if same:
        place, hint = f"{files.shown(path)} [[annotator]] {same[1]}", "rename one of them"
        problems.append(
            Problem(
                "wrong-shape",
                location=place,
                expected="names that differ in more than capitals",
                found=" and ".join(same),
                fix=hint,
            )
        )
    alone = [entry["name"] for entry in entries if "adjudicates" not in entry]
    for entry in entries:
        place = f"{files.shown(path)} {entry['name']}"
        problems += files.date_problems(entry["date"], f"{place} date")
        strangers = [name for name in entry.get("adjudicates", ()) if name not in alone]
        if strangers:
            expected, hint = f"names of {', '.join(alone)}", "name annotators who label by themselves"
            problems.append(
                Problem(
                    "wrong-shape",
                    location=f"{place} adjudicates",
                    expected=expected,
                    found=", ".join(strangers),
                    fix=hint,
                )
            )
    raise_if_any(problems)
    found = [
        Reviewer(entry["name"], entry["kind"], entry["description"], benchmark.annotation / entry["file"])
        for entry in readers
    ]
    return Annotators(table["gold"], tuple(_annotator(entry) for entry in entries), tuple(found))


def _annotator(entry: dict[str, Any]) -> Annotator:
    return Annotator(
        entry["name"],
        entry["kind"],
        entry["description"],
        entry["guidelines"],
        str(entry["date"]),
        tuple(entry.get("adjudicates", ())),
    )


ADJUDICATOR = "adjudicator"
_HOW = "Labels in Label Studio. Say here who or what it is, and how it works."


def add_annotators(benchmark: Benchmark, label_set: LabelSet, names: Sequence[str], kind: str) -> list[str]:
    """Add to annotators.toml those of `names` that are not in it. Returns the new ones.

    Where there is no such file, one is made: two or more are adjudicated between, the labels of one alone are the gold.
    Raises :class:`DataError` (wrong-shape, and those of the file that is there).
    """
    path = benchmark.annotators
    today = datetime.date.today().isoformat()
    if path.is_file():
        known, text = read_annotators(benchmark).names, files.read_text(path).rstrip("\n") + "\n"
    else:
        known = ()
        gold = ADJUDICATOR if len(names) > 1 else names[0]
        text = "# Who labels. `gold` names the export that `dataset/` is built from.\n"
        text += f"gold = {files.toml_string(gold)}\n"
        names = [*names, *([ADJUDICATOR] if gold == ADJUDICATOR else [])]
    new = [name for name in dict.fromkeys(names) if name not in known]
    for name in new:
        description = "Decides where annotators differ." if name == ADJUDICATOR else _HOW
        fields = {"name": name, "kind": kind, "description": description, "guidelines": label_set.version}
        text += "\n[[annotator]]\n"
        text += "".join(f"{key} = {files.toml_string(value)}\n" for key, value in fields.items())
        text += f"date = {today}\n"
        if name == ADJUDICATOR and not known:
            text += f"adjudicates = {json.dumps([name for name in names if name != ADJUDICATOR])}\n"
    if new:
        schemas.check_shape(tomllib.loads(text), "annotators", files.shown(path))
        files.write_text(path, text)
    return new
