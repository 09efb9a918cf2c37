"""Who labelled: reads `annotation/annotators.toml`."""

from dataclasses import dataclass

from jinbench import files
from jinbench.problems import Problem, raise_if_any
from jinbench.rooms import Rooms


@dataclass(frozen=True)
class Annotator:
    """An entry of annotators.toml. `kind` says what labelled: a person, a language model."""

    name: str
    kind: str
    description: str
    guidelines: str
    date: str


@dataclass(frozen=True)
class Annotators:
    gold: str
    entries: tuple[Annotator, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(entry.name for entry in self.entries)


def read(rooms: Rooms) -> Annotators:
    """Raises :class:`DataError` (file-missing, broken-toml, wrong-shape)."""
    path = rooms.annotation / "annotators.toml"
    table = files.read_toml(path)
    keys = ("name", "kind", "description", "guidelines", "date")
    entries = table.get("annotator", [])
    problems = [
        Problem(
            "wrong-shape",
            f"{files.shown(path)} [[annotator]] {entry.get('name', number)}",
            f"a value for {', '.join(keys)}",
            f"none for {', '.join(key for key in keys if not entry.get(key))}",
            "say who or what labelled",
        )
        for number, entry in enumerate(entries, 1)
        if not all(entry.get(key) for key in keys)
    ]
    names = [entry.get("name") for entry in entries]
    if table.get("gold") not in names:
        problems.append(
            Problem(
                "wrong-shape",
                f"{files.shown(path)} gold",
                f"one of {', '.join(map(str, names))}",
                repr(table.get("gold")),
                "name the annotator whose export is the gold",
            )
        )
    raise_if_any(problems)
    return Annotators(table["gold"], tuple(Annotator(*(str(entry[key]) for key in keys)) for entry in entries))
