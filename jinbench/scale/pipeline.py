"""Many articles in one go: the plan of a run, its stages one after the other, and what comes out of all blocks.

What a stage has finished lies in files; a run that was cut off, wherever that was, goes on from there, and comes to the
same bytes as one that was not. The plan says what a folder belongs to, and no other run goes on in it.
"""

import contextlib
import itertools
import json
import platform
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, JinbenchError, Problem, raise_if_any, shorten
from jinbench.core.jsonl import MAX_PROBLEMS
from jinbench.core.types import Span, Step
from jinbench.dataset import load
from jinbench.models.active_learning import MODEL_PREFIX
from jinbench.scale import dedup, readers
from jinbench.scale.dedup import Components, Partition
from jinbench.scale.executors import Executor
from jinbench.scale.readers import Fault, InputFile, Shard
from jinbench.scale.stages import WORK, Job, TrainedModel, Settings, check_shard, process_shard, limit_to_one_thread, format_passage_id, save_model, write_atomically
from jinbench.seeds.repairs import REPAIR_NAMES, find_repair

PLAN, SUMMARY, SELECTED, PAIRS, PROBLEMS = (
    "plan.json", "summary.json", "selected.jsonl", "duplicates.parquet", "problems.jsonl"
)  # fmt: skip
SHOWN = 20  # problems that the summary names
_PACKAGES = ("jinbench", "numpy", "pyarrow", "scikit-learn", "scipy")  # on which bytes may depend

_CARD = """---
configs:
- config_name: passages
  data_files: data/*.parquet
  default: true
- config_name: duplicates
  data_files: duplicates.parquet
---
# Passages of many articles

Written by `jinbench process`; nothing here was checked by a person. `summary.json` says what of, and how.

| file | a row is |
|---|---|
| `data/` | a passage, with its place in the source, its sentences and its entities |
| `duplicates.parquet` | two passages that nearly repeat each other; copies are paired with the first of them |
| `selected.jsonl` | a passage that is worth labelling: `jinbench seeds add` takes the file |
| `problems.jsonl` | something of the input that was left out, and why |

Of a passage: `id` and `article_id` are unique (block and row, block and article); `given_id` is what the source calls
the article. `sentences` and `spans` have half-open offsets in `text`, in code points; `chance` is how likely the tagger
holds a span to be right, `certainty` how sure it is of the whole passage; `labelled` names the passage of the benchmark
that it nearly repeats. The article begins at `at` of `source`: the byte of its line, or the row of its table, from 0;
the passage was made from `[start, end)` of its text.

Of a pair: `similarity` is the Jaccard index of their character shingles, `family` the first passage of all that pairs
lead to from these.
"""


class TrainingData:
    """What there is to learn from before a run: the gold of a benchmark, and the passages that are labelled.

    Raises :class:`DataError` (file-missing, file-changed) if tagging is wanted and nothing is labelled.
    """

    def __init__(self, benchmark: Benchmark, tagging: bool) -> None:
        rows = load.read_rows(benchmark, "ner") if benchmark.manifest.is_file() or tagging else []
        if tagging and not rows:
            hint = "label some, or: --no-tagging"
            raise DataError(
                Problem(
                    "file-missing",
                    location=files.display_path(benchmark.dataset),
                    expected="labelled passages",
                    found="none",
                    fix=hint,
                )
            )
        self.tagging = tagging
        self.texts: list[str] = [row["text"] for row in rows]
        self.spans = [[Span(*(each[name] for name in Span._fields)) for each in row["spans"]] for row in rows]
        passages: dict[str, str] = defaultdict(str)
        for row in rows:  # the sentences of a passage cover it
            passages[row["passage_id"]] += row["text"]
        self.passages = dict(passages)
        known = [[row["id"], row["text"], found] for row, found in zip(rows, self.spans, strict=True)]
        hash = files.sha256(json.dumps(known, ensure_ascii=False).encode())[:8]
        self.version = f"{MODEL_PREFIX if tagging else 'labels'} {metadata.version('jinbench')} {hash}"

    def learn(self) -> TrainedModel:
        """The same every time. Some seconds with tagging, nothing without."""
        tagger = None
        if self.tagging:
            from jinbench.models.crf.estimator import CrfTagger

            with limit_to_one_thread():
                tagger = CrfTagger(random_state=0).fit(self.texts, self.spans)
        return TrainedModel(self.version, tagger, tuple(self.passages), tuple(self.passages.values()))


