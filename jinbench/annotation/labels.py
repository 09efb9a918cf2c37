"""The one label set: reads `annotation/labels.toml` and makes the labeling configuration of Label Studio from it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import Problem, raise_if_any


@dataclass(frozen=True)
class LabelDefinition:
    """An entity type or a sector. `alone`: it excludes every other of its kind.

    For the linter, `holds_no`: types that do not stand within one of this type; `unit`: it does not end in a number.
    """

    name: str
    zh: str
    en: str
    hotkey: str
    definition: str
    examples: tuple[str, ...]
    colour: str = ""
    alone: bool = False
    crosswalk: dict[str, str] | None = None
    loses: str = ""
    gbt4754: tuple[str, ...] = ()
    holds_no: tuple[str, ...] = ()
    unit: bool = False


@dataclass(frozen=True)
class LabelSet:
    """Order matters: it is that of the hotkeys, the tag ids and all tables.

    `version` is that of the label set and its guidelines, `release` that of the data without errata.
    """

    version: str
    release: str
    title: str
    entities: tuple[LabelDefinition, ...]
    sectors: tuple[LabelDefinition, ...]

    @property
    def entity_names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.entities)

    @property
    def sector_names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.sectors)

    @property
    def tag_names(self) -> tuple[str, ...]:
        return tags_of(self.entity_names)

    @property
    def lone_sectors(self) -> frozenset[str]:
        """Sectors that hold only when no other does."""
        return frozenset(label.name for label in self.sectors if label.alone)


def tags_of(entity_names: Iterable[str]) -> tuple[str, ...]:
    """BIO tags in the order of their ids: O, then B- and I- of each type."""
    return ("O", *(f"{prefix}-{name}" for name in entity_names for prefix in "BI"))


def read_label_set(benchmark: Benchmark) -> LabelSet:
    """Raises :class:`DataError` (file-missing, broken-toml, wrong-shape, label-set)."""
    table = files.read_toml(benchmark.labels, "labels")
    where = files.shown(benchmark.labels)
    entities, sectors = ([_label(entry) for entry in table.get(kind, ())] for kind in ("entity", "sector"))
    problems = []
    if not entities and not sectors:
        hint = "jinbench init makes a file to start from, with every field explained"
        problems.append(
            Problem(
                "label-set",
                location=where,
                expected="an [[entity]] or a [[sector]], or more",
                found="neither",
                fix=hint,
            )
        )
    for kind, found in (("entity", entities), ("sector", sectors)):
        shown = Counter({label.name: label.zh for label in found}.values())  # what the page shows has to differ too
        for name, times in (*Counter(label.name for label in found).items(), *shown.items()):
            if times > 1:
                place = f"{where} [[{kind}]] {name}"
                problems.append(
                    Problem(
                        "label-set",
                        location=place,
                        expected="names that differ",
                        found=f"{times} times",
                        fix="rename one of them",
                    )
                )
    release = table.get("release", table["version"])
    if not release.endswith(".0"):
        hint = "the last part counts the errata and is 0 here"
        problems.append(
            Problem(
                "label-set", location=f"{where} release", expected="a version as 1.0.0", found=repr(release), fix=hint
            )
        )
    for entry in entities:
        strangers = [name for name in entry.holds_no if name not in {each.name for each in entities}]
        if strangers:
            place, hint = f"{where} [[entity]] {entry.name} holds_no", "correct the name, or take it out"
            expected = f"types of this file: {', '.join(each.name for each in entities)}"
            problems.append(
                Problem("label-set", location=place, expected=expected, found=", ".join(strangers), fix=hint)
            )
    for hotkey, times in Counter(label.hotkey for label in (*entities, *sectors)).items():
        if times > 1:
            having = [(kind, label.name) for kind, found in (("entity", entities), ("sector", sectors))
                      for label in found if label.hotkey == hotkey]  # fmt: skip
            place = f"{where} {' and '.join(f'[[{kind}]] {name}' for kind, name in having)}"
            found_keys = f"{hotkey!r} for {' and '.join(name for _, name in having)}"
            problems.append(
                Problem(
                    "label-set",
                    location=place,
                    expected="hotkeys that differ",
                    found=found_keys,
                    fix="give one of them another key",
                )
            )
    raise_if_any(problems)
    return LabelSet(table["version"], release, table["title"], tuple(entities), tuple(sectors))


def _label(entry: dict[str, Any]) -> LabelDefinition:
    return LabelDefinition(
        name=entry["name"],
        zh=entry["zh"],
        en=entry["en"],
        hotkey=entry["hotkey"],
        definition=entry["definition"],
        examples=tuple(entry.get("examples", ())),
        colour=entry.get("colour", ""),
        alone=bool(entry.get("alone", False)),
        crosswalk=entry.get("crosswalk"),
        loses=entry.get("loses", ""),
        gbt4754=tuple(entry.get("gbt4754", ())),
        holds_no=tuple(entry.get("holds_no", ())),
        unit=bool(entry.get("unit", False)),
    )
