"""Process very many articles on a Dask cluster. A shard that is written is not done again, by no later run either."""

import contextlib
import itertools
import json
import logging
import platform
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import dask
import distributed
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from jinbench.core import files, folders
from jinbench.core.benchmark import Benchmark
from jinbench.core.errors import CODES, DataError, JinbenchError, Problem, fail, raise_if_any, shorten
from jinbench.core.jsonl import MAX_PROBLEMS
from jinbench.core.types import Step
from jinbench.dataset.load import read_rows
from jinbench.models.crf.estimator import CrfTagger
from jinbench.scale import batch, dedup
from jinbench.scale.dedup import LABELLED, WORK, read_work
from jinbench.scale.readers import Settings, plan_shards, read_articles
from jinbench.seeds.repairs import REPAIR_NAMES, find_repair

SUMMARY, PROBLEMS, PLAN = "summary.json", "problems.jsonl", f"{WORK}/plan.json"
RESUME_HINT = "What is finished is kept: the same command goes on from there."
_PACKAGES = ("jinbench", "numpy", "opencc", "pyarrow", "scikit-learn", "scipy")  # which bytes depend on
# Workers leave Ctrl-C to us, and import everything before two threads of theirs can do it at once.
_PRELOAD = ["import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); import jinbench.scale.pipeline"]


def process(
    paths: Sequence[Path], out: Path, benchmark: Benchmark, settings: Settings, *, workers: int | None = None,
    scheduler: str | None = None, strict: bool = False, progress: Step = lambda *_: None,
) -> dict[str, Any]:  # fmt: skip
    """Clean, segment, tag, deduplicate and select articles; resume an interrupted run.

    Args:
        paths: JSON Lines, Parquet or text files, or folders of them.
        out: output folder: new, empty, or of a run with the same settings and input.
        benchmark: whose gold trains the tagger, and whose passages are not selected again.
        settings: settings of the run.
        workers: number of processes; by default one for each core.
        scheduler: address of a Dask cluster that does the work instead; its workers must see input and output.
        strict: write nothing if anything in the input cannot be used.
        progress: called with the name of a step, the number done, and the total.

    Returns:
        The contents of summary.json.

    Raises:
        DataError: [wrong-version] of a worker; [plan-differs, folder-taken] if `out` is of another run; [file-missing,
            page-empty, file-binary, broken-json, broken-parquet, wrong-shape, repair-unknown]; `strict`: any.
        JinbenchError: another run is at work in `out`, or the cluster failed.
    """
    if unknown := [name for name in settings.repairs if find_repair(name) is None]:
        fail("repair-unknown", "--repair", expected="a repair", found=shorten(unknown[0]), fix=", ".join(REPAIR_NAMES))
    hashes, shards = plan_shards(settings, paths)
    gold = read_rows(benchmark, "ner") if benchmark.manifest.is_file() or settings.tagging else []
    if settings.tagging and not gold:
        fail("file-missing", files.display_path(benchmark.dataset), expected="labels", found="none", fix="--no-tagging")
    plan: dict[str, Any] = {f"settings.{name}": value for name, value in asdict(settings).items()}
    plan |= {"settings.repairs": list(settings.repairs), "versions.python": platform.python_version()}
    plan |= {f"versions.{name}": metadata.version(name) for name in _PACKAGES}
    plan |= {f"sources.{name}": hash for name, hash in hashes.items()}
    plan["labels"] = files.sha256(json.dumps([[row["text"], row["spans"]] for row in gold]).encode())
    has_run = (out / WORK).is_dir() or (out / SUMMARY).is_file()
    folders.require_free_folder(
        out, "choose another --out, or empty it", lambda path: has_run and not path.is_symlink()
    )
    _check_plan(out, plan)
    rows = itertools.chain.from_iterable(read_articles(settings.field, shard) for shard in shards if strict)
    raise_if_any(itertools.islice((row for row in rows if isinstance(row, Problem)), MAX_PROBLEMS))
    if (out / SUMMARY).is_file():
        return dict(files.read_json(out / SUMMARY))
    with _connect(workers, scheduler) as client:
        (out / WORK).mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(out / WORK / "lock", timeout=0):
                _check_plan(out, plan)  # once more: another run may have begun since
                files.write_text(out / PLAN, files.dump_json({"plan": plan}))
                _process_shards(client, out.resolve(), settings, gold, shards, progress)
                summary = _merge(client, paths, out.resolve(), settings, len(shards), progress) | {"plan": plan}
                files.write_text(out / SUMMARY, files.dump_json(summary))
        except Timeout:
            raise JinbenchError(f"Another run is at work in {files.display_path(out)}: wait for it.") from None
    shutil.rmtree(out / WORK)
    return summary


def _check_plan(out: Path, plan: dict[str, Any]) -> None:
    """Raise :class:`DataError` (plan-differs) with every difference to the plan of an earlier run."""
    for path in (path for path in (out / SUMMARY, out / PLAN) if path.is_file()):
        old, location = files.read_json(path)["plan"], files.display_path(path)
        raise_if_any(
            Problem("plan-differs", location=f"{location} {name}", expected=shorten(old.get(name), 80),
                    found=shorten(plan.get(name), 80), fix="choose another --out, or give that command again")
            for name in sorted({*old, *plan}) if old.get(name) != plan.get(name)
        )  # fmt: skip


