"""The one label set: reads `annotation/labels.toml` and makes the labeling configuration of Label Studio from it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import quoteattr

from jinbench import files
from jinbench.problems import DataError, Problem, raise_if_any
from jinbench.rooms import Rooms


@dataclass(frozen=True)
class Label:
    """An entity type or a sector. `alone`: it excludes every other of its kind."""

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


@dataclass(frozen=True)
class LabelSet:
    """Order matters: it is that of the hotkeys, the tag ids and all tables.

    `version` is that of the label set and its guidelines, `release` that of the data without errata.
    """

    version: str
    release: str
    title: str
    entities: tuple[Label, ...]
    sectors: tuple[Label, ...]

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


def read(rooms: Rooms) -> LabelSet:
    """Raises :class:`DataError` (file-missing, broken-toml, wrong-shape, label-set)."""
    table = files.read_toml(rooms.labels, "labels")
    where = files.shown(rooms.labels)
    entities, sectors = ([_label(entry) for entry in table.get(kind, ())] for kind in ("entity", "sector"))
    problems = []
    for kind, found in (("entity", entities), ("sector", sectors)):
        for name, times in Counter(label.name for label in found).items():
            if times > 1:
                place = f"{where} [[{kind}]] {name}"
                problems.append(
                    Problem("label-set", place, "names that differ", f"{times} times", "rename one of them")
                )
    release = table.get("release", table["version"])
    if not release.endswith(".0"):
        hint = "the last part counts the errata and is 0 here"
        problems.append(Problem("label-set", f"{where} release", "a version as 1.0.0", repr(release), hint))
    for hotkey, times in Counter(label.hotkey for label in (*entities, *sectors)).items():
        if times > 1:
            names = " and ".join(label.name for label in (*entities, *sectors) if label.hotkey == hotkey)
            found_keys = f"{hotkey!r} for {names}"
            problems.append(
                Problem("label-set", where, "hotkeys that differ", found_keys, "give one of them another key")
            )
    raise_if_any(problems)
    return LabelSet(table["version"], release, table["title"], tuple(entities), tuple(sectors))


def _label(entry: dict[str, Any]) -> Label:
    return Label(
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
    )


# The names by which an export refers to the parts of the page.
TEXT, SPANS, SECTORS, REASONS = "text", "entities", "sectors", "reasons"


def labeling_config(labels: LabelSet, reasons: bool = False) -> str:
    """The page an annotator sees, as Label Studio XML; with `reasons`, what an adjudicator sees.

    The stored values are the names (`alias`), what is shown is Chinese. Characters are selected one by one
    (`granularity="symbol"`): word by word the selection would snap to the browser's own dictionary.
    """

    def label(entry: Label) -> str:
        return (
            f"    <Label value={quoteattr(entry.zh)} alias={quoteattr(entry.name)} hotkey={quoteattr(entry.hotkey)}"
            f" background={quoteattr(entry.colour)} hint={quoteattr(entry.definition)}/>"
        )

    def choice(entry: Label) -> str:
        return (
            f"      <Choice value={quoteattr(entry.zh)} alias={quoteattr(entry.name)} hotkey={quoteattr(entry.hotkey)}"
            f" hint={quoteattr(entry.definition)}/>"
        )

    lines = [
        "<!-- Generated from labels.toml by `jinbench labels config`. -->",
        "<View>",
        "  <Style>",
        "    .passage { font-size: 18px; line-height: 2; margin: 8px 0; }",
        "    .context { color: #5f6368; font-size: 14px; }",
        "  </Style>",
        '  <Header value="$title" size="4"/>',
        f'  <Labels name="{SPANS}" toName="{TEXT}" showInline="true">',
        *(label(entry) for entry in labels.entities),
        "  </Labels>",
        '  <View className="context"><Text name="before" value="$before"/></View>',
        '  <View className="passage">',
        f'    <Text name="{TEXT}" value="$text" granularity="symbol"/>',
        "  </View>",
        '  <View className="context"><Text name="after" value="$after"/></View>',
    ]
    if labels.sectors:
        lines += [
            f'  <Choices name="{SECTORS}" toName="{TEXT}" choice="multiple" showInline="true" required="true">',
            *(choice(entry) for entry in labels.sectors),
            "  </Choices>",
        ]
    if reasons:
        lines += [
            '  <Header value="裁定理由:每处分歧一条,写成“文字: 理由”,产业写成“产业: 理由”" size="6"/>',
            f'  <TextArea name="{REASONS}" toName="{TEXT}" rows="1" editable="true" maxSubmissions="99"/>',
        ]
    return "\n".join([*lines, "</View>"]) + "\n"


def check_config(rooms: Rooms, labels: LabelSet) -> None:
    """Raises :class:`DataError` (stale-config) if labeling_config.xml is not what labels.toml gives."""
    path = rooms.labeling_config
    if not path.is_file() or files.read_text(path) != labeling_config(labels):
        found = "something else or nothing"
        raise DataError(
            Problem("stale-config", files.shown(path), "what labels.toml gives", found, "jinbench labels config")
        )
