"""Mutated inputs for every reader: `python -m tests.fuzz --examples 1000` prints what became of them.

A case is a good file of a small benchmark with a few mutations, given to the command that reads it. The command must
end within its limits of time and memory, with a result or with a message; where it refuses, nothing is written.
"""

import argparse
import contextlib
import io
import json
import multiprocessing
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from jinbench.core import files
from tests.helpers.benchmarks import create_mini_benchmark, write_pages
from tests.helpers.commands import contents, run
from tests.helpers.entries import GOOD, write_entry

SECONDS = 30
MEMORY = 6 * 2**30  # of address space: pyarrow alone reserves some

TOKENS = [
    *"\0\ufeff\u202e\u200b\r\u2028𠀀\t\"\\'|`<&{}[],:=#-./\ud800", "\\ud800", "\x1b[2J", "../", "\n\n", "---\n", "```",
    "null", "true", "NaN", "Infinity", "1e999", "-1", "9" * 400, "[" * 3000, '{"a":' * 3000, "a" * 70_000,
    "O\n", "B-DATE", "I-X", "T1\t", "R1\t", "<think>", "</think>",
]  # fmt: skip
VALUES: list[Any] = [
    None, True, -1, 0, 1.5, 2**63, 10**30, float("nan"), float("inf"), "", "x", "../x", "\0", "\ud800",
    [], {}, [[]], [None], {"": None},
    [{"start": 0, "end": 10**12, "type": "DATE"}], "DATE", "b-L3-S1", "a\nb", "2026-13-40", ["x"] * 3,
]  # fmt: skip


class Reader(NamedTuple):
    """The file that is mutated and the command that reads it, both relative to the folder of a benchmark."""

    file: str
    command: str


HYDRATE = "hydrate standoff --pages seeds/pages --out OUT"
READERS = {
    "conll": Reader("in/conll.txt", "convert in/conll.txt --to cluener --out OUT"),
    "conll-repaired": Reader("in/conll.txt", "convert in/conll.txt --repair begin --scheme BIO --to doccano --out OUT"),
    "cluener": Reader("in/cluener.jsonl", "convert in/cluener.jsonl --from cluener --to conll --out OUT"),
    "labelstudio": Reader("in/labelstudio.json", "convert in/labelstudio.json --from labelstudio --to brat --out OUT"),
    "doccano": Reader("in/doccano.jsonl", "convert in/doccano.jsonl --from doccano --to labelstudio --out OUT"),
    "brat": Reader("in/brat/b-L3-S1.ann", "convert in/brat --from brat --to cluener --out OUT"),
    "spacy": Reader("in/spacy.spacy", "convert in/spacy.spacy --from spacy --to doccano --out OUT"),
    "parquet": Reader("dataset/ner/test.parquet", "convert . --from jinbench --to spacy --out OUT"),
    "recognised": Reader("in/doccano.jsonl", "convert in/doccano.jsonl --to jinbench --out OUT"),
    "verify-parquet": Reader("dataset/ner/train.parquet", "verify dataset"),
    "verify-manifest": Reader("dataset/manifest.json", "verify dataset"),
    "verify-splits": Reader("dataset/splits.csv", "verify dataset"),
    "verify-readme": Reader("dataset/README.md", "verify dataset"),
    "hydrate": Reader("standoff/ner/test.parquet", HYDRATE),
    "hydrate-sectors": Reader("standoff/sector/test.parquet", HYDRATE),
    "hydrate-annotations": Reader("standoff/annotations/test.parquet", HYDRATE),
    "hydrate-manifest": Reader("standoff/manifest.json", HYDRATE),
    "hydrate-listing": Reader("standoff/standoff.json", HYDRATE),
    "predictions": Reader("in/predictions.jsonl", "score in/predictions.jsonl"),
    "score-files": Reader("in/doccano.jsonl", "score in/doccano.jsonl in/predictions.jsonl"),
    "compare": Reader("in/predictions.jsonl", "compare in/predictions.jsonl entry/predictions.jsonl"),
    "replies": Reader("in/replies.jsonl", "parse in/replies.jsonl --out OUT"),
    "entry": Reader("entry/predictions.jsonl", "submit entry --dry-run"),
    "system": Reader("entry/system.toml", "submit entry --dry-run"),
    "labels": Reader("annotation/labels.toml", "annotate check"),
    "annotators": Reader("annotation/annotators.toml", "annotate check"),
    "guidelines": Reader("annotation/guidelines.zh.md", "annotate check"),
    "articles": Reader("seeds/articles.toml", "seeds check"),
    "page": Reader("seeds/pages/a.txt", "seeds check"),
    "export": Reader("annotation/exports/annotator-a.json", "agreement"),
    "adjudicated": Reader("annotation/exports/adjudicator.json", "build"),
    "errata": Reader("annotation/errata/001.toml", "build"),
    "marked": Reader("in/marked.jsonl", "annotate import in/marked.jsonl --annotator annotator-a --dry-run"),
    "seeds-text": Reader("in/pages/p1.txt", "seeds add in/pages/p1.txt --dry-run"),
    "seeds-html": Reader("in/page.html", "seeds add in/page.html --dry-run"),
    "seeds-jsonl": Reader("in/pages.jsonl", "seeds add in/pages.jsonl --dry-run"),
}
CORPORA = {"conll": "conll.txt", "cluener": "cluener.jsonl", "labelstudio": "labelstudio.json", "brat": "brat",
           "spacy": "spacy.spacy"}  # fmt: skip
