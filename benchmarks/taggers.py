"""CrfTagger against python-crfsuite: accuracy, speed and memory on the same data in one run.

    python benchmarks/taggers.py --corpora DIR

Every measurement is made in a process of its own, on one core, the contestants in turn, in seconds of that core that
the process itself had; printed are medians. Ours has the configuration that it has everywhere, the defaults of
`CrfTagger`, with another seed each time; they were chosen on parts of the training files of CLUENER
and Resume, and on the dev file of the latter. CRFsuite has L-BFGS with c1 = c2 = 0.1 and at most 100 iterations, and
the usual features: characters from -2 to +2, pairs of them, classes of characters. Reading a corpus is not timed;
making features is, on both sides. F1 is strict, over spans. Peak memory is that of the whole process; `of it, imports`
is what it had before any data was read. scikit-learn imports pandas and pyarrow if it finds them; neither contestant
needs them, so they are kept out of both processes, as on a machine that has only what a tagger needs (`--with-pandas`
leaves them in).
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from corpora import Corpus, Spans, read
from measuring import in_a_process, medians, pin, ratios, without

from jinbench.baselines.worker import peak_memory_mb

OURS, THEIRS = "jinbench", "crfsuite"
MIN_SECONDS = 0.5  # seconds that prediction is measured for
BATCH = 50_000  # characters that both get to predict in one call, at least; a small test set is repeated
FIGURES = {
    "f1": "micro-F1 × 100",
    "train_seconds": "training, CPU seconds",
    "characters_per_second": "prediction, characters/s",
    "peak_mb": "peak memory, MB",
    "imports_mb": "  of it, imports, MB",
}


class JinbenchTagger:
    def __init__(self, seed: int, **options: Any) -> None:
        from jinbench.models import CrfTagger

        self.tagger = CrfTagger(random_state=seed, **options)

    def fit(self, texts: list[str], labels: list[Spans]) -> None:
        self.tagger.fit(texts, labels)

    def predict(self, texts: list[str]) -> list[Spans]:
        return [[span[:3] for span in row] for row in self.tagger.predict_spans(texts)]


class CrfSuite:
    def __init__(self, iterations: int) -> None:
        import pycrfsuite

        self.trainer = pycrfsuite.Trainer(algorithm="lbfgs", verbose=False)
        self.tagger = pycrfsuite.Tagger()
        self.iterations = iterations
        self.file = Path(tempfile.mkstemp(suffix=".crfsuite")[1])

    def fit(self, texts: list[str], labels: list[Spans]) -> None:
        for text, spans in zip(texts, labels, strict=True):
            self.trainer.append(extract_features(text), to_tags(text, spans))
        self.trainer.set_params({"c1": 0.1, "c2": 0.1, "max_iterations": self.iterations})
        self.trainer.train(str(self.file))
        self.tagger.open(str(self.file))
        self.file.unlink()

    def predict(self, texts: list[str]) -> list[Spans]:
        return [to_spans(self.tagger.tag(extract_features(text))) for text in texts]


def extract_features(text: str) -> list[list[str]]:
    padded = f"\0\0{text}\0\0"
    kinds = "".join(
        "0" if c.isdigit() else "a" if c.isascii() and c.isalpha() else "x" if c.isalpha() else c for c in padded
    )
    rows = []
    for i in range(2, len(padded) - 2):
        row = [f"{k}={padded[i + k]}" for k in (-2, -1, 0, 1, 2)]
        row += [f"{k},{k + 1}={padded[i + k : i + k + 2]}" for k in (-2, -1, 0, 1)]
        row += [f"-1,1={padded[i - 1]}{padded[i + 1]}", f"kind={kinds[i]}"]
        row += [f"kinds3={kinds[i - 1 : i + 2]}", f"kinds5={kinds[i - 2 : i + 3]}"]
        rows.append(row)
    return rows


def to_tags(text: str, spans: Spans) -> list[str]:
    tags = ["O"] * len(text)
    for start, end, type in spans:
        tags[start:end] = [f"B-{type}"] + [f"I-{type}"] * (end - start - 1)
    return tags


def to_spans(tags: list[str]) -> Spans:
    spans: Spans = []
    for i, tag in enumerate(tags):
        prefix, _, type = tag.partition("-")
        if prefix == "I" and spans and spans[-1][1:] == (i, type):
            spans[-1] = spans[-1][0], i + 1, type
        elif type:
            spans.append((i, i + 1, type))
    return spans


def measure(contestant: Any, imports: float, corpus: Corpus) -> dict[str, float]:
    """Measure one run of one contestant on one corpus, in this process."""
    (texts, labels), (new, gold) = corpus.train, corpus.test
    start = time.process_time()
    contestant.fit(texts, labels)
    training = time.process_time() - start
    predicted = contestant.predict(new)
    batch = new * -(-BATCH // sum(map(len, new)))
    characters, start = 0, time.process_time()
    while (spent := time.process_time() - start) < MIN_SECONDS:
        contestant.predict(batch)
        characters += sum(map(len, batch))
    correct = sum(len(set(a) & set(b)) for a, b in zip(gold, predicted, strict=True))
    total = sum(map(len, gold)) + sum(map(len, predicted))
    return {
        "f1": 200 * correct / total,
        "train_seconds": training,
        "characters_per_second": characters / spent,
        "peak_mb": peak_memory_mb(),
        "imports_mb": imports,
    }


def main(
    corpora: Annotated[Path, typer.Option(help="A folder of corpora, such as cluener/ and resume/.")],
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each contestant on each corpus.")] = 3,
    iterations: Annotated[int, typer.Option(help="CRFsuite: at most so many.")] = 100,
    with_pandas: Annotated[
        bool, typer.Option(help="Let scikit-learn import pandas and pyarrow if they are there.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="All figures as one line of JSON.")] = False,
    only: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Compare CrfTagger with python-crfsuite."""
    if only:
        name, contestant, seed = only.rsplit(":", 2)
        pin()
        if not with_pandas:
            without("pandas", "pyarrow")
        tagger = JinbenchTagger(int(seed)) if contestant == OURS else CrfSuite(iterations)
        imports = peak_memory_mb()
        print(json.dumps(measure(tagger, imports, *read(corpora, name))))
        return
    results = {}
    for corpus in read(corpora):
        runs: dict[str, list[dict[str, float]]] = {OURS: [], THEIRS: []}
        for seed in range(repeats):
            for name in runs:
                runs[name].append(in_a_process(__file__, [*sys.argv[1:], "--only", f"{corpus.name}:{name}:{seed}"]))
                typer.echo(f"{corpus.name} {name} {seed + 1} of {repeats}", err=True)
        middle = {name: medians(figures) for name, figures in runs.items()}
        results[corpus.name] = {"medians": middle, "ratios": ratios(middle[OURS], middle[THEIRS]), "runs": runs}
        if as_json:
            continue
        typer.echo(f"{corpus.name}: {len(corpus.train[0]):,} sentences → {corpus.tested_on} {len(corpus.test[0]):,}")
        typer.echo(f"  {'':26}{OURS:>12}{THEIRS:>12}   ratio")
        for key, title in FIGURES.items():
            ours, theirs = middle[OURS][key], middle[THEIRS][key]
            compared = f"{ours - theirs:+8.2f}" if key == "f1" else f"{ours / theirs:8.2f}"
            digits = 2 if key == "f1" else 1 if key == "train_seconds" else 0
            typer.echo(f"  {title:26}{ours:12,.{digits}f}{theirs:12,.{digits}f}{compared}")
    if as_json:
        typer.echo(json.dumps(results))


if __name__ == "__main__":
    typer.run(main)
