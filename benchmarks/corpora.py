"""Reading corpora for `taggers.py`, with the package's own readers: any format of `jinbench convert` that is a file.

Columns may be BIO, BMES or BIOES; a sequence that its scheme forbids is taken as conlleval would.
"""

from pathlib import Path
from typing import NamedTuple

from jinbench.core.errors import DataError
from jinbench.formats import registry
from jinbench.formats.base import ConversionLog, remove_overlaps
from jinbench.scoring import schemes

Spans = list[tuple[int, int, str]]


class Corpus(NamedTuple):
    name: str
    train: tuple[list[str], list[Spans]]
    test: tuple[list[str], list[Spans]]
    tested_on: str


def read(folder: Path, only: str = "") -> list[Corpus]:
    """The corpora below `folder`, or `only` one: each sub-folder with a file train… and one to test on, test… or dev….

    A test file without labels is passed over. Raises ValueError if there is none.
    """
    found = []
    for place in sorted(path for path in folder.iterdir() if path.is_dir() and only in ("", path.name)):
        parts = {}
        for part in ("train", "test", "dev", "valid"):
            for path in sorted(place.glob(f"*{part}*")):
                texts, labels = read_file(path)
                if any(labels):
                    parts[part] = texts, labels
                    break
        tested_on = next((part for part in ("test", "dev", "valid") if part in parts), None)
        if "train" in parts and tested_on:
            found.append(Corpus(place.name, parts["train"], parts[tested_on], tested_on))
    if not found:
        raise ValueError(f"{folder}: expected folders such as cluener/ with train… and dev… or test…, found none")
    return found


def read_file(path: Path) -> tuple[list[str], list[Spans]]:
    """The texts of a file and their spans; of spans that overlap, the one that begins first, then the longer one.

    Raises ValueError for a file that is none of the formats, or not what it seems.
    """
    try:
        format = registry.detect_format(path)
        # The first scheme whose letters are enough: BMES and BIOES differ in one, and both have BIO's beginnings.
        for scheme in schemes.SCHEMES if format.name == "conll" else (None,):
            notes = ConversionLog()
            options = {"scheme": scheme, "repair": "begin"} if scheme else {}
            documents = list(format.read(path, notes, **options))
            if not notes.fatal:
                break
        notes.raise_fatal()
    except DataError as error:
        raise ValueError(str(error)) from None
    return [document.text for document in documents], [
        [s[:3] for s in remove_overlaps(document, notes)] for document in documents
    ]