LISTINGS = ("dataset/manifest.json", "standoff/standoff.json")  # with the hashes of files


def make_world(root: Path) -> None:
    """Write a small benchmark that is built, and a good file for every reader."""
    create_mini_benchmark(root)
    jinbench = ["--root", str(root)]
    inputs = root / "in"
    inputs.mkdir()
    write_pages(inputs / "pages")
    inputs.joinpath("page.html").write_text(
        f"<html><body><h1>山城</h1><p>{'山城地铁昨天通车。' * 20}</p></body></html>"
    )
    inputs.joinpath("pages.jsonl").write_text(
        json.dumps({"title": "山城", "text": "山城地铁昨天通车。\n线路全长32公里。"}) + "\n"
    )
    inputs.joinpath("predictions.jsonl").write_text(GOOD)
    rows = [json.loads(line) for line in GOOD.splitlines()]
    replies = [{"id": row["id"], "reply": json.dumps(row["spans"], ensure_ascii=False)} for row in rows]
    inputs.joinpath("replies.jsonl").write_text(files.dump_jsonl(replies))
    write_entry(root, "entry")
    text = "[天津港|PLACE]把调度系统搬到网上,船舶等待时间缩短[20%|QUANTITY]。𠮷祥轮是第一艘受益的船。"
    passages = [{"id": "b-L5", "marked": text, "sectors": ["port"]}]
    errata = root / "annotation" / "errata"
    errata.mkdir()
    errata.joinpath("001.toml").write_text(
        'passage = "a-L5"\ndate = 2026-11-22\nby = "a test"\nwhy = "a test"\n'
        'before = "[昨天|DATE]开工"\nafter = "昨天开工"\n'
    )
    inputs.joinpath("marked.jsonl").write_text(files.dump_jsonl(passages))
    with contextlib.chdir(root):
        for command in ("agreement", "build", "card"):
            must_run([*jinbench, command])
        must_run([*jinbench, "publish", "--standoff", "--out", "standoff"])
        texts = {row["id"]: row["text"] for row in pq.read_table("dataset/ner/test.parquet").to_pylist()}
        spans = {row["id"]: [[span["start"], span["end"], span["type"]] for span in row["spans"]] for row in rows}
        corpus = [{"id": id, "text": text, "label": spans.get(id, [])} for id, text in texts.items()]
        Path("in/doccano.jsonl").write_text(files.dump_jsonl(corpus))
        for format, name in CORPORA.items():
            command = f"convert in/doccano.jsonl --from doccano --offsets code-points --to {format} --out in/{name}"
            must_run(command.split())


def must_run(arguments: list[str]) -> None:
    if code := run(arguments):
        raise RuntimeError(f"jinbench {' '.join(arguments)} ended with {code}")


def mutate(data: bytes, path: str, random: random.Random) -> bytes:
    """Return `data` with one to four mutations: of its bytes, or of the values that its format has."""
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        change = random.choice([_change_bytes, _change_text, _STRUCTURED.get(Path(path).suffix, _change_lines)])
        data = change(data, random)
    return data


