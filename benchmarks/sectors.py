"""Our sector classifier against fastText: the same data in one run, how good and how many documents per second.

    python benchmarks/sectors.py                             # the sectors of this benchmark, over fold_1
    python benchmarks/sectors.py --corpora DIR               # CLUENER: which of ten entity types occur in a sentence
    python benchmarks/sectors.py --data FILE [--test FILE]   # lines of label<TAB>text; several labels: a,b<TAB>text

Every measurement is made in a process of its own, on one core, the contestants in turn, and in seconds of that core
that the process itself had; printed are medians. fastText gets characters for words, and where a text can have several
labels the same way of choosing thresholds as ours. Its speed is that of its own call alone, with the spaces between
the characters without which it sees no words; both get at least BATCH documents in a call. Its options are, of
those that were tried, the ones that served it best, on these very test texts.
"""

import json
import math
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from measuring import in_a_process, medians, pin, ratios

from jinbench.baselines.worker import peak_mb

LEAST = 0.5  # seconds that a speed is measured for
BATCH = 2000
FEW = 1000  # training texts, of which fastText needs more passes
MINE, THEIRS = "jinbench", "fasttext"
Rows = list[dict[str, Any]]
Labels = list[list[str]]


class Round(NamedTuple):
    """What is learnt from, and what is predicted."""

    rows: Rows
    labels: Labels
    new_rows: Rows
    new_labels: Labels


# ---- the data ---------------------------------------------------------------------------------------------------


def own() -> Iterator[Round]:
    """The sector config of this benchmark, a round per fold."""
    from jinbench.core.benchmark import packaged_benchmark
    from jinbench.dataset import load

    where = packaged_benchmark()
    names = load.read_manifest(where)["labels"]["sector"]
    rows = load.read_rows(where, "sector")
    labels = {row["id"]: [names[number] for number in row["sectors"]] for row in rows}
    for fold in sorted({row["fold_1"] for row in rows}):
        parts = [[row for row in rows if (row["fold_1"] == fold) == held_out] for held_out in (False, True)]
        old, new = [[{key: row[key] for key in ("text", "article_id")} for row in part] for part in parts]
        yield Round(old, [labels[r["id"]] for r in parts[0]], new, [labels[r["id"]] for r in parts[1]])


def cluener(folder: Path) -> Iterator[Round]:
    """train.jsonl and dev.jsonl; the labels of a sentence are the types of its entities."""

    def read(name: str) -> tuple[Rows, Labels]:
        lines = [json.loads(line) for line in (folder / "cluener" / name).read_text(encoding="utf-8").splitlines()]
        lines = [line for line in lines if line["label"]]
        return _rows([line["text"] for line in lines]), [sorted(line["label"]) for line in lines]

    yield Round(*read("train.jsonl"), *read("dev.jsonl"))


def table(path: Path, test: Path | None, seed: int) -> Iterator[Round]:
    """Lines of label<TAB>text. Without a test file a tenth of the lines, drawn by `seed`, is the test."""

    def read(path: Path) -> list[list[str]]:
        with path.open(encoding="utf-8") as file:
            return [line.rstrip("\r\n").split("\t", 1) for line in file if "\t" in line]

    lines = read(path)
    if test is None:
        random.Random(seed).shuffle(lines)
        cut = len(lines) // 10
        new, lines = lines[:cut], lines[cut:]
    else:
        new = read(test)
    split = [([text for _, text in part], [label.split(",") for label, _ in part]) for part in (lines, new)]
    (old_texts, old_labels), (new_texts, new_labels) = split
    yield Round(_rows(old_texts), old_labels, _rows(new_texts), new_labels)


def _rows(texts: Sequence[str]) -> Rows:
    return [{"text": text, "article_id": str(number)} for number, text in enumerate(texts)]


# ---- the contestants --------------------------------------------------------------------------------------------


def texts(rows: Any) -> list[str]:
    return [row["text"] for row in rows]


def spaced(rows: Any) -> list[str]:
    """The characters of each text as words of fastText."""
    return [" ".join(row["text"].replace("\n", " ")) for row in rows]


def contestant(name: str, several: bool, seed: int, options: dict[str, Any]) -> Any:
    """A classifier with `fit`, `predict`, and `fast`, the call that is timed."""
    from jinbench.models.text_classifier import SectorClassifier

    class Mine(SectorClassifier):
        def fast(self, rows: Rows) -> Any:
            return self.predict(rows)

    class FastText(SectorClassifier):
        """fastText in the place of features and linear classifier; thresholds are chosen as for ours."""

        def _fitted(self, X: Any, truth: Any) -> Any:
            import fasttext

            with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
                for text, row in zip(spaced(X), truth, strict=True):
                    marks = " ".join(f"__label__{number}" for number in row.nonzero()[0])
                    file.write(f"{marks} {text}\n")
                file.flush()
                loss = "ova" if several else "softmax"
                return fasttext.train_supervised(file.name, loss=loss, thread=1, seed=seed, verbose=0, **options)

        def _scores(self, model: Any, X: Any) -> Any:
            import numpy as np

            scores = np.zeros((len(X), len(self.classes_)))
            for row, labels, likely in zip(scores, *model.predict(spaced(X), k=-1), strict=True):
                row[[int(label.removeprefix("__label__")) for label in labels]] = likely
            likely = np.clip(scores, 1e-6, 1 - 1e-6)
            return np.log(likely / (1 - likely))  # as far apart at both ends as the scores of a linear classifier

        def fast(self, rows: Rows) -> Any:
            asked = {"k": -1, "threshold": 1 / (1 + math.exp(-min(self.thresholds_)))} if several else {}
            return self.model_.predict(spaced(rows), **asked)

    folds = 5 if several else 1
    return {MINE: Mine, THEIRS: FastText}[name](parts=[texts], folds=folds, random_state=seed)


