"""Our scorer against seqeval and nervaluate: the same sentences in one run, the same F1, how fast, in how much memory.

    python benchmarks/scorer.py                      # 100,000 sentences
    python benchmarks/scorer.py --sentences 20000

Every measurement is made in a process of its own, on one core, the contestants in turn, and in seconds of that core
that the process itself had; printed are medians. What is timed is a second call. The sentences are made up, from a
seed: as long as newspaper sentences, with ten types, and predictions that are right seven times in ten. Making them is
not in any figure; memory is what comes on top of them. Tags are valid BIO, so that all scorers must agree, and it is
checked that they do.
"""

import ctypes
import json
import time
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import numpy as np
import typer
from measuring import in_a_process, medians, pin

from jinbench.baselines.worker import peak_memory_mb

TYPES = tuple(f"TYPE{i}" for i in range(10))
TAGS = ("O", *(f"{letter}-{name}" for name in TYPES for letter in "BI"))
PER_ARTICLE = 16  # sentences, as in the pages of this benchmark
BATCH = 10_000  # sentences of a stream that are there at a time
RESAMPLES = 1000
Sentences = tuple["np.ndarray[Any, Any]", "np.ndarray[Any, Any]", "np.ndarray[Any, Any]"]


def sentences(number: int, seed: int) -> Sentences:
    """How many tags each sentence has, and the gold and predicted tags of all, as numbers."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(15, 60, number)
    total = int(lengths.sum())
    first = np.zeros(total, dtype=bool)
    first[np.cumsum(lengths)[:-1]] = first[0] = True

    def tags(begins: "np.ndarray[Any, Any]", sizes: "np.ndarray[Any, Any]", types: "np.ndarray[Any, Any]") -> Any:
        """Spans written one after the other; one that would run into the next, or out of its sentence, is cut."""
        stops = np.append(begins[1:], total)
        sentence = np.append(np.flatnonzero(first), total)
        stops = np.minimum(stops, sentence[np.searchsorted(sentence, begins, side="right")])
        sizes = np.minimum(sizes, stops - begins)
        found = np.zeros(total, dtype=np.int64)
        inside = np.repeat(begins, sizes) + np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        found[inside] = np.repeat(2 * types + 2, sizes)
        found[begins] = 2 * types + 1
        return found

    begins = np.flatnonzero(rng.random(total) < 1 / 14)
    sizes, types = rng.integers(1, 9, len(begins)), rng.integers(0, len(TYPES), len(begins))
    gold = tags(begins, sizes, types)
    kept = rng.random(len(begins)) < 0.85
    wrong = rng.random(len(begins)) < 0.1
    longer = np.where(rng.random(len(begins)) < 0.1, 1, 0)
    others = np.flatnonzero(rng.random(total) < 1 / 120)
    starts, order = np.unique(np.concatenate([begins[kept], others]), return_index=True)
    new = rng.integers(1, 9, len(others)), rng.integers(0, len(TYPES), len(others))
    guess_types = np.concatenate([np.where(wrong, (types + 1) % len(TYPES), types)[kept], new[1]])[order]
    guess = tags(starts, np.concatenate([(sizes + longer)[kept], new[0]])[order], guess_types)
    return lengths, gold, guess


def lists(lengths: Any, codes: Any) -> list[list[str]]:
    """Tags as strings, a list for each sentence."""
    flat = [TAGS[code] for code in codes.tolist()]
    ends = np.cumsum(lengths).tolist()
    return [flat[end - length : end] for length, end in zip(lengths.tolist(), ends, strict=True)]


def articles(number: int, start: int = 0) -> list[int]:
    return [i // PER_ARTICLE for i in range(start, start + number)]


def contestants(name: str, number: int, seed: int) -> Callable[[], float]:
    """A call that scores, and returns micro-F1; what it needs is there before."""
    from jinbench.scoring.streaming import StreamingScorer

    if name in ("a stream of 100,000", "a stream of 1,000,000"):
        size = 100_000 if name.endswith(" 100,000") else 1_000_000

        def batches() -> Iterator[tuple[list[list[str]], list[list[str]], list[int]]]:
            for start in range(0, size, BATCH):
                lengths, gold, guess = sentences(BATCH, seed + start)
                yield lists(lengths, gold), lists(lengths, guess), articles(BATCH, start)

        def stream() -> float:
            tally = StreamingScorer(TYPES)
            for batch in batches():
                tally.add(*batch)
            return float(tally.report(RESAMPLES).micro.f1 or 0)

        return stream

    lengths, gold, guess = sentences(number, seed)
    groups = articles(number)
    if name == "jinbench, Arrow":
        import pyarrow as pa

        offsets = np.append(0, np.cumsum(lengths)).astype(np.int32)
        columns = [pa.ListArray.from_arrays(offsets, pa.array(side)) for side in (gold, guess)]
        return lambda: float(
            StreamingScorer(TYPES, tag_names=TAGS, intervals=False).add(*columns).report().micro.f1 or 0
        )
    true, said = lists(lengths, gold), lists(lengths, guess)
    del gold, guess
    if name == "jinbench, lists":
        return lambda: float(StreamingScorer(TYPES, intervals=False).add(true, said).report().micro.f1 or 0)
    if name == "jinbench, lists, by article":
        return lambda: float(StreamingScorer(TYPES).add(true, said, groups).report(0).micro.f1 or 0)
    if name in ("bootstrap", "bootstrap, every label"):
        tally = StreamingScorer(TYPES).add(true, said, groups)
        return lambda: float(tally.report(RESAMPLES, labels=name != "bootstrap").micro.f1 or 0)
    if name.startswith("seqeval"):
        from seqeval.metrics import classification_report, f1_score
        from seqeval.scheme import IOB2

        mode = {"mode": "strict", "scheme": IOB2} if "strict" in name else {}
        if "report" in name:
            return lambda: float(classification_report(true, said, output_dict=True, **mode)["micro avg"]["f1-score"])
        return lambda: float(f1_score(true, said, **mode))
    from nervaluate.evaluator import Evaluator

    return lambda: float(Evaluator(true, said, tags=list(TYPES), loader="list").evaluate()["overall"]["strict"].f1)


NAMES = (
    "jinbench, lists",
    "jinbench, lists, by article",
    "jinbench, Arrow",
    "bootstrap",
    "bootstrap, every label",
    "seqeval f1",
    "seqeval report",
    "seqeval strict f1",
    "seqeval strict report",
    "nervaluate",
    "a stream of 100,000",
    "a stream of 1,000,000",
)


def settle() -> float:
    """Give back what is free, and start to count the peak anew, where that can be done; the memory in use, in MB."""
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass
    return peak_memory_mb()


def measure(name: str, number: int, seed: int) -> dict[str, float]:
    """The memory of a first call, and the seconds of a second, when what is imported or made once is there."""
    pin()
    call = contestants(name, number, seed)
    if not name.startswith("a stream"):
        contestants(name, 1000, seed)()
    before = settle()
    call()
    memory = max(peak_memory_mb() - before, 0.0)
    start = time.process_time()
    f1 = call()
    return {"seconds": time.process_time() - start, "memory": memory, "f1": f1}


def main(
    sentences: Annotated[int, typer.Option(min=1000, help="How many.")] = 100_000,
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each; those of others that take long, once.")] = 5,
    seed: Annotated[int, typer.Option(help="Of the sentences.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="All figures as one line of JSON.")] = False,
    only: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Score made-up sentences with ours and with others, and print ratios."""
    if only:
        print(json.dumps(measure(only, sentences, seed)))
        return
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in NAMES}
    options = ["--sentences", str(sentences), "--seed", str(seed)]
    for number in range(repeats):
        for name in NAMES:
            once = name.startswith("a stream") or name == "nervaluate" or "report" in name
            if not (once and number):
                typer.echo(f"{name} {number + 1}", err=True)
                runs[name].append(in_a_process(__file__, ["--only", name, *options]))
    found = {name: medians(each) for name, each in runs.items()}
    scored = {name: each["f1"] for name, each in found.items() if not name.startswith("a stream")}
    if len({round(f1, 9) for f1 in scored.values()}) > 1:
        typer.echo(f"the scorers disagree: {scored}", err=True)
        raise typer.Exit(1)
    mine, arrow = found["jinbench, lists"], found["jinbench, Arrow"]
    ratios = {
        "seqeval f1 / jinbench from lists": found["seqeval f1"]["seconds"] / mine["seconds"],
        "seqeval report / jinbench from lists": found["seqeval report"]["seconds"] / mine["seconds"],
        "seqeval strict f1 / jinbench from lists": found["seqeval strict f1"]["seconds"] / mine["seconds"],
        "nervaluate / jinbench from lists": found["nervaluate"]["seconds"] / mine["seconds"],
        "seqeval f1 / jinbench from Arrow": found["seqeval f1"]["seconds"] / arrow["seconds"],
        "seqeval report / jinbench from Arrow": found["seqeval report"]["seconds"] / arrow["seconds"],
        f"{RESAMPLES} resamples of articles / scoring lists": found["bootstrap"]["seconds"]
        / found["jinbench, lists, by article"]["seconds"],
        f"{RESAMPLES} resamples, every label / scoring lists": found["bootstrap, every label"]["seconds"]
        / found["jinbench, lists, by article"]["seconds"],
        "extra memory, jinbench from lists / seqeval f1": mine["memory"] / found["seqeval f1"]["memory"],
        "extra memory, a stream of 1,000,000 / of 100,000": found["a stream of 1,000,000"]["memory"]
        / found["a stream of 100,000"]["memory"],
    }
    if as_json:
        typer.echo(json.dumps({"medians": found, "ratios": ratios, "runs": runs}))
        return
    typer.echo(f"{'':32}{'seconds':>10}{'extra MB':>10}{'micro-F1':>12}")
    for name, each in found.items():
        typer.echo(f"{name:32}{each['seconds']:10.3f}{each['memory']:10.0f}{each['f1']:12.6f}")
    typer.echo("\nratios:")
    for name, ratio in ratios.items():
        typer.echo(f"{ratio:10.3f}  {name}")


if __name__ == "__main__":
    typer.run(main)
