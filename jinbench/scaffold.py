"""A benchmark to begin with, made from the template in `starter/`: what `jinbench init` does.

In a file of the template `{{title}}` stands for the title, quoted where the file is TOML or YAML. What lies in
`starter/example/` is laid over it for who wants an example; a file that both have is the one with the other behind it.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from jinbench.annotation.labels import read_label_set
from jinbench.core import files
from jinbench.core.benchmark import Benchmark, packaged_benchmark
from jinbench.core.errors import DataError, Problem
from jinbench.labelstudio import labeling_config

RECIPES = ("gazetteer", "majority", "tagger", "tfidf")  # of ours: bound to no label set, and in need of no package
_STARTER = Path(__file__).with_name("starter")
_EXAMPLE = "example"
_TITLE = "{{title}}"
_TODO = "TODO:"
_HINT = "go to an empty folder, or name one that does not exist yet"


def create_benchmark(folder: Path, title: str = "", example: bool = False) -> Benchmark:
    """A new benchmark in `folder`, called `title` or else like the folder; with `example`, two articles are in it.

    Nothing is there before all of it is. Raises :class:`DataError` (folder-taken) unless `folder` is empty, or not
    there; (wrong-shape) for a title that is blank or of several lines.
    """
    folder = folder.absolute()
    title = (title or folder.resolve().name).strip()
    if not title or not title.replace("\u3000", " ").isprintable():
        raise DataError(
            Problem(
                "wrong-shape",
                location="the title",
                expected="a line of text",
                found=repr(title),
                fix="give it another --title",
            )
        )
    files.require_free_folder(folder, _HINT)
    home = folder if folder.is_dir() else folder.parent
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".jinbench-", dir=home) as scratch:
        made = Benchmark(Path(scratch) / "made")
        for name, data in contents(title, example).items():
            path = made.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        made.pages.mkdir(exist_ok=True)
        files.write_text(made.labeling_config, labeling_config.build_labeling_config(read_label_set(made)))
        files.move_into_place(made.root, folder, _HINT)
    return Benchmark(folder)


def contents(title: str, example: bool = False) -> dict[str, bytes]:
    """The files of a new benchmark but labeling_config.xml, by name. Raises :class:`DataError` (file-missing)."""
    found = {name: data for name, data in _template(title) if example or not name.startswith(f"{_EXAMPLE}/")}
    for name in [name for name in found if name.startswith(f"{_EXAMPLE}/")]:
        data = found.pop(name)
        under = name.removeprefix(f"{_EXAMPLE}/")
        found[under] = found.get(under, b"") + data
    ours = packaged_benchmark().baselines
    return found | {f"baselines/{name}.py": files.read_bytes(ours / f"{name}.py") for name in RECIPES}


def _template(title: str) -> Iterator[tuple[str, bytes]]:
    quoted = files.toml_string(title)
    for path in files.walk_files(_STARTER):
        name = path.relative_to(_STARTER).as_posix().replace("gitignore", ".gitignore")
        text = path.read_text(encoding="utf-8")
        if name.endswith(".toml"):
            text = text.replace(_TITLE, quoted)
        yield name, text.replace(f"pretty_name: {_TITLE}", f"pretty_name: {quoted}").replace(_TITLE, title).encode()


def todo(benchmark: Benchmark) -> dict[str, int]:
    """How many places are marked TODO in the documents that go along with the data, by name; those that have any."""
    counted = {
        path.name: files.read_text(path).count(_TODO)
        for path in (benchmark.card, benchmark.root / "LICENSE-DATA.md")
        if path.is_file()
    }
    return {name: count for name, count in counted.items() if count}
