"""Run all steps on very many articles; resume an interrupted run.

The results of finished steps are files: an interrupted run is resumed by the same command and writes the same bytes as
one that was not. An output folder belongs to one plan; a run with another plan is refused.
"""

import contextlib
import itertools
import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from jinbench.core import files
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import DataError, Problem, fail, raise_if_any
from jinbench.core.jsonl import MAX_PROBLEMS
from jinbench.core.types import Span, Step
from jinbench.dataset.load import read_rows
from jinbench.models.active_learning import MODEL_PREFIX
from jinbench.scale import dedup
from jinbench.scale.dedup import Partition
from jinbench.scale.executors import Executor
from jinbench.scale.outputs import (
    PROBLEMS_IN_SUMMARY,
    SUMMARY,
    ShardReports,
    read_problems,
    write_outputs,
    write_text,
)
from jinbench.scale.plan import PLAN, Plan, check_plan, check_repairs, lock_folder, make_plan
from jinbench.scale.readers import Fault, InputFile, Shard, plan_shards
from jinbench.scale.stages import (
    WORK,
    Job,
    Settings,
    TrainedModel,
    check_shard,
    limit_to_one_thread,
    process_shard,
    save_model,
    write_atomically,
)


class TrainingData:
    """The gold of a benchmark, and its labelled passages.

    Raise :class:`DataError` (file-missing, file-changed) if tagging is wanted and nothing is labelled.
    """

    def __init__(self, benchmark: Benchmark, tagging: bool) -> None:
        rows = read_rows(benchmark, "ner") if benchmark.manifest.is_file() or tagging else []
        if tagging and not rows:
            fail("file-missing", files.display_path(benchmark.dataset), expected="labelled passages", found="none",
                 fix="label some, or: --no-tagging")  # fmt: skip
        self.tagging = tagging
        self.texts: list[str] = [row["text"] for row in rows]
        self.spans = [[Span(*(span[name] for name in Span._fields)) for span in row["spans"]] for row in rows]
        passages: dict[str, str] = defaultdict(str)
        for row in rows:  # the sentences of a passage cover it
            passages[row["passage_id"]] += row["text"]
        self.passages = dict(passages)
        labels = [[row["id"], row["text"], spans] for row, spans in zip(rows, self.spans, strict=True)]
        hash = files.sha256(json.dumps(labels, ensure_ascii=False).encode())[:8]
        self.version = f"{MODEL_PREFIX if tagging else 'labels'} {metadata.version('jinbench')} {hash}"

    def train(self) -> TrainedModel:
        """Train the tagger, if there is tagging; deterministic."""
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
    """Clean, segment, tag, deduplicate and select articles; resume an interrupted run.

    Args:
        paths: JSON Lines, Parquet or text files, or folders of them.
        out: output folder: new, empty, or of a run with the same plan.
        benchmark: whose gold trains the tagger, and whose passages are not selected again.
        settings: settings of the run.
        executor: runs the jobs; see `jinbench.scale.executors`.
        progress: called with the name of a step, the number done, and the total.
        strict: write nothing if anything in the input cannot be used.

    Returns:
        The contents of summary.json.

    Raises:
        DataError: [plan-differs] or [folder-taken] if `out` belongs to something else; [repair-unknown],
            [file-missing], [duplicate-id], [file-binary], [broken-json], [broken-parquet], [wrong-shape] or
            [page-empty] if the input cannot be read; with `strict`, every problem in it.
        JinbenchError: another run is at work in `out`, or the executor failed.
    """
    check_repairs(settings.repairs)
    training_data = TrainingData(benchmark, settings.tagging)
    sources, shards = plan_shards(paths, settings.fields, settings.block)
    plan = make_plan(sources, settings, training_data.version)
    if not (out.is_dir() and {path.name for path in out.iterdir()} == {WORK}):  # a run that had just begun
        files.require_free_folder(out, "choose another --out, or empty it", PLAN)
    check_plan(out, plan)
    if (out / SUMMARY).is_file():
        shutil.rmtree(out / WORK, ignore_errors=True)
        if strict:
            raise_if_any(read_problems(out))
        summary: dict[str, Any] = json.loads((out / SUMMARY).read_text(encoding="utf-8"))
        return summary
    job = Job(str(out.resolve()), settings, "")
    with executor as execute:
        run = _Run(execute, job, sources, shards, progress)
        if strict:
            raise_if_any(run.find_problems())
        with lock_folder(out):
            check_plan(out, plan)  # once more: another run may have begun and ended since
            write_text(job, PLAN, [files.dump_json(plan)])
            run.process_shards(training_data)
            reports = ShardReports(job, sources, shards)
            if not reports.count()[0]["articles"]:
                first_problems = list(itertools.islice(reports.problems(), PROBLEMS_IN_SUMMARY))
                _remove_outputs(out)
                location = files.display_path(paths[0])
                problem = Problem("page-empty", location=location, expected="an article", found="none",
                                  fix="check --field")  # fmt: skip
                raise DataError([problem, *first_problems])
            summary = run.merge(reports, plan)
            shutil.rmtree(out / WORK, ignore_errors=True)
    return summary