def _change_bytes(data: bytes, random: random.Random) -> bytes:
    i, j = sorted(random.randrange(len(data) + 1) for _ in range(2))
    j = min(j, i + random.choice((1, 4, 64, len(data))))
    noise = random.randbytes(random.choice((1, 2, 8)))
    return random.choice(
        [
            data[:i] + noise + data[i + 1 :],
            data[:i] + data[j:],
            data[:j] + data[i:],
            data[:i],
            data[:i] + noise + data[i:],
        ]
    )


def _change_text(data: bytes, random: random.Random) -> bytes:
    text = data.decode("utf-8", "surrogateescape")
    i = random.randrange(len(text) + 1)
    text = text[:i] + random.choice(TOKENS) + text[i + random.choice((0, 1, 5)) :]
    if random.random() < 0.8:
        return text.encode("utf-8", "surrogatepass")
    return text.encode(random.choice(("utf-16", "gb18030")), "replace")


def _change_lines(data: bytes, random: random.Random) -> bytes:
    lines = data.split(b"\n")
    i, j = random.randrange(len(lines)), random.randrange(len(lines))
    cells = lines[i].split(b"\t") if b"\t" in lines[i] else lines[i].split(b" ")
    cells[random.randrange(len(cells))] = random.choice(TOKENS).encode("utf-8", "surrogatepass")
    lines[i] = random.choice([lines[j], b"", lines[i] + b"\n" + lines[i], b" ".join(cells), b"\t".join(cells)])
    return b"\n".join(lines)


def _change_toml(data: bytes, random: random.Random) -> bytes:
    lines = data.split(b"\n")
    i = random.choice([i for i, line in enumerate(lines) if b"=" in line] or [0])
    key, _, value = lines[i].partition(b"=")
    new = json.dumps(random.choice(VALUES)).replace("null", '""').replace("NaN", "nan").replace("Infinity", "inf")
    lines[i] = random.choice(
        [b"%s= %s" % (key, new.encode()), b"", b"x%s=%s" % (key, value), lines[i] + b"\n" + lines[i]]
    )
    return b"\n".join(lines)


def _change_json(data: bytes, random: random.Random) -> bytes:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return _change_lines(data, random)
    return json.dumps(_change_value(value, random)).encode("utf-8", "surrogatepass")


def _change_json_lines(data: bytes, random: random.Random) -> bytes:
    lines = data.split(b"\n")
    i = random.randrange(len(lines))
    lines[i] = _change_json(lines[i], random)
    return b"\n".join(lines)


def _change_value(value: Any, random: random.Random) -> Any:
    """Change a value somewhere inside: another one in its place, a key renamed, an element gone or twice."""
    inner = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    if not inner or random.random() < 0.15:
        return random.choice(VALUES)
    key = random.choice(inner)
    kind = random.choice(("deeper", "deeper", "deeper", "gone", "twice", "renamed"))
    if kind == "deeper":
        value[key] = _change_value(value[key], random)
    elif kind == "gone":
        del value[key]
    elif isinstance(value, list):
        value.insert(key, value[key])
    else:
        value[random.choice(("x", "", "text", "label", "id", "start"))] = (
            value[key] if kind == "twice" else value.pop(key)
        )
    return value


def _change_parquet(data: bytes, random: random.Random) -> bytes:
    try:
        table = pq.ParquetFile(io.BytesIO(data)).read()
        kind = random.choice(("rows", "values", "values", "values of these types", "columns"))
        if kind == "rows":
            table = random.choice((table.slice(1), pa.concat_tables([table, table])))
        elif kind == "columns":
            table = table.drop_columns(random.choice(table.column_names))
        else:
            rows = _change_value(table.to_pylist(), random)
            table = pa.Table.from_pylist(rows, table.schema if kind == "values of these types" else None)
        sink = io.BytesIO()
        pq.write_table(table, sink)
        return sink.getvalue()
    except Exception:  # no table any more, or none that can be written
        return _change_bytes(data, random)


_STRUCTURED: dict[str, Callable[[bytes, random.Random], bytes]] = {
    ".json": _change_json, ".jsonl": _change_json_lines, ".toml": _change_toml, ".parquet": _change_parquet,
}  # fmt: skip


