"""Create a new benchmark from the template in `starter/` (`jinbench init`).

In a file of the template `{{title}}` stands for the title, quoted where the file is TOML or YAML. What lies in
`starter/example/` is added with `--example`; where both have a file, the second is appended to the first.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from jinbench.annotation.labels import read_label_set
from jinbench.core import files, folders
from jinbench.core.benchmark import Benchmark, packaged_benchmark
from jinbench.core.errors import fail
from jinbench.labelstudio import labeling_config

RECIPES = ("gazetteer", "majority", "tagger", "tfidf")  # of ours: bound to no label set, and in need of no package
_STARTER = Path(__file__).with_name("starter")
_EXAMPLE = "example"
_TITLE = "{{title}}"
_GUIDELINES = "annotation/guidelines.zh.md"
_TODO = "TODO:"
_FIX = "go to an empty folder, or name one that does not exist yet"


def create_benchmark(folder: Path, title: str = "", example: bool = False) -> Benchmark:
    """Create a benchmark from the template, all of it or nothing.

    Args:
        folder: An empty folder, or one that does not exist yet.
        title: The benchmark's title; by default the folder's name.
        example: Whether to include a page with two articles.

    Returns:
        The paths of the new benchmark.

    Raises:
        DataError: folder-taken if the folder is not empty; wrong-shape if the title is blank or has several lines.
    """
    folder = folder.absolute()
    title = (title or folder.resolve().name).strip()
    if not title or not title.replace("\u3000", " ").isprintable():
        fail("wrong-shape", "the title", expected="a line of text", found=repr(title), fix="give another --title")
    folders.require_free_folder(folder, _FIX)
    with folders.temporary_folder(folder) as temporary:
        made = Benchmark(temporary / "made")
        for name, data in template_files(title, example).items():
            files.write_bytes(made.root / name, data)
        made.pages.mkdir(exist_ok=True)
        files.write_text(made.labeling_config, labeling_config.build_labeling_config(read_label_set(made)))
        folders.place_folder(made.root, folder, _FIX)
    return Benchmark(folder)


def template_files(title: str, example: bool = False) -> dict[str, bytes]:
    """Return the files of a new benchmark by name, all but labeling_config.xml."""
    contents = {name: data for name, data in read_template(title) if example or not name.startswith(f"{_EXAMPLE}/")}
    for name in [name for name in contents if name.startswith(f"{_EXAMPLE}/")]:
        data = contents.pop(name)
        target = name.removeprefix(f"{_EXAMPLE}/")
        contents[target] = contents.get(target, b"") + data
    if example:  # is complete: nothing in its guidelines is left to do
        contents[_GUIDELINES] = re.sub(rb"(?m)^TODO: .*\n\n", b"", contents[_GUIDELINES])
    recipes = packaged_benchmark().baselines
    return contents | {f"baselines/{name}.py": files.read_bytes(recipes / f"{name}.py") for name in RECIPES}


def read_template(title: str) -> Iterator[tuple[str, bytes]]:
    quoted = files.toml_string(title)
    for path in files.walk_files(_STARTER):
        name = path.relative_to(_STARTER).as_posix().replace("gitignore", ".gitignore")
        text = path.read_text(encoding="utf-8")
        if name.endswith(".toml"):
            text = text.replace(_TITLE, quoted)
        yield name, text.replace(f"pretty_name: {_TITLE}", f"pretty_name: {quoted}").replace(_TITLE, title).encode()


def count_todos(benchmark: Benchmark) -> dict[str, int]:
    """Count the places marked TODO in the published documents, by file name; only those that have any."""
    counts = {
        path.name: files.read_text(path).count(_TODO)
        for path in (benchmark.card, benchmark.root / "LICENSE-DATA.md")
        if path.is_file()
    }
    return {name: count for name, count in counts.items() if count}