def process(
    paths: Sequence[Path],
    out: Path,
    benchmark: Benchmark,
    settings: Settings,
    executor: "contextlib.AbstractContextManager[Executor]",
    progress: Step,
    strict: bool = False,
) -> dict[str, Any]:
    """Everything, and the summary of it. `step` is called with stage, blocks or partitions done, and of how many.

    Raises :class:`DataError`: with what is wrong with the input as a whole, with everything wrong in it if it is
    `strict` (nothing is written then), plan-differs or folder-taken if `out` belongs to something else.
    """
    _check_repairs(settings.repairs)
    lesson = TrainingData(benchmark, settings.tagging)
    sources, cut = readers.plan_shards(paths, settings.fields, settings.block)
    planned = _plan(sources, settings, lesson.version)
    if not (out.is_dir() and {path.name for path in out.iterdir()} == {WORK}):  # a run that had just begun
        files.require_free_folder(out, "choose another --out, or empty it", PLAN)
    _check_plan(out, planned)
    if (out / SUMMARY).is_file():
        shutil.rmtree(out / WORK, ignore_errors=True)
        if strict:
            raise_if_any(_noted(out))
        found: dict[str, Any] = json.loads((out / SUMMARY).read_text(encoding="utf-8"))
        return found
    job = Job(str(out.resolve()), settings, "")
    with executor as run:
        if strict:
            raise_if_any(_all_problems(run, job, sources, cut, progress))
        with _alone(out):
            _check_plan(out, planned)  # once more: another run may have begun and ended since
            _write(job, PLAN, [files.dump_json(planned)])
            _do_blocks(run, job, lesson, cut, progress)
            counts = _counted(job, sources, cut)
            if not counts["articles"]:
                _clear(out)
                nothing = Problem(
                    "page-empty",
                    location=files.display_path(paths[0]),
                    expected="an article",
                    found="none",
                    fix="check --field",
                )
                raise DataError([nothing, *counts["first"]])
            rows = sum(_length(job.work_path("bands", block.number)) for block in cut)
            parts = dedup.count_partitions(rows, settings.rows)
            _stage(
                run,
                "repeats",
                "json",
                dedup.find_candidates,
                job,
                [Partition(i, parts, len(cut)) for i in range(parts)],
                progress,
            )
            sifted = [json.loads(job.work_path("repeats", i, "json").read_text()) for i in range(parts)]
            halves = dedup.count_partitions(sum(each["candidates"] for each in sifted), settings.rows)
            _stage(run, "pairs", "npy", dedup.verify_candidates, job, [Partition(i, halves, parts) for i in range(halves)], progress)
            found = _finish(job, planned, sources, cut, counts, sifted, halves, progress)
            shutil.rmtree(out / WORK, ignore_errors=True)
    return found


def _noted(out: Path) -> Iterator[Problem]:
    """What a run that is finished left out, up to `MOST`."""
    with (out / PROBLEMS).open(encoding="utf-8") as file:
        for line in itertools.islice(file, MAX_PROBLEMS):
            yield Problem(**json.loads(line))


def _clear(out: Path) -> None:
    """Take away what an unfinished run has written, the plan last, and the folder if nothing else is in it."""
    for name in ("data", WORK):
        shutil.rmtree(out / name, ignore_errors=True)
    (out / PLAN).unlink()
    with contextlib.suppress(OSError):
        out.rmdir()


def _check_repairs(names: Iterable[str]) -> None:
    """Raises :class:`DataError` (repair-unknown)."""
    hint = f"one of {', '.join(REPAIR_NAMES)}"
    raise_if_any(
        Problem("repair-unknown", location="--repair", expected="the name of a repair", found=shorten(name), fix=hint)
        for name in names
        if find_repair(name) is None
    )


def _plan(sources: Sequence[InputFile], settings: Settings, version: str) -> dict[str, Any]:
    """What a run belongs to. Two runs with the same plan write the same bytes."""
    versions = {name: metadata.version(name) for name in _PACKAGES} | {"python": platform.python_version()}
    if any(name.startswith("script:") for name in settings.repairs):
        versions["opencc"] = metadata.version("opencc")
    return {
        "model": version,
        "settings": settings.to_dict(),
        "sources": [{"name": each.name, "kind": each.kind, "bytes": each.size, "sha256": each.sha256,
                     "blocks": each.shards[1] - each.shards[0]} for each in sources],
        "versions": versions,
    }  # fmt: skip


def _check_plan(out: Path, planned: dict[str, Any]) -> None:
    """Raises :class:`DataError` (plan-differs) with everything in which the plan in the folder is another one."""
    path = out / PLAN
    if not path.is_file():
        return
    ours, theirs = dict(_leaves(planned)), dict(_leaves(files.read_json(path)))
    differ = [name for name in sorted({*ours, *theirs}) if ours.get(name) != theirs.get(name)]
    if "settings.block" in differ:  # then the numbers of blocks differ too, which says nothing more
        differ = [name for name in differ if not re.fullmatch(r"sources\.\d+\.blocks", name)]
    raise_if_any(
        Problem("plan-differs", location=f"{files.display_path(path)} {name}",
                expected=shorten(theirs.get(name, "nothing"), 80), found=shorten(ours.get(name, "nothing"), 80), fix=_same_again(name, theirs.get(name)))
        for name in differ
    )  # fmt: skip