class TimeLimitError(BaseException):
    """A case that takes too long."""


def _raise_time_limit(signal: int, frame: FrameType | None) -> None:
    raise TimeLimitError


def try_case(world: Path, reader: Reader, data: bytes) -> str:
    """Give a mutated file to its command; return "refused", "read", or what is wrong."""
    original = contents(world)
    path = world / reader.file
    path.write_bytes(data)
    if path.suffix == ".parquet":  # as if it were listed: it is read then, and not refused for its hash
        old, new = (files.sha256(data).encode() for data in (original[reader.file], data))
        for name in LISTINGS:
            (world / name).write_bytes(original[name].replace(old, new))
    before = contents(world)
    out = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(world):
        target = Path(folder) / "out"
        arguments = [str(target) if word == "OUT" else word for word in reader.command.split()]
        signal.signal(signal.SIGALRM, _raise_time_limit)
        signal.alarm(SECONDS)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                code = run(["--root", str(world), *arguments])
            out.getvalue().encode()
            fault = "" if code in (0, 1, 2) else f"ended with {code}"
        except TimeLimitError:
            code, fault = 1, f"more than {SECONDS} seconds"
        except Exception as error:  # a traceback is what is looked for
            code, fault = 1, f"{type(error).__name__}: {str(error)[:200]}"
        finally:
            signal.alarm(0)
        left = [path.name for path in Path(folder).iterdir()]
    if not fault and "Traceback" in out.getvalue():
        fault = "a traceback"
    if not fault and code and not out.getvalue().strip():
        fault = "refused without a word"
    after = contents(world)
    if code and (left or after != before) and not fault:
        changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        fault = f"refused, and wrote {', '.join(left + changed)[:200]}"
    for name in original.keys() | after.keys():
        if name not in original:
            (world / name).unlink()
        elif original[name] != after.get(name):
            files.write_bytes(world / name, original[name])
    return fault or ("refused" if code else "read")


def fuzz(
    made: Path, name: str, examples: int, seed: int, keep: Path | None = None
) -> tuple[Counter[str], dict[str, bytes], float]:
    """Try mutated inputs on a reader.

    Returns:
        How many were read, refused and faulty; an input for each fault; the seconds of the slowest.
    """
    counts: Counter[str] = Counter()
    faults: dict[str, bytes] = {}
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        world = Path(shutil.copytree(made, Path(folder) / "world"))
        reader = READERS[name]
        good = (world / reader.file).read_bytes()
        for i in range(examples):
            data = mutate(good, reader.file, random.Random(f"{name} {seed} {i}"))
            start = time.perf_counter()
            outcome = try_case(world, reader, data)
            slowest = max(slowest, time.perf_counter() - start)
            counts[outcome if outcome in ("read", "refused") else "faults"] += 1
            if outcome not in ("read", "refused"):
                faults.setdefault(outcome, data)
                if keep:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{name}-{seed}-{i}{Path(reader.file).suffix}").write_bytes(data)
    return counts, faults, slowest


def _fuzz_limited(
    arguments: tuple[Path, str, int, int, Path | None],
) -> tuple[str, Counter[str], dict[str, bytes], float]:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    return arguments[1], *fuzz(*arguments)


def main() -> None:
    """Print a line for each reader; exit code 1 if there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=1000, help="inputs for each reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", action="append", choices=READERS, help="these alone")
    parser.add_argument("--keep", type=Path, help="a folder for the inputs at which something was wrong")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as folder, multiprocessing.Pool(options.workers, maxtasksperchild=1) as pool:
        made = Path(folder) / "world"
        with contextlib.redirect_stdout(io.StringIO()):
            make_world(made)
        tasks = [(made, name, options.examples, options.seed, options.keep) for name in options.reader or READERS]
        print(f"{'reader':24}{'read':>7}{'refused':>9}{'faults':>8}{'slowest':>9}")
        for name, counts, faults, slowest in pool.imap(_fuzz_limited, tasks, chunksize=1):
            print(f"{name:24}{counts['read']:7}{counts['refused']:9}{counts['faults']:8}{slowest:8.1f}s", flush=True)
            for fault in faults:
                print(f"    {fault!r}", flush=True)
            failed |= bool(faults)
    sys.exit(failed)


if __name__ == "__main__":
    main()