def _remove_outputs(out: Path) -> None:
    """Remove what an unfinished run has written, the plan last, and an empty folder."""
    for name in ("data", WORK):
        shutil.rmtree(out / name, ignore_errors=True)
    (out / PLAN).unlink()
    with contextlib.suppress(OSError):
        out.rmdir()


@dataclass
class _Run:
    """Runs the steps that are not done."""

    execute: Executor
    job: Job
    sources: Sequence[InputFile]
    shards: Sequence[Shard]
    progress: Step

    def find_problems(self) -> list[Problem]:
        """Return everything that would be left out, in order, up to `MAX_PROBLEMS`.

        Nothing is written.
        """
        total = len(self.shards)
        self.progress("checking", 0, total)
        lines, faults = [0] * total, dict[int, list[Fault]]()
        results = self.execute(check_shard, ((self.job, shard) for shard in self.shards))
        for done, (number, count, shard_faults) in enumerate(results, 1):
            lines[number] = count
            if shard_faults:
                faults[number] = shard_faults
            self.progress("checking", done, total)
        before = self._count_lines_before(lines)
        problems = (fault.to_problem(before[number]) for number in sorted(faults) for fault in faults[number])
        return list(itertools.islice(problems, MAX_PROBLEMS))

    def _count_lines_before(self, lines: Sequence[int]) -> list[int]:
        """Return for each shard how many lines of its source are before it."""
        before: list[int] = []
        for source in self.sources:
            counts = lines[slice(*source.shards)]
            before += [total - count for total, count in zip(itertools.accumulate(counts), counts, strict=True)]
        return before

    def process_shards(self, training_data: TrainingData) -> None:
        remaining = [shard for shard in self.shards if not self.job.work_path("blocks", shard.number, "json").is_file()]
        job = self.job
        if remaining:
            self.progress("learning", 0, 1)
            job = replace(job, model=save_model(training_data.train(), Path(job.folder)))
            _check_model(job)
            self.progress("learning", 1, 1)
        done = len(self.shards) - len(remaining)
        self.progress("blocks", done, len(self.shards))
        for _ in self.execute(process_shard, ((job, shard) for shard in remaining)):
            done += 1
            self.progress("blocks", done, len(self.shards))

    def merge(self, reports: ShardReports, plan: Plan) -> dict[str, Any]:
        """Find near duplicates, write all outputs and return the summary."""
        job = self.job
        n_rows = sum(_count_rows(job.work_path("bands", shard.number)) for shard in self.shards)
        n_bands = dedup.count_partitions(n_rows, job.settings.rows)
        self._run_step("repeats", "json", dedup.find_candidates, n_bands, len(self.shards))
        candidates = [json.loads(job.work_path("repeats", i, "json").read_text()) for i in range(n_bands)]
        n_candidates = sum(report["candidates"] for report in candidates)
        n_pairs = dedup.count_partitions(n_candidates, job.settings.rows)
        self._run_step("pairs", "npy", dedup.verify_candidates, n_pairs, n_bands)
        self.progress("merging", 0, 1)
        summary = write_outputs(reports, plan, candidates, [job.work_path("pairs", i) for i in range(n_pairs)])
        self.progress("merging", 1, 1)
        return summary

    def _run_step(
        self, kind: str, suffix: str, function: Callable[[Job, Partition], int], n_partitions: int, n_files: int
    ) -> None:
        """Call a function for every partition whose result is missing."""
        partitions = [Partition(i, n_partitions, n_files) for i in range(n_partitions)]
        remaining = [part for part in partitions if not self.job.work_path(kind, part.number, suffix).is_file()]
        done = n_partitions - len(remaining)
        self.progress(kind, done, n_partitions)
        for _ in self.execute(function, ((self.job, partition) for partition in remaining)):
            done += 1
            self.progress(kind, done, n_partitions)


def _check_model(job: Job) -> None:
    """Compare the model with that of the beginning of the run.

    Another processor may round differently. Raise :class:`DataError` (plan-differs).
    """
    path = Path(job.folder) / WORK / "model.sha256"
    if not path.is_file():
        with write_atomically(job.folder, path) as name:
            name.write_text(job.model, encoding="utf-8")
    before = path.read_text(encoding="utf-8")
    if before != job.model:
        fail("plan-differs", files.display_path(path), expected=f"a model {before[:8]}", found=job.model[:8],
             fix="resume it on a machine like the one that began it, or empty the folder")  # fmt: skip


def _count_rows(path: Path) -> int:
    import numpy as np

    return len(np.load(path, mmap_mode="r"))
