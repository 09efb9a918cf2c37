"""What the faces export is documented, and its examples hold."""

import doctest
import importlib
import inspect
import pkgutil
import re

import pytest

import jinbench

FACES = ["jinbench", *(f"jinbench.{module.name}" for module in pkgutil.iter_modules(jinbench.__path__) if module.ispkg)]
EXPORTS = [
    (face, name)
    for face in FACES
    for name in importlib.import_module(face).__dir__()
    if not name.startswith("_") and name in getattr(importlib.import_module(face), "__all__", ())
]


def test_a_face_exports_no_name_of_its_modules() -> None:
    """Python would put the module in the place of the function as soon as anything imports it."""
    assert len(EXPORTS) > 50
    for face, name in EXPORTS:
        modules = {module.name for module in pkgutil.iter_modules(importlib.import_module(face).__path__)}
        assert name not in modules


@pytest.mark.parametrize(("face", "name"), EXPORTS, ids=[f"{face}.{name}" for face, name in EXPORTS])
def test_an_export_is_documented(face: str, name: str) -> None:
    export = getattr(importlib.import_module(face), name)
    if not callable(export) or isinstance(export, dict | str):
        return
    text = inspect.getdoc(export) or ""
    assert text
    assert not re.match("(What|Whether|How|Which|Who|Where) ", text)
    if inspect.isfunction(export) and inspect.signature(export).parameters:
        assert "Args:" in text
    if inspect.isfunction(export) and inspect.signature(export).return_annotation not in (None, "None"):
        assert re.search("Returns:|Yields:|Return ", text)


@pytest.mark.parametrize("face", ["jinbench", "jinbench.scoring", "jinbench.models"])
def test_examples_hold(face: str) -> None:
    package = importlib.import_module(face)
    names = [face, *(f"jinbench.{name}" for name in ("api",) if face == "jinbench")]
    if face != "jinbench":
        names += [module.name for module in pkgutil.walk_packages(package.__path__, f"{face}.")]
    results = [doctest.testmod(importlib.import_module(name)) for name in names]
    assert sum(result.attempted for result in results) > 3
    assert sum(result.failed for result in results) == 0
