"""MultiLabelTextClassifier against fastText: accuracy and documents per second on the same data in one run.

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

from jinbench.baselines.worker import peak_memory_mb

MIN_SECONDS = 0.5  # seconds that a speed is measured for
BATCH = 2000
FEW = 1000  # training texts, of which fastText needs more passes
OURS, THEIRS = "jinbench", "fasttext"
Rows = list[dict[str, Any]]
Labels = list[list[str]]


class Fold(NamedTuple):
    """Training rows and test rows with their labels."""

    rows: Rows
    labels: Labels
    new_rows: Rows
    new_labels: Labels


# ---- the data ---------------------------------------------------------------------------------------------------


def read_benchmark() -> Iterator[Fold]:
    """Yield the folds of the sector config of this benchmark."""
    from jinbench.core.benchmark import packaged_benchmark
    from jinbench.dataset import load

    benchmark = packaged_benchmark()
    names = load.read_manifest(benchmark)["labels"]["sector"]
    rows = load.read_rows(benchmark, "sector")
    labels = {row["id"]: [names[number] for number in row["sectors"]] for row in rows}
    for fold in sorted({row["fold_1"] for row in rows}):
        parts = [[row for row in rows if (row["fold_1"] == fold) == held_out] for held_out in (False, True)]
        old, new = [[{key: row[key] for key in ("text", "article_id")} for row in part] for part in parts]
        yield Fold(old, [labels[r["id"]] for r in parts[0]], new, [labels[r["id"]] for r in parts[1]])


def read_cluener(folder: Path) -> Iterator[Fold]:
    """Read train.jsonl and dev.jsonl; the labels of a sentence are the types of its entities."""

    def read(name: str) -> tuple[Rows, Labels]:
        lines = [json.loads(line) for line in (folder / "cluener" / name).read_text(encoding="utf-8").splitlines()]
        lines = [line for line in lines if line["label"]]
        return _rows([line["text"] for line in lines]), [sorted(line["label"]) for line in lines]

    yield Fold(*read("train.jsonl"), *read("dev.jsonl"))


def read_table(path: Path, test: Path | None, seed: int) -> Iterator[Fold]:
    """Read lines of label<TAB>text. Without a test file a tenth of the lines, drawn by `seed`, is the test."""

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
    yield Fold(_rows(old_texts), old_labels, _rows(new_texts), new_labels)


def _rows(texts: Sequence[str]) -> Rows:
    return [{"text": text, "article_id": str(number)} for number, text in enumerate(texts)]


# ---- the contestants --------------------------------------------------------------------------------------------


def extract_texts(rows: Any) -> list[str]:
    return [row["text"] for row in rows]


def extract_spaced_texts(rows: Any) -> list[str]:
    """Return the characters of each text as words of fastText."""
    return [" ".join(row["text"].replace("\n", " ")) for row in rows]


def make_contestant(name: str, several: bool, seed: int, options: dict[str, Any]) -> Any:
    """Return a classifier with `fit`, `predict`, and `timed_predict`, the call that is timed."""
    from jinbench.models import MultiLabelTextClassifier

    class Ours(MultiLabelTextClassifier):
        def timed_predict(self, rows: Rows) -> Any:
            return self.predict(rows)

    class FastText(MultiLabelTextClassifier):
        """fastText in the place of features and linear classifier; thresholds are chosen as for ours."""

        def _fit_model(self, X: Any, truth: Any) -> Any:
            import fasttext

            with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
                for text, row in zip(extract_spaced_texts(X), truth, strict=True):
                    marks = " ".join(f"__label__{number}" for number in row.nonzero()[0])
                    file.write(f"{marks} {text}\n")
                file.flush()
                loss = "ova" if several else "softmax"
                return fasttext.train_supervised(file.name, loss=loss, thread=1, seed=seed, verbose=0, **options)

        def _scores(self, model: Any, X: Any) -> Any:
            import numpy as np

            scores = np.zeros((len(X), len(self.classes_)))
            for row, labels, likely in zip(scores, *model.predict(extract_spaced_texts(X), k=-1), strict=True):
                row[[int(label.removeprefix("__label__")) for label in labels]] = likely
            likely = np.clip(scores, 1e-6, 1 - 1e-6)
            return np.log(likely / (1 - likely))  # as far apart at both ends as the scores of a linear classifier

        def timed_predict(self, rows: Rows) -> Any:
            options = {"k": -1, "threshold": 1 / (1 + math.exp(-min(self.thresholds_)))} if several else {}
            return self.model_.predict(extract_spaced_texts(rows), **options)

    folds = 5 if several else 1
    return {OURS: Ours, THEIRS: FastText}[name](extractors=[extract_texts], folds=folds, random_state=seed)


# ---- measuring --------------------------------------------------------------------------------------------------


def measure(name: str, folds: Iterator[Fold], seed: int, options: dict[str, Any]) -> dict[str, float]:
    """Measure one run of one contestant, in this process."""
    import numpy as np

    fitting = predicting = 0.0
    documents = n_rows = first_correct = n_predicted = n_gold = n_correct = 0
    for old_rows, old_labels, new_rows, new_labels in folds:
        several = any(len(labels) > 1 for labels in old_labels)
        few = len(old_rows) < FEW
        chosen = {"epoch": 100 if few else 25, "lr": 0.5 if few else 0.2} | options
        model = make_contestant(name, several, seed, chosen)
        start = time.process_time()
        model.fit(old_rows, old_labels)
        fitting += time.process_time() - start
        predictions = model.predict(new_rows)
        likeliest = model.classes_[np.argmax(model.decision_function(new_rows), axis=1)]
        for labels, truth, top in zip(predictions, new_labels, likeliest, strict=True):
            n_predicted, n_gold = n_predicted + len(labels), n_gold + len(truth)
            n_correct += len(set(labels) & set(truth))
            first_correct += top in truth
        n_rows += len(new_rows)
        batch = new_rows * -(-BATCH // len(new_rows))
        start = time.process_time()
        while time.process_time() - start < MIN_SECONDS:
            model.timed_predict(batch)
            documents += len(batch)
        predicting += time.process_time() - start
    return {
        "micro_f1": 2 * n_correct / (n_predicted + n_gold),
        "accuracy_first": first_correct / n_rows,
        "documents_per_second": documents / predicting,
        "fit_seconds": fitting,
        "peak_mb": peak_memory_mb(),
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
    """Compare MultiLabelTextClassifier with fastText."""
    if only:
        pin()
        folds = read_cluener(corpora) if corpora else read_table(data, test, seed) if data else read_benchmark()
        options = {"epoch": epoch, "lr": lr, "dim": dim, "wordNgrams": word_ngrams, "bucket": bucket}
        options = {key: value for key, value in options.items() if value}
        print(json.dumps(measure(only, folds, seed, options)))
        return
    runs: dict[str, list[dict[str, float]]] = {OURS: [], THEIRS: []}
    for number in range(repeats):
        for name in runs if number % 2 == 0 else reversed(runs):  # what warms the machine up helps both
            runs[name].append(in_a_process(__file__, [*sys.argv[1:], "--only", name]))
            typer.echo(f"{name} {number + 1} of {repeats}", err=True)
    middle = {name: medians(figures) for name, figures in runs.items()}
    compared = ratios(middle[OURS], middle[THEIRS])
    if as_json:
        typer.echo(json.dumps({"medians": middle, "ratios": compared, "runs": runs}))
        return
    typer.echo(f"{'':22}{OURS:>12}{THEIRS:>12}{'ratio':>8}")
    for key, ours in middle[OURS].items():
        digits = 3 if ours < 10 else 0
        typer.echo(f"{key:22}{ours:12.{digits}f}{middle[THEIRS][key]:12.{digits}f}{compared.get(key, 0):8.2f}")


if __name__ == "__main__":
    typer.run(main)