@contextlib.contextmanager
def _connect(workers: int | None, scheduler: str | None) -> Iterator[Any]:
    """Yield a client of the cluster at an address, or of a local one of `workers` processes."""
    config = {
        "dataframe.shuffle.method": "p2p", "distributed.worker.preload": _PRELOAD, "distributed.admin.tick.limit": "1h",
        # Without Dask's limit on what malloc keeps, which doubles the time of the tagger.
        "distributed.nanny.pre-spawn-environ": dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), 1),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        stack.enter_context(dask.config.set(config | {"temporary-directory": folder}))
        try:
            cluster = scheduler or stack.enter_context(distributed.LocalCluster(
                n_workers=workers or dask.system.CPU_COUNT, threads_per_worker=1, host="127.0.0.1", protocol="tcp",
                dashboard_address="127.0.0.1:0", local_directory=folder, silence_logs=logging.CRITICAL,
            ))  # fmt: skip
            client: Any = stack.enter_context(distributed.Client(cluster, set_as_default=False, timeout="5s"))
            client.wait_for_workers(1, timeout=10)
        except (OSError, ValueError, RuntimeError) as error:
            raise JinbenchError(f"No Dask scheduler with workers at {scheduler or '127.0.0.1'}: {error}") from None
        for worker, version in client.run(metadata.version, "jinbench", on_error="return").items():
            if version != (ours := metadata.version("jinbench")):
                fail("wrong-version", worker, expected=f"jinbench {ours}", found=str(version), fix="install the same")
        try:
            yield client
        except (CancelledError, distributed.KilledWorker) as error:
            raise JinbenchError(f"Dask gave up: {error} {RESUME_HINT}") from None
        except RuntimeError as error:  # from within a shuffle
            raise error.__cause__ if isinstance(error.__cause__, OSError) else error from None


def _process_shards(client: Any, out: Path, settings: Settings, gold: Any, shards: Any, progress: Step) -> None:
    labelled: Any = pd.DataFrame([(row["passage_id"], row["text"]) for row in gold], columns=["id", "text"])
    rows = labelled.groupby("id", as_index=False).sum().to_dict("records")  # the sentences of a passage cover it
    dedup.write_work(out, LABELLED, pa.Table.from_pylist(rows, batch.PASSAGE))
    texts, spans = ([row[name] for row in gold] for name in ("text", "spans"))
    tagger = client.submit(CrfTagger(random_state=0).fit, texts, spans, pure=False) if settings.tagging else None
    paths = [(dedup.work_path(out, i), batch.shard_path(out, i)) for i in range(len(shards))]
    remaining = [i for i, (work, data) in enumerate(paths) if not (work.is_file() and data.is_file())]
    options = {"folder": out, "settings": settings, "tagger": tagger, "pure": False}
    futures = client.map(batch.process_shard, remaining, [shards[i] for i in remaining], **options)
    done = len(shards) - len(remaining)
    progress("blocks", done, len(shards))
    for i, future in enumerate(distributed.as_completed(futures, loop=client.loop), done + 1):
        future.result()
        progress("blocks", i, len(shards))


def _merge(client: Any, paths: Any, out: Path, settings: Settings, shards: int, progress: Step) -> dict[str, Any]:
    """Write what is made of all shards together, and return the summary."""
    counts = Counter[str]()
    for shard in range(shards):
        counts.update(json.loads(read_work(out, shard).schema.metadata[b"counts"]))
    files.write_chunks(out / PROBLEMS, (read_work(out, i).schema.metadata[b"problems"] for i in range(shards)))
    if not counts["articles"]:
        with (out / PROBLEMS).open(encoding="utf-8") as file:
            problems = [Problem(**json.loads(line)) for line in itertools.islice(file, 20)]
        (out / PROBLEMS).unlink()
        shutil.rmtree(out / "data", ignore_errors=True)
        shutil.rmtree(out / WORK)
        raise DataError([Problem("page-empty", location=files.display_path(paths[0]), expected="an article",
                                 found="none", fix="check --field"), *problems])  # fmt: skip
    progress("near duplicates", 0, 1)
    pairs, families = dedup.find_near_duplicates(client, out, shards, counts["passages"], settings.similar)
    progress("near duplicates", 1, 1)
    labelled = read_work(out, LABELLED)["id"].to_pylist()
    for name in ("first", "second", "family"):
        pairs[name] = [dedup.format_passage_id(n) if n >= 0 else labelled[n & 0xFFFFFFFF] for n in pairs[name]]
    files.write_bytes(out / "duplicates.parquet", pairs.to_parquet(compression="zstd", index=False))
    names = ["id", "title", "text", "certainty", "article_id", "given_id", "source", "at"]
    selected = [pq.read_table(batch.shard_path(out, n >> 32), columns=names).slice(n & 0xFFFFFFFF, 1).to_pylist()[0]
                for n in dedup.select(out, settings.select, shards, families)]  # fmt: skip
    files.write_text(out / "selected.jsonl", files.dump_jsonl(selected))
    files.write_text(out / "README.md", Path(__file__).with_name("folder.md").read_text(encoding="utf-8"))
    folders.sweep_leftovers(out / "data")  # of a worker that was killed
    new = families[families.index >= 0]
    sizes, skipped = new.value_counts(), {name: counts.pop(name) for name in sorted(counts) if name in CODES}
    near = {"pairs": len(pairs), "families": len(sizes), "passages": len(new), "largest": int(max(sizes, default=0))}
    return {**counts, "blocks": shards, "skipped": skipped, "near_duplicates": near,
            "like_labelled": int((new < 0).sum()), "selected": len(selected)}  # fmt: skip