def _same_again(name: str, there: Any) -> str:
    """What to do about a setting that differs: the option that the folder's run had, where one decides it."""
    again = "that command again"
    if name == "settings.block" and isinstance(there, int):
        again = f"--block {there / 2**20:.4g}, as that run had"  # in megabytes, as it is given
    elif name in ("settings.similar", "settings.select") and there is not None:
        again = f"--{name.partition('.')[2]} {there}, as that run had"
    elif name == "settings.fields.text" and there is not None:
        again = f"--field {there}, as that run had"
    return f"choose another --out; or give {again}; or remove the folder"


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not pairs:
        yield name, value
    for key, each in pairs:
        yield from _leaves(each, f"{name}.{key}".removeprefix("."))


@contextlib.contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Raises :class:`JinbenchError` if another run on this machine is at work in the folder."""
    room = out / WORK
    room.mkdir(parents=True, exist_ok=True)
    with (room / "lock").open("w") as file:
        with contextlib.suppress(ImportError):  # where there is no fcntl, nobody is kept out
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                place = files.display_path(out)
                raise JinbenchError(
                    f"Another run is at work in {place}. Wait for it, or choose another --out."
                ) from None
        begun = (out / PLAN).is_file()  # if not, what lies there is of a run whose plan somebody has taken away
        for path in room.iterdir():
            if path.name == "tmp" or (path.is_dir() and not begun):
                shutil.rmtree(path, ignore_errors=True)
        yield


def _all_problems(
    run: Executor, job: Job, sources: Sequence[InputFile], cut: Sequence[Shard], step: Step
) -> list[Problem]:
    """Everything that would be left out, in order, up to `MOST`. Nothing is written."""
    step("checking", 0, len(cut))
    lines, faults = [0] * len(cut), dict[int, list[Fault]]()
    for done, (number, count, found) in enumerate(run(check_shard, ((job, block) for block in cut)), 1):
        lines[number] = count
        if found:
            faults[number] = found
        step("checking", done, len(cut))
    before = _before(sources, lines)
    return list(itertools.islice((each.to_problem(before[i]) for i in sorted(faults) for each in faults[i]), MAX_PROBLEMS))


def _before(sources: Sequence[InputFile], lines: Sequence[int]) -> list[int]:
    """For each block how many lines of its source come before it."""
    found = []
    for source in sources:
        own = lines[slice(*source.shards)]
        found += [total - count for total, count in zip(itertools.accumulate(own), own, strict=True)]
    return found


def _do_blocks(run: Executor, job: Job, lesson: TrainingData, cut: Sequence[Shard], step: Step) -> None:
    left = [block for block in cut if not job.work_path("blocks", block.number, "json").is_file()]
    done = len(cut) - len(left)
    if left:
        step("learning", 0, 1)
        job = replace(job, model=save_model(lesson.learn(), Path(job.folder)))
        _same_model(job)
        step("learning", 1, 1)
    step("blocks", done, len(cut))
    for _ in run(process_shard, ((job, block) for block in left)):
        done += 1
        step("blocks", done, len(cut))


def _same_model(job: Job) -> None:
    """Hold what was learnt to what the run learnt when it began: another processor may round otherwise.

    Raises :class:`DataError` (plan-differs).
    """
    path = Path(job.folder) / WORK / "model.sha256"
    if not path.is_file():
        with write_atomically(job.folder, path) as name:
            name.write_text(job.model, encoding="utf-8")
    before = path.read_text(encoding="utf-8")
    if before != job.model:
        hint = "go on with it on a machine like the one that began it, or empty the folder"
        raise DataError(
            Problem(
                "plan-differs",
                location=files.display_path(path),
                expected=f"a model {before[:8]}",
                found=job.model[:8],
                fix=hint,
            )
        )


def _stage(
    run: Executor,
    kind: str,
    suffix: str,
    function: Callable[[Job, Partition], int],
    job: Job,
    parts: list[Partition],
    step: Step,
) -> None:
    """Call a function for every partition whose file is not there."""
    left = [part for part in parts if not job.work_path(kind, part.number, suffix).is_file()]
    done = len(parts) - len(left)
    step(kind, done, len(parts))
    for _ in run(function, ((job, part) for part in left)):
        done += 1
        step(kind, done, len(parts))


def _length(path: Path) -> int:
    """How many rows an array in a file has."""
    import numpy as np

    return len(np.load(path, mmap_mode="r"))


def _write(job: Job, name: str, pieces: Iterable[str]) -> None:
    """Half a surrogate pair, which a fault may quote, becomes an escape: in JSON that is what it means."""
    with (
        write_atomically(job.folder, Path(job.folder) / name) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace") as file,
    ):
        file.writelines(pieces)


def _reports(job: Job, sources: Sequence[InputFile], cut: Sequence[Shard]) -> Iterator[tuple[dict[str, Any], int]]:
    """What each block said, and how many lines of its source come before it."""
    for source in sources:
        before = 0
        for block in cut[slice(*source.shards)]:
            report = json.loads(job.work_path("blocks", block.number, "json").read_text(encoding="utf-8"))
            yield report, before
            before += report["lines"]


def _problems(job: Job, sources: Sequence[InputFile], cut: Sequence[Shard]) -> Iterator[Problem]:
    for report, before in _reports(job, sources, cut):
        yield from (Fault(**fault).to_problem(before) for fault in report["faults"])


def _counted(job: Job, sources: Sequence[InputFile], cut: Sequence[Shard]) -> dict[str, Any]:
    """The sums over all blocks; `skipped`: by code; `first`: the first problems."""
    names = ("articles", "empty", "passages", "cut", "sentences", "characters", "spans", "labelled")
    counts, skipped = Counter(dict.fromkeys(names, 0)), Counter[str]()
    for report, _ in _reports(job, sources, cut):
        counts.update(report["counts"])
        skipped.update(fault["code"] for fault in report["faults"])
    first = list(itertools.islice(_problems(job, sources, cut), SHOWN)) if skipped else []
    return counts | {"skipped": dict(sorted(skipped.items())), "first": first}


def _finish(
    job: Job, planned: dict[str, Any], sources: Sequence[InputFile], cut: Sequence[Shard], counts: dict[str, Any],
    sifted: Sequence[dict[str, Any]], halves: int, step: Step,
) -> dict[str, Any]:  # fmt: skip
    """What is made of all blocks together, and last of all the summary."""
    step("merging", 0, 1)
    pairs = [job.work_path("pairs", i) for i in range(halves)]
    found = Components(pairs)
    _write_pairs(job, pairs, found)
    picked = dedup.select_least_certain(job, job.settings.select, len(cut), found)
    if job.settings.tagging:
        _write(job, SELECTED, (files.dump_jsonl([row]) for row in _selected(job, picked)))
    problems = (json.dumps(asdict(problem), ensure_ascii=False) + "\n" for problem in _problems(job, sources, cut))
    _write(job, PROBLEMS, problems)
    _write(job, "README.md", [_CARD])
    examples = sorted(tuple(place) for each in sifted for place in each["examples"])[: dedup.MAX_EXAMPLES]
    summary = {
        **{name: counts[name] for name in ("articles", "empty", "passages", "cut", "sentences", "characters")},
        **({"spans": counts["spans"]} if job.settings.tagging else {}),
        "blocks": len(cut),
        "skipped": counts["skipped"],
        "first_problems": [str(problem) for problem in counts["first"]],
        "ids_again": sum(each["repeated"] for each in sifted),
        "ids_again_at": [{"block": block, "at": at} for block, at in examples],
        "near_duplicates": {
            "pairs": found.pairs, "families": len(found.sizes), "passages": sum(found.sizes),
            "largest": max(found.sizes, default=0), "candidates": sum(each["candidates"] for each in sifted),
            "dense_bands": sum(each["dense"] for each in sifted),
        },
        "like_labelled": counts["labelled"],
        "selected": len(picked),
        **planned,
    }  # fmt: skip
    _write(job, SUMMARY, [files.dump_json(summary)])
    step("merging", 1, 1)
    return summary


def _write_pairs(job: Job, pairs: Sequence[Path], found: Components) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    form = pa.schema([("first", pa.string()), ("second", pa.string()), ("similarity", pa.float64()),
                      ("family", pa.string())])  # fmt: skip
    path = Path(job.folder) / PAIRS
    with write_atomically(job.folder, path) as name, pq.ParquetWriter(name, form, compression="zstd") as writer:
        for chunk in dedup.read_chunks(pairs):
            columns = [chunk["first"].tolist(), chunk["second"].tolist(), found.find_heads(chunk["first"]).tolist()]
            first, second, family = ([format_passage_id(*dedup.to_shard_and_row(n)) for n in column] for column in columns)
            writer.write_table(pa.table([first, second, chunk["similar"], family], schema=form))


def _selected(job: Job, picked: Sequence[tuple[float, int]]) -> list[dict[str, Any]]:
    """The rows of selected.jsonl, the least certain first."""
    import pyarrow.parquet as pq

    names = ["id", "title", "text", "certainty", "article_id", "given_id", "source", "at"]
    rows: list[dict[str, Any]] = []
    for block, wanted in dedup.group_by_shard(picked):
        with pq.ParquetFile(job.shard_path(block)) as file:
            rows += file.read(columns=names).take(wanted).to_pylist()
    return sorted(rows, key=lambda row: (row["certainty"], row["id"]))
