"""The label set (labels.toml)."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import ErrorList
from jinbench.core.types import JsonObject


@dataclass(frozen=True)
class LabelDefinition:
    """An entity type or a sector.

    Args:
        name: Identifier in the data.
        zh, en: Names that are displayed.
        hotkey: Key that sets it in Label Studio.
        definition: When it applies, in a sentence.
        examples: Surfaces or topics that it covers.
        colour: Of an entity type, `#RRGGBB`.
        alone: Of a sector, that it excludes every other.
        crosswalk: Corresponding type by crosswalk name; "" where it has none.
        loses: What a crosswalk loses.
        gbt4754: Divisions of GB/T 4754 that a sector covers.
        excludes_inside: For the linter, types that do not occur within one of this type (`holds_no` in the file).
        unit: For the linter, that it does not end in a number.
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
    excludes_inside: tuple[str, ...] = ()
    unit: bool = False


@dataclass(frozen=True)
class LabelSet:
    """Entity types and sectors, in the order of hotkeys, tag ids and all tables.

    Args:
        version: Version of the label set and its guidelines.
        release: Version of the data without errata, ending in ".0".
        title: Title of the project.
        entities: Entity types.
        sectors: Sectors; both may be empty, one at a time.
        sector_title: What the sectors are called on the page, and in the reasons of an adjudicator.
    """

    version: str
    release: str
    title: str
    entities: tuple[LabelDefinition, ...]
    sectors: tuple[LabelDefinition, ...]
    sector_title: str = "产业"

    @property
    def entity_names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.entities)

    @property
    def sector_names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.sectors)

    @property
    def tag_names(self) -> tuple[str, ...]:
        return bio_tag_names(self.entity_names)

    @property
    def lone_sectors(self) -> frozenset[str]:
        """Sectors that exclude every other sector."""
        return frozenset(label.name for label in self.sectors if label.alone)


def bio_tag_names(entity_names: Iterable[str]) -> tuple[str, ...]:
    """Return BIO tags in the order of their ids: O, then B- and I- of each type."""
    return ("O", *(f"{prefix}-{name}" for name in entity_names for prefix in "BI"))


def read_label_set(benchmark: Benchmark) -> LabelSet:
    """Read labels.toml.

    Args:
        benchmark: The benchmark.

    Returns:
        Entity types and sectors in the order of the file.

    Raises:
        DataError: [file-missing, broken-toml, wrong-shape, label-set].
    """
    table, location = files.read_toml(benchmark.labels, "labels"), files.display_path(benchmark.labels)
    by_kind = {kind: [_to_definition(entry) for entry in table.get(kind, ())] for kind in ("entity", "sector")}
    entities, sectors = by_kind.values()
    problems = ErrorList()
    if not entities and not sectors:
        expected = "an [[entity]] or a [[sector]], or more"
        fix = "jinbench init makes a file to start from, with every field explained"
        problems.add("label-set", location, expected=expected, found="neither", fix=fix)
    for kind, labels in by_kind.items():
        displayed = Counter({label.name: label.zh for label in labels}.values())  # has to differ as well
        for name, times in (*Counter(label.name for label in labels).items(), *displayed.items()):
            if times > 1:
                place, found = f"{location} [[{kind}]] {name}", f"{times} times"
                problems.add("label-set", place, expected="names that differ", found=found, fix="rename one of them")
    release = str(table.get("release", table["version"]))
    if not release.endswith(".0"):
        expected, fix = "a version as 1.0.0", "the last part counts the errata and is 0 here"
        problems.add("label-set", f"{location} release", expected=expected, found=repr(release), fix=fix)
    names = [label.name for label in entities]
    for label in entities:
        unknown = [name for name in label.excludes_inside if name not in names]
        if unknown:
            place, expected = f"{location} [[entity]] {label.name} holds_no", f"types of this file: {', '.join(names)}"
            fix = "correct the name, or take it out"
            problems.add("label-set", place, expected=expected, found=", ".join(unknown), fix=fix)
    for hotkey, times in Counter(label.hotkey for label in (*entities, *sectors)).items():
        if times > 1:
            same = [(kind, label.name) for kind, labels in by_kind.items()
                    for label in labels if label.hotkey == hotkey]  # fmt: skip
            place = f"{location} {' and '.join(f'[[{kind}]] {name}' for kind, name in same)}"
            found = f"{hotkey!r} for {' and '.join(name for _, name in same)}"
            fix = "give one of them another key"
            problems.add("label-set", place, expected="hotkeys that differ", found=found, fix=fix)
    problems.raise_if_any()
    sector_title = table.get("sector_title", LabelSet.sector_title)
    return LabelSet(table["version"], release, table["title"], tuple(entities), tuple(sectors), sector_title)


def _to_definition(entry: JsonObject) -> LabelDefinition:
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
        excludes_inside=tuple(entry.get("holds_no", ())),
        unit=bool(entry.get("unit", False)),
    )
