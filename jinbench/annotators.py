"""Who labelled: reads `annotation/annotators.toml`."""

from dataclasses import dataclass

from jinbench import files
from jinbench.problems import Problem, raise_if_any
from jinbench.rooms import Rooms

DOMAIN = "@jinbench.localhost"


def email(name: str) -> str:
    """The login of an account in Label Studio. The name is no person's, and the address leads nowhere."""
    return f"{name}{DOMAIN}"


def name_of(address: str) -> str:
    return address.removesuffix(DOMAIN)


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
    table = files.read_toml(path, "annotators")
    entries = table["annotator"]
    problems = []
    names = [entry["name"] for entry in entries]
    if table["gold"] not in names:
        problems.append(
            Problem(
                "wrong-shape",
                f"{files.shown(path)} gold",
                f"one of {', '.join(names)}",
                repr(table["gold"]),
                "name the annotator whose export is the gold",
            )
        )
    raise_if_any(problems)
    keys = ("name", "kind", "description", "guidelines", "date")
    return Annotators(table["gold"], tuple(Annotator(*(str(entry[key]) for key in keys)) for entry in entries))
