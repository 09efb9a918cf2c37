"""Recipe files and their declarations, read without running the file.

A recipe is a Python file with these at its top level, each a literal, and a function `make()`:

- `TASK`: "ner" or "sector"; `SEED`: an integer that seeds the generators of Python and numpy before every fit
- `NEEDS`: names of packages beyond those of jinbench itself, as pip knows them
- `CROSSWALK` (ner): the recipe learns, predicts and is scored on the coarse labels of a crosswalk of labels.toml
- `GIVEN` (sector): oracle inputs, that is gold labels in its rows: `("entities",)`. It shows what they would be worth
- `CURVE`: True if `jinbench run` is to measure its learning curve too
"""

import ast
import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.environment import extra_install_command
from jinbench.core.errors import ErrorList, fail
from jinbench.scoring.gold import TASKS

ORACLE_INPUTS = {"ner": (), "sector": ("entities",)}
EXTRA = "recipes"  # the extra of jinbench with the packages of its own recipes
_REQUIRED = ("TASK", "SEED", "make")
_TYPES = {
    "SEED": (int, "a whole number"),
    "NEEDS": (tuple, 'names of packages: ("jieba",)'),
    "GIVEN": (tuple, 'names of oracle inputs: ("entities",)'),
    "CROSSWALK": (str, "the name of a crosswalk"),
    "CURVE": (bool, "True or False"),
}


@dataclass(frozen=True)
class Recipe:
    """The declarations of a recipe file.

    Args:
        name: File name without `.py`.
        path: The file.
        summary: First line of its docstring.
        task: "ner" or "sector".
        seed: Random seed of every fit.
        needs: Packages that it needs, as pip knows them.
        oracle_inputs: Gold labels that its rows have (`GIVEN` in the file).
        crosswalk: Crosswalk whose coarse labels it learns and predicts, or "".
        curve: Whether its learning curve is measured on every run.
    """

    name: str
    path: Path
    summary: str
    task: str
    seed: int
    needs: tuple[str, ...] = ()
    oracle_inputs: tuple[str, ...] = ()
    crosswalk: str = ""
    curve: bool = False

    @property
    def missing_packages(self) -> tuple[str, ...]:
        return tuple(name for name in self.needs if not _is_installed(name))


def find_recipes(benchmark: Benchmark) -> list[Path]:
    """Return the recipes of a benchmark, sorted by name. Raises DataError [file-missing] if there are none."""
    paths = sorted(benchmark.baselines.glob("*.py"))
    if not paths:
        fail(
            "file-missing",
            files.display_path(benchmark.baselines),
            expected="recipes (*.py)",
            found="none",
            fix="name one: jinbench run my_model.py",
        )
    return paths


def load_recipe(path: Path) -> Recipe:
    """Read the declarations of a recipe without running it.

    Args:
        path: A Python file.

    Returns:
        Its declarations. Packages that it needs may be missing: see `Recipe.missing_packages`.

    Raises:
        DataError: [file-missing], [not-utf8], [recipe-broken], [wrong-task], [declaration-unknown].
    """
    text, location = files.read_text(path), files.display_path(path)
    if path.suffix != ".py":
        found = f"a name that ends in {path.suffix or 'nothing'}"
        _fail(location, expected="a Python file", found=found, fix="name it something.py")
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError) as error:
        line, message = getattr(error, "lineno", None), getattr(error, "msg", None) or str(error)
        location = f"{location}:{line}" if line else location
        _fail(location, expected="Python", found=f"{type(error).__name__}: {message}")
    definitions = _read_definitions(tree)
    if missing := [name for name in _REQUIRED if name not in definitions]:
        fix = "put them at the top level of the file, as in baselines/gazetteer.py"
        _fail(location, expected="TASK, SEED and make()", found=f"no {', '.join(missing)}", fix=fix)
    values = {name: _read_literal(definitions[name], name, location) for name in ("TASK", *_TYPES)
              if name in definitions}  # fmt: skip
    if values["TASK"] not in TASKS:
        fail(
            "wrong-task",
            f"{location} TASK",
            expected=f"one of {', '.join(TASKS)}",
            found=repr(values["TASK"]),
            fix="set TASK to the task of the recipe",
        )
    recipe = Recipe(
        name=path.stem,
        path=path,
        summary=(ast.get_docstring(tree) or "").split("\n")[0],
        task=values["TASK"],
        seed=values["SEED"],
        needs=values.get("NEEDS", ()),
        oracle_inputs=values.get("GIVEN", ()),
        crosswalk=values.get("CROSSWALK", ""),
        curve=values.get("CURVE", False),
    )
    _check_declarations(recipe, location)
    return recipe


