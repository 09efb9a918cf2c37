"""What became of the replies of a language model: whatever is left out is left out with a reason, and counted."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jinbench.core.errors import shorten
from jinbench.llm import align

# Why a whole reply gives no prediction, and why a label of a reply is left out.
UNUSABLE = {
    "empty-reply": "the reply is empty",
    "refused": "the model, or the service that runs it, refused",
    "unreadable": "no JSON and no markup found",
    "truncated": "the reply breaks off before its first label is whole",
    "no-reply": "the item has no reply",
}
DROPPED = {
    align.ABSENT: "the surface is not in the text",
    align.REPEATED: "the surface is given more often than it occurs",
    align.OVERLAP: "it overlaps another label",
    align.EMPTY: "the surface is empty",
    "unknown-type": "the label does not exist",
    "shapeless": "an element without surface and type",
}
NOTES = {
    "salvaged": "replies that break off or are broken, read as far as they are whole",
    "several": "replies with several lists, of which the last was taken",
    "altered": "marked-up texts that differ from the item's, whose marks were aligned in order",
    "outside": "marks outside of the text, in what the model says about it",
    "unmarked": "texts given back without a mark, taken as: no labels",
    "offsets-ignored": "labels whose offsets do not point at their surface, aligned without them",
    "left-ignored": "labels whose left context is not there, aligned without it",
    "twice": "labels of a passage given twice, counted once",
}


@dataclass
class ParseReport:
    """What became of the replies. `where[reason]` lists (id, what) for everything that was left out."""

    task: str
    split: str
    items: int
    replies: int = 0
    used: int = 0
    labels: int = 0
    kept: int = 0
    how: Counter[str] = field(default_factory=Counter)
    ambiguous: int = 0
    notes: Counter[str] = field(default_factory=Counter)
    mapped: Counter[tuple[str, str]] = field(default_factory=Counter)
    where: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))

    def leave_out(self, reason: str, id: str, what: str = "") -> None:
        self.where[reason].append((id, shorten(what, 60) if what else ""))

    def to_dict(self) -> dict[str, Any]:
        def reasons(table: Mapping[str, str]) -> dict[str, Any]:
            return {
                reason: {"why": why, "count": len(found), "where": [{"id": id, "what": what} for id, what in found]}
                for reason, why in table.items()
                if (found := self.where.get(reason))
            }

        return {
            "task": self.task,
            "split": self.split,
            "items": self.items,
            "replies": self.replies,
            "used": self.used,
            "unusable": reasons(UNUSABLE),
            "labels": self.labels,
            "kept": self.kept,
            "aligned": dict(sorted(self.how.items())),
            "ambiguous": self.ambiguous,
            "dropped": reasons(DROPPED),
            "notes": {note: self.notes[note] for note in NOTES if self.notes[note]},
            "mapped": [{"from": said, "to": name, "count": n} for (said, name), n in sorted(self.mapped.items())],
        }

    def __str__(self) -> str:
        lines = [f"{self.task}/{self.split}: {self.items} items, {self.replies} replies, {self.used} could be used"]
        lines += self._reasons(UNUSABLE)
        how = ", ".join(f"{count} {name}" for name, count in sorted(self.how.items()))
        lines.append(f"{self.labels} labels in them, {self.kept} kept" + (f": {how}" if how else ""))
        if self.ambiguous:
            lines.append(
                f"  {self.ambiguous} of them ambiguous: the words stand elsewhere too; the first place was taken"
            )
        lines += self._reasons(DROPPED)
        lines += [f"  {self.notes[note]:>6}  {what}" for note, what in NOTES.items() if self.notes[note]]
        lines += [f"  {count:>6}  {said!r} read as {name}" for (said, name), count in sorted(self.mapped.items())]
        return "\n".join(lines)

    def _reasons(self, table: Mapping[str, str], examples: int = 3) -> list[str]:
        lines = []
        for reason, why in table.items():
            found = self.where.get(reason, [])
            if found:
                shown = "; ".join(f"{id} {what}".strip() for id, what in found[:examples])
                lines.append(f"  {len(found):>6}  {why} ({reason}): {shown}{'; …' * (len(found) > examples)}")
        return lines
