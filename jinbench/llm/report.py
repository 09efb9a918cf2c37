"""Parse report: what could not be used of the replies of a language model, and why."""

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
    "unreadable": "no answer found that can be read",
    "truncated": "the reply breaks off within its reasoning, or before a label is complete",
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
    "salvaged": "replies that break off or are broken, of which the complete elements were read",
    "several": "replies with several answers, of which the last was taken",
    "altered": "marked-up texts that differ from that of the item, whose marks were aligned in order",
    "outside": "marks outside of the text, in what the model says about it",
    "unmarked": "texts given back without a mark, taken as: no labels",
    "offsets-ignored": "labels whose offsets do not point at their surface, aligned without them",
    "left-ignored": "labels whose left context is not there, aligned without it",
    "twice": "labels of a passage given twice, counted once",
}


@dataclass
class ParseReport:
    """Counts of what was used of the replies. `left_out[reason]` lists (id, what) for everything that was not."""

    task: str
    split: str
    items: int
    replies: int = 0
    used: int = 0
    labels: int = 0
    accepted: int = 0
    methods: Counter[str] = field(default_factory=Counter)
    ambiguous: int = 0
    notes: Counter[str] = field(default_factory=Counter)
    mapped: Counter[tuple[str, str]] = field(default_factory=Counter)
    left_out: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))

    def leave_out(self, reason: str, id: str, what: str = "") -> None:
        self.left_out[reason].append((id, shorten(what, 60) if what else ""))

    def to_dict(self) -> dict[str, Any]:
        def reasons(table: Mapping[str, str]) -> dict[str, object]:
            return {
                reason: {"why": why, "count": len(cases), "where": [{"id": id, "what": what} for id, what in cases]}
                for reason, why in table.items()
                if (cases := self.left_out.get(reason))
            }

        return {
            "task": self.task,
            "split": self.split,
            "items": self.items,
            "replies": self.replies,
            "used": self.used,
            "unusable": reasons(UNUSABLE),
            "labels": self.labels,
            "kept": self.accepted,
            "aligned": dict(sorted(self.methods.items())),
            "ambiguous": self.ambiguous,
            "dropped": reasons(DROPPED),
            "notes": {note: self.notes[note] for note in NOTES if self.notes[note]},
            "mapped": [{"from": alias, "to": name, "count": n} for (alias, name), n in sorted(self.mapped.items())],
        }

    def __str__(self) -> str:
        lines = [f"{self.task}/{self.split}: {self.items} items, {self.replies} replies, {self.used} could be used"]
        lines += self._reasons(UNUSABLE)
        how = ", ".join(f"{count} {name}" for name, count in sorted(self.methods.items()))
        lines.append(f"{self.labels} labels in them, {self.accepted} kept" + (f": {how}" if how else ""))
        if self.ambiguous:
            lines.append(
                f"  {self.ambiguous} of them ambiguous: the surface also occurs elsewhere; the first place was taken"
            )
        lines += self._reasons(DROPPED)
        lines += [f"  {self.notes[note]:>6}  {what}" for note, what in NOTES.items() if self.notes[note]]
        lines += [f"  {count:>6}  {alias!r} read as {name}" for (alias, name), count in sorted(self.mapped.items())]
        return "\n".join(lines)

    def _reasons(self, table: Mapping[str, str], examples: int = 3) -> list[str]:
        lines = []
        for reason, why in table.items():
            if cases := self.left_out.get(reason, []):
                first = "; ".join(f"{id} {what}".strip() for id, what in cases[:examples])
                lines.append(f"  {len(cases):>6}  {why} ({reason}): {first}{'; …' * (len(cases) > examples)}")
        return lines