def _read_definitions(tree: ast.Module) -> dict[str, ast.AST]:
    """Map each name at the top level to its value, or to the statement that defines it."""
    definitions: dict[str, ast.AST] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            definitions[node.name] = node
        elif isinstance(node, ast.Import | ast.ImportFrom):
            definitions |= dict.fromkeys((alias.asname or alias.name for alias in node.names), node)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            definitions[node.target.id] = node.value
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                definitions |= _unpack_assignment(target, node.value)
    return definitions


def list_imports(recipe: Recipe) -> list[str]:
    """Return what a recipe imports at its top level from packages, as "module" or "module:attribute".

    Those of the standard library and of files beside it are left out: only a fit may run what is not in a package.
    """
    packages = {
        "jinbench",
        "numpy",
        "scipy",
        "sklearn",
        *(re.sub(r"[-.]+", "_", name).lower() for name in recipe.needs),
    }
    imports: list[str] = []
    for node in ast.parse(files.read_text(recipe.path)).body:
        if isinstance(node, ast.Import):
            imports += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imports += [f"{node.module}:{alias.name}" for alias in node.names]
    return [name for name in imports if name.partition(":")[0].partition(".")[0].lower() in packages]


def _unpack_assignment(target: ast.expr, value: ast.expr) -> dict[str, ast.AST]:
    if isinstance(target, ast.Name):
        return {target.id: value}
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        pairs = zip(target.elts, value.elts, strict=True)
        return {name: node for pair in pairs for name, node in _unpack_assignment(*pair).items()}
    return {}


def _read_literal(node: ast.AST, name: str, location: str) -> Any:
    kind, description = _TYPES.get(name, (object, "the name of a task"))
    expected, location = f"{name} = {description}", f"{location}:{getattr(node, 'lineno', 1)}"
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        fix = "write it out: declarations are read without running the recipe"
        _fail(location, expected=f"{expected}, as a literal", found="an expression or a definition", fix=fix)
    if kind is tuple:
        value = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value
        if isinstance(value, tuple) and not all(isinstance(element, str) for element in value):
            _fail(location, expected=expected, found=repr(value))
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        _fail(location, expected=expected, found=repr(value))
    return value


def _fail(location: str, *, expected: str, found: str, fix: str = "correct that line") -> NoReturn:
    fail("recipe-broken", location, expected=expected, found=found, fix=fix)


def _check_declarations(recipe: Recipe, location: str) -> None:
    """Raise if a declared package, oracle input or crosswalk cannot exist, as far as the file alone tells."""
    for name in recipe.needs:
        if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", name):
            _fail(f"{location} NEEDS", expected="the name of a package, without a version", found=repr(name))
    problems = ErrorList()
    inputs = ORACLE_INPUTS[recipe.task]
    for name in recipe.oracle_inputs:
        if name not in inputs:
            problems.add(
                "declaration-unknown",
                f"{location} GIVEN",
                expected=f"{', '.join(inputs) or 'nothing'}, the oracle inputs of a recipe for {recipe.task}",
                found=repr(name),
                fix="correct the name, or remove it",
            )
    if recipe.crosswalk and recipe.task != "ner":
        problems.add(
            "declaration-unknown",
            f"{location} CROSSWALK",
            expected="no crosswalk: crosswalks are between entity types",
            found=recipe.crosswalk,
            fix="remove CROSSWALK",
        )
    problems.raise_if_any()


def require_recipe_packages(recipe: Recipe) -> None:
    """Raise DataError [package-missing] for each package that the recipe needs and that is not installed."""
    problems = ErrorList()
    for name in recipe.missing_packages:
        problems.add(
            "package-missing",
            f"{files.display_path(recipe.path)} NEEDS",
            expected=f"the package {name} to be installed",
            found="it is not",
            fix=f"type: {install_command((name,))}",
        )
    problems.raise_if_any()


def install_command(packages: tuple[str, ...]) -> str:
    """Return the pip command that installs `packages`."""
    lines = (line for line in metadata.requires("jinbench") or () if re.search(rf"extra == ['\"]{EXTRA}['\"]", line))
    in_extra = {_normalize_name(re.split(r"[^\w.-]", line)[0]) for line in lines}
    if {_normalize_name(name) for name in packages} <= in_extra:
        return extra_install_command(EXTRA)
    return f"pip install {' '.join(packages)}"


def _normalize_name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except (metadata.PackageNotFoundError, ValueError):
        return False
    return True
