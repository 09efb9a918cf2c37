"""The three-page world: a benchmark as `jinbench init` makes it, with the pages, labels and exports of `tests/mini`."""

import shutil
from pathlib import Path

from jinbench import files, labels, starting
from jinbench.rooms import Rooms

MINI = Path(__file__).with_name("mini")


def three_pages(root: Path) -> Rooms:
    """The world in `root`, a folder that does not exist yet; not yet built."""
    where = starting.begin(root, "Mini")
    shutil.copytree(MINI, root, dirs_exist_ok=True)
    files.write_text(where.labeling_config, labels.labeling_config(labels.read(where)))
    return where
