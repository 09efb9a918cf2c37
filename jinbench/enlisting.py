"""Who is to label: new entries in annotators.toml."""

import datetime
import json
import tomllib
from collections.abc import Sequence

from jinbench import annotators
from jinbench.core import files, schemas
from jinbench.core.benchmark import Benchmark
from jinbench.labels import LabelSet

ADJUDICATOR = "adjudicator"
_HOW = "Labels in Label Studio. Say here who or what it is, and how it works."


def add_annotators(benchmark: Benchmark, label_set: LabelSet, names: Sequence[str], kind: str) -> list[str]:
    """Add to annotators.toml those of `names` that are not in it. Returns the new ones.

    Where there is no such file, one is made: two or more are adjudicated between, the labels of one alone are the gold.
    Raises :class:`DataError` (wrong-shape, and those of the file that is there).
    """
    path = benchmark.annotators
    today = datetime.date.today().isoformat()
    if path.is_file():
        known, text = annotators.read_annotators(benchmark).names, files.read_text(path).rstrip("\n") + "\n"
    else:
        known = ()
        gold = ADJUDICATOR if len(names) > 1 else names[0]
        text = "# Who labels. `gold` names the export that `dataset/` is built from.\n"
        text += f"gold = {files.toml_string(gold)}\n"
        names = [*names, *([ADJUDICATOR] if gold == ADJUDICATOR else [])]
    new = [name for name in dict.fromkeys(names) if name not in known]
    for name in new:
        description = "Decides where annotators differ." if name == ADJUDICATOR else _HOW
        fields = {"name": name, "kind": kind, "description": description, "guidelines": label_set.version}
        text += "\n[[annotator]]\n"
        text += "".join(f"{key} = {files.toml_string(value)}\n" for key, value in fields.items())
        text += f"date = {today}\n"
        if name == ADJUDICATOR and not known:
            text += f"adjudicates = {json.dumps([name for name in names if name != ADJUDICATOR])}\n"
    if new:
        schemas.check_shape(tomllib.loads(text), "annotators", files.shown(path))
        files.write_text(path, text)
    return new