# ---- measuring --------------------------------------------------------------------------------------------------


def measure(name: str, rounds: Iterator[Round], seed: int, options: dict[str, Any]) -> dict[str, float]:
    """One run of one contestant, in this process."""
    import numpy as np

    fitting = predicting = 0.0
    documents = right = first = given = wanted = common = 0
    for old_rows, old_labels, new_rows, new_labels in rounds:
        several = any(len(labels) > 1 for labels in old_labels)
        few = len(old_rows) < FEW
        chosen = {"epoch": 100 if few else 25, "lr": 0.5 if few else 0.2} | options
        model = contestant(name, several, seed, chosen)
        start = time.process_time()
        model.fit(old_rows, old_labels)
        fitting += time.process_time() - start
        found = model.predict(new_rows)
        likeliest = model.classes_[np.argmax(model.decision_function(new_rows), axis=1)]
        for labels, truth, top in zip(found, new_labels, likeliest, strict=True):
            given, wanted, common = given + len(labels), wanted + len(truth), common + len(set(labels) & set(truth))
            first += top in truth
        right += len(new_rows)
        batch = new_rows * -(-BATCH // len(new_rows))
        start = time.process_time()
        while time.process_time() - start < LEAST:
            model.fast(batch)
            documents += len(batch)
        predicting += time.process_time() - start
    return {
        "micro_f1": 2 * common / (given + wanted),
        "accuracy_first": first / right,
        "documents_per_second": documents / predicting,
        "fit_seconds": fitting,
        "peak_mb": peak_mb(),
    }


def main(
    corpora: Annotated[Path | None, typer.Option(help="A folder with cluener/train.jsonl and dev.jsonl.")] = None,
    data: Annotated[Path | None, typer.Option(help="A file of lines label<TAB>text.")] = None,
    test: Annotated[Path | None, typer.Option(help="The same, to predict; else a tenth of --data.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each contestant.")] = 3,
    seed: Annotated[int, typer.Option(help="Of the split of --data, and of the contestants.")] = 0,
    epoch: Annotated[int, typer.Option(help="fastText: passes over the texts; 0: 25, of few texts 100.")] = 0,
    lr: Annotated[float, typer.Option(help="fastText: learning rate; 0: 0.2, for few texts 0.5.")] = 0,
    dim: Annotated[int, typer.Option(help="fastText: length of its vectors.")] = 25,
    word_ngrams: Annotated[int, typer.Option(help="fastText: runs of up to so many characters.")] = 2,
    bucket: Annotated[int, typer.Option(help="fastText: how many runs it tells apart.")] = 300_000,
    as_json: Annotated[bool, typer.Option("--json", help="All figures as one line of JSON.")] = False,
    only: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Our sector classifier against fastText."""
    if only:
        pin()
        rounds = cluener(corpora) if corpora else table(data, test, seed) if data else own()
        options = {"epoch": epoch, "lr": lr, "dim": dim, "wordNgrams": word_ngrams, "bucket": bucket}
        options = {key: value for key, value in options.items() if value}
        print(json.dumps(measure(only, rounds, seed, options)))
        return
    runs: dict[str, list[dict[str, float]]] = {MINE: [], THEIRS: []}
    for number in range(repeats):
        for name in runs if number % 2 == 0 else reversed(runs):  # what warms the machine up helps both
            runs[name].append(in_a_process(__file__, [*sys.argv[1:], "--only", name]))
            typer.echo(f"{name} {number + 1} of {repeats}", err=True)
    found = {name: medians(figures) for name, figures in runs.items()}
    compared = ratios(found[MINE], found[THEIRS])
    if as_json:
        typer.echo(json.dumps({"medians": found, "ratios": compared, "runs": runs}))
        return
    typer.echo(f"{'':22}{MINE:>12}{THEIRS:>12}{'ratio':>8}")
    for key, mine in found[MINE].items():
        digits = 3 if mine < 10 else 0
        typer.echo(f"{key:22}{mine:12.{digits}f}{found[THEIRS][key]:12.{digits}f}{compared.get(key, 0):8.2f}")


if __name__ == "__main__":
    typer.run(main)
