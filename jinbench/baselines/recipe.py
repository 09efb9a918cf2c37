"""What a recipe declares, read from its file without running it.

A recipe is a Python file with these at its top level, each a literal, and a function `make()`:

- `TASK`: "ner" or "sector"; `SEED`: a whole number, with which the generators of Python and numpy start in every round
- `NEEDS`: names of packages beyond those of jinbench itself, as pip knows them
- `CROSSWALK` (ner): the recipe learns, predicts and is scored on the coarse labels of a crosswalk of labels.toml
- `GIVEN` (sector): what of the gold its rows have besides: `("entities",)`. It says what knowing that would be worth
- `CURVE`: True if `jinbench run` is to measure its learning curve too
"""

import ast
import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, Problem, raise_if_any
from jinbench.scoring import gold

GIVEABLE = {"ner": (), "sector": ("entities",)}
EXTRA = "baselines"  # of jinbench: what its own recipes need
_MUST = ("TASK", "SEED", "make")
_TYPES = {
    "SEED": (int, "a whole number"),
    "NEEDS": (tuple, 'names of packages: ("jieba",)'),
    "GIVEN": (tuple, 'names of what is given: ("entities",)'),
    "CROSSWALK": (str, "the name of a crosswalk"),
    "CURVE": (bool, "True or False"),
}


@dataclass(frozen=True)
class Recipe:
    """What stands in the file. `summary` is the first line of its docstring."""

    name: str
    path: Path
    summary: str
    task: str
    seed: int
    needs: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    crosswalk: str = ""
    curve: bool = False

    @property
    def missing(self) -> tuple[str, ...]:
        """The packages that it needs and that are not installed."""
        return tuple(name for name in self.needs if not _installed(name))


def recipe_paths(benchmark: Benchmark) -> list[Path]:
    """The recipes of the room, in order of their names. Raises :class:`DataError` (file-missing) if there are none."""
    found = sorted(benchmark.baselines.glob("*.py"))
    if not found:
        place = files.shown(benchmark.baselines)
        raise DataError(
            Problem(
                "file-missing",
                location=place,
                expected="recipes (*.py)",
                found="none",
                fix="name one: jinbench run my_model.py",
            )
        )
    return found


def load_recipe(path: Path) -> Recipe:
    """Raises :class:`DataError` (file-missing, not-utf8, recipe-broken, wrong-task, declaration-unknown)."""
    text, place = files.read_text(path), files.shown(path)
    if path.suffix != ".py":
        raise _broken(place, "a Python file", f"a name that ends in {path.suffix or 'nothing'}", "name it something.py")
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError) as error:
        line, said = getattr(error, "lineno", None), getattr(error, "msg", None) or str(error)
        raise _broken(f"{place}:{line}" if line else place, "Python", f"{type(error).__name__}: {said}") from None
    found = _top_level(tree)
    missing = [name for name in _MUST if name not in found]
    if missing:
        hint = "put them at the top level of the file, as in baselines/gazetteer.py"
        raise _broken(place, "TASK, SEED and make()", f"no {', '.join(missing)}", hint)
    values = {name: _value(found[name], name, place) for name in ("TASK", *_TYPES) if name in found}
    if values["TASK"] not in gold.TASKS:
        expected, hint = f"one of {', '.join(gold.TASKS)}", "say which task the recipe is for"
        raise DataError(
            Problem("wrong-task", location=f"{place} TASK", expected=expected, found=repr(values["TASK"]), fix=hint)
        )
    recipe = Recipe(
        name=path.stem,
        path=path,
        summary=(ast.get_docstring(tree) or "").split("\n")[0],
        task=values["TASK"],
        seed=values["SEED"],
        needs=values.get("NEEDS", ()),
        given=values.get("GIVEN", ()),
        crosswalk=values.get("CROSSWALK", ""),
        curve=values.get("CURVE", False),
    )
    raise_if_any(_unknown(recipe, place))
    return recipe


def _top_level(tree: ast.Module) -> dict[str, ast.AST]:
    """What the names at the top level stand for: a value, or whatever else defines them."""
    found: dict[str, ast.AST] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= dict.fromkeys((alias.asname or alias.name for alias in node.names), node)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            found[node.target.id] = node.value
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                found |= _assigned(target, node.value)
    return found


def _assigned(target: ast.expr, value: ast.expr) -> dict[str, ast.AST]:
    if isinstance(target, ast.Name):
        return {target.id: value}
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        pairs = zip(target.elts, value.elts, strict=True)
        return {name: node for each, part in pairs for name, node in _assigned(each, part).items()}
    return {}


def _value(node: ast.AST, name: str, place: str) -> Any:
    kind, expected = _TYPES.get(name, (object, "the name of a task"))
    place = f"{place}:{getattr(node, 'lineno', 1)}"
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        hint = "write it out: what a recipe declares is read without running it"
        raise _broken(place, f"{name} = {expected}, as a literal", "an expression or a definition", hint) from None
    if kind is tuple:
        value = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value
        if isinstance(value, tuple) and not all(isinstance(each, str) for each in value):
            raise _broken(place, f"{name} = {expected}", repr(value))
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise _broken(place, f"{name} = {expected}", repr(value))
    return value


def _broken(place: str, expected: str, found: str, hint: str = "correct that line") -> DataError:
    return DataError(Problem("recipe-broken", location=place, expected=expected, found=found, fix=hint))


def _unknown(recipe: Recipe, place: str) -> list[Problem]:
    """What is declared and does not exist, as far as the file alone can tell."""
    for name in recipe.needs:
        if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", name):
            raise _broken(f"{place} NEEDS", "the name of a package, without a version", repr(name))
    known = GIVEABLE[recipe.task]
    expected = f"{', '.join(known) or 'nothing'}, which is what a recipe for {recipe.task} can be given"
    problems = [
        Problem(
            "declaration-unknown",
            location=f"{place} GIVEN",
            expected=expected,
            found=repr(name),
            fix="correct the name, or take it out",
        )
        for name in recipe.given
        if name not in known
    ]
    if recipe.crosswalk and recipe.task != "ner":
        expected, hint = "no crosswalk: they are between entity types", "take CROSSWALK out"
        problems.append(
            Problem(
                "declaration-unknown",
                location=f"{place} CROSSWALK",
                expected=expected,
                found=recipe.crosswalk,
                fix=hint,
            )
        )
    return problems


def require(recipe: Recipe) -> None:
    """Raises :class:`DataError` (package-missing) for each package that it needs and that is not installed."""
    place = f"{files.shown(recipe.path)} NEEDS"
    raise_if_any(
        Problem(
            "package-missing",
            location=place,
            expected=f"the package {name} to be installed",
            found="it is not",
            fix=f"type: {advice((name,))}",
        )
        for name in recipe.missing
    )


def advice(missing: tuple[str, ...]) -> str:
    """What to type to have these packages."""
    lines = (line for line in metadata.requires("jinbench") or () if re.search(rf"extra == ['\"]{EXTRA}['\"]", line))
    known = {_plain(re.split(r"[^\w.-]", line)[0]) for line in lines}
    if {_plain(name) for name in missing} <= known:
        return f"pip install 'jinbench[{EXTRA}]'"
    return f"pip install {' '.join(missing)}"


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except (metadata.PackageNotFoundError, ValueError):
        return False
    return True
