"""Read the rounds of a run: each in a fork that ends before the recipe starts, so that nothing holds a label then."""

import contextlib
import json
import os
import sys
import traceback
from pathlib import Path

import jsonschema  # noqa: F401 (imported before all forks, as is the next)
import pyarrow.parquet  # noqa: F401

from jinbench.baselines import learning_curve, run
from jinbench.baselines.recipe import ORACLE_INPUTS, Recipe, load_recipe
from jinbench.baselines.worker import JOB_FILE, Message, Row, receive_message, send_message
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError
from jinbench.dataset import load

# The fields of a row that a recipe gets, if the row has them.
VISIBLE_FIELDS = ("id", "text", "tokens", "title", "passage_id", "article_id", "layout", *ORACLE_INPUTS["sector"])


def main(pipe: int, benchmark: Benchmark, recipe: Recipe, is_curve: bool, splits: tuple[str, ...]) -> None:
    """Answer each request, the number of a round and the folder of its fit, and say when the fork has ended."""
    with contextlib.suppress(DataError):  # a fork reports it
        load.read_manifest(benchmark)  # it has no label, and no fork has to check it again
    while request := receive_message(pipe):
        if not os.fork():
            try:
                send_message(pipe, _read_round(benchmark, recipe, is_curve, splits, *request))
                os._exit(0)
            except DataError as error:
                send_message(pipe, {"problems": [vars(problem) for problem in error.problems]})
                os._exit(0)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        if os.wait()[1]:
            return
        send_message(pipe, {"ended": True})


def _read_round(
    benchmark: Benchmark, recipe: Recipe, is_curve: bool, splits: tuple[str, ...], number: int, folder: str
) -> Message:
    """Write training rows and labels of a round into a folder; return the rows to predict, batch by batch."""
    experiment = run.read_experiment(benchmark, recipe, splits)
    rounds = learning_curve.list_rounds(experiment) if is_curve else run.list_rounds(experiment)
    chosen = rounds[number]
    batches = [[select_visible(row) for row in batch] for batch in chosen.batches]
    job = {
        "rows": [select_visible(row) for row in chosen.train],
        "labels": experiment.training_labels(chosen.train),
        "batches": len(batches),
    }
    Path(folder, JOB_FILE).write_bytes(json.dumps(job).encode())
    names = () if number else experiment.read_golds()[splits[0]].names  # early, in case that one cannot be read
    return {"total": len(rounds), "split": chosen.split, "batches": batches, "label_names": names}


def select_visible(row: Row) -> Row:
    """Return the fields of a row that a recipe may see."""
    return {field: row[field] for field in VISIBLE_FIELDS if field in row}


if __name__ == "__main__":
    pipe, root, path, curve, *splits = sys.argv[1:]
    with contextlib.suppress(EOFError):  # nobody is waiting any more
        main(int(pipe), Benchmark(Path(root)), load_recipe(Path(path)), bool(curve), tuple(splits))
