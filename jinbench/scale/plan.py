"""Plan of a run: what its output depends on.

Two runs with the same plan write the same bytes.
"""

import contextlib
import platform
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, TypeAlias

from jinbench.core import files
from jinbench.core.errors import ErrorList, JinbenchError, shorten
from jinbench.scale.readers import InputFile
from jinbench.scale.stages import WORK, Settings
from jinbench.seeds.repairs import REPAIR_NAMES, find_repair

PLAN = "plan.json"
_PACKAGES = ("jinbench", "numpy", "pyarrow", "scikit-learn", "scipy")  # on which bytes may depend

Plan: TypeAlias = dict[str, Any]


def check_repairs(names: Iterable[str]) -> None:
    """Raise :class:`DataError` (repair-unknown)."""
    problems, fix = ErrorList(), f"one of {', '.join(REPAIR_NAMES)}"
    for name in names:
        if find_repair(name) is None:
            problems.add("repair-unknown", "--repair", expected="the name of a repair", found=shorten(name), fix=fix)
    problems.raise_if_any()


def make_plan(sources: Sequence[InputFile], settings: Settings, model_version: str) -> Plan:
    versions = {name: metadata.version(name) for name in _PACKAGES} | {"python": platform.python_version()}
    if any(name.startswith("script:") for name in settings.repairs):
        versions["opencc"] = metadata.version("opencc")
    return {
        "model": model_version,
        "settings": settings.to_dict(),
        "sources": [{"name": source.name, "kind": source.kind, "bytes": source.size, "sha256": source.sha256,
                     "blocks": source.shards[1] - source.shards[0]} for source in sources],
        "versions": versions,
    }  # fmt: skip


def check_plan(out: Path, plan: Plan) -> None:
    """Raise :class:`DataError` (plan-differs) with every difference to the folder's plan."""
    path = out / PLAN
    if not path.is_file():
        return
    new, old = dict(_flatten(plan)), dict(_flatten(files.read_json(path)))
    names = [name for name in sorted({*new, *old}) if new.get(name) != old.get(name)]
    if "settings.block" in names:  # then the numbers of shards differ too, which says nothing more
        names = [name for name in names if not re.fullmatch(r"sources\.\d+\.blocks", name)]
    problems = ErrorList()
    for name in names:
        expected, found = (shorten(values.get(name, "nothing"), 80) for values in (old, new))
        location, fix = f"{files.display_path(path)} {name}", _fix_difference(name, old.get(name))
        problems.add("plan-differs", location, expected=expected, found=found, fix=fix)
    problems.raise_if_any()


def _fix_difference(name: str, old: Any) -> str:
    """Return the fix of a difference, with the option of the earlier run if it has one."""
    again = "that command again"
    if name == "settings.block" and isinstance(old, int):
        again = f"--block {old / 2**20:.4g}, as that run had"  # the option is in megabytes
    elif name in ("settings.similar", "settings.select") and old is not None:
        again = f"--{name.partition('.')[2]} {old}, as that run had"
    elif name == "settings.fields.text" and old is not None:
        again = f"--field {old}, as that run had"
    return f"choose another --out; or give {again}; or remove the folder"


def _flatten(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested dicts and lists, with dotted names."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not items:
        yield name, value
    for key, item in items:
        yield from _flatten(item, f"{name}.{key}".removeprefix("."))


@contextlib.contextmanager
def lock_folder(out: Path) -> Iterator[None]:
    """Lock an output folder and remove what an interrupted run left half done.

    Raise :class:`JinbenchError` if another run on this machine has the lock.
    """
    work = out / WORK
    work.mkdir(parents=True, exist_ok=True)
    with (work / "lock").open("w") as file:
        with contextlib.suppress(ImportError):  # without fcntl there is no lock
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                location = files.display_path(out)
                raise JinbenchError(
                    f"Another run is at work in {location}. Wait for it, or choose another --out."
                ) from None
        has_plan = (out / PLAN).is_file()  # if not, the results are of a run whose plan somebody has removed
        for path in work.iterdir():
            if path.name == "tmp" or (path.is_dir() and not has_plan):
                shutil.rmtree(path, ignore_errors=True)
        yield
