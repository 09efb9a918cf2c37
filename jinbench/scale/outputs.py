"""Outputs of a run: pairs, selected passages, problems and the summary."""

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jinbench.core import files
from jinbench.core.errors import Problem
from jinbench.core.jsonl import MAX_PROBLEMS
from jinbench.scale import dedup
from jinbench.scale.dedup import Components
from jinbench.scale.plan import Plan
from jinbench.scale.readers import Fault, InputFile, Shard
from jinbench.scale.stages import Job, Row, format_passage_id, write_atomically

SUMMARY, SELECTED, PAIRS, PROBLEMS = "summary.json", "selected.jsonl", "duplicates.parquet", "problems.jsonl"
PROBLEMS_IN_SUMMARY = 20
_COUNTS = ("articles", "empty", "passages", "cut", "sentences", "characters", "spans", "labelled")

_README = """---
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


def write_text(job: Job, name: str, chunks: Iterable[str]) -> None:
    """Write a file.

    Half a surrogate pair, which a fault may quote, becomes an escape, as JSON has it.
    """
    with (
        write_atomically(job.folder, Path(job.folder) / name) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace") as file,
    ):
        file.writelines(chunks)


def read_problems(out: Path) -> Iterator[Problem]:
    """Yield what a finished run left out, up to `MAX_PROBLEMS`."""
    with (out / PROBLEMS).open(encoding="utf-8") as file:
        for line in itertools.islice(file, MAX_PROBLEMS):
            yield Problem(**json.loads(line))


@dataclass(frozen=True)
class ShardReports:
    """The reports of all shards of a run: counts and faults."""

    job: Job
    sources: Sequence[InputFile]
    shards: Sequence[Shard]

    def read(self) -> Iterator[tuple[dict[str, Any], int]]:
        """Yield the report of each shard, and the lines of its source before it."""
        for source in self.sources:
            lines_before = 0
            for shard in self.shards[slice(*source.shards)]:
                path = self.job.work_path("blocks", shard.number, "json")
                report = json.loads(path.read_text(encoding="utf-8"))
                yield report, lines_before
                lines_before += report["lines"]

    def problems(self) -> Iterator[Problem]:
        for report, lines_before in self.read():
            yield from (Fault(**fault).to_problem(lines_before) for fault in report["faults"])

    def count(self) -> tuple[dict[str, int], dict[str, int]]:
        """Return the sums over all shards, and the number of faults by code."""
        counts, faults = Counter(dict.fromkeys(_COUNTS, 0)), Counter[str]()
        for report, _ in self.read():
            counts.update(report["counts"])
            faults.update(fault["code"] for fault in report["faults"])
        return counts, dict(sorted(faults.items()))


def write_outputs(
    reports: ShardReports, plan: Plan, candidates: Sequence[dict[str, Any]], pair_files: Sequence[Path]
) -> dict[str, Any]:
    """Write what is made of all shards together, the summary last, and return it.

    `candidates` are the reports of the partitions of band hashes.
    """
    job = reports.job
    counts, faults = reports.count()
    components = Components(pair_files)
    _write_pairs(job, pair_files, components)
    selected = dedup.select_least_certain(job, job.settings.select, len(reports.shards), components)
    if job.settings.tagging:
        write_text(job, SELECTED, (files.dump_jsonl([row]) for row in _read_selected(job, selected)))
    problems = (json.dumps(asdict(problem), ensure_ascii=False) + "\n" for problem in reports.problems())
    write_text(job, PROBLEMS, problems)
    write_text(job, "README.md", [_README])
    examples = sorted(tuple(example) for report in candidates for example in report["examples"])
    first_problems = itertools.islice(reports.problems(), PROBLEMS_IN_SUMMARY) if faults else ()
    summary = {
        **{name: counts[name] for name in ("articles", "empty", "passages", "cut", "sentences", "characters")},
        **({"spans": counts["spans"]} if job.settings.tagging else {}),
        "blocks": len(reports.shards),
        "skipped": faults,
        "first_problems": [str(problem) for problem in first_problems],
        "ids_again": sum(report["repeated"] for report in candidates),
        "ids_again_at": [{"block": shard, "at": position} for shard, position in examples[: dedup.MAX_EXAMPLES]],
        "near_duplicates": {
            "pairs": components.pairs, "families": len(components.sizes), "passages": sum(components.sizes),
            "largest": max(components.sizes, default=0),
            "candidates": sum(report["candidates"] for report in candidates),
            "dense_bands": sum(report["dense"] for report in candidates),
        },
        "like_labelled": counts["labelled"],
        "selected": len(selected),
        **plan,
    }  # fmt: skip
    write_text(job, SUMMARY, [files.dump_json(summary)])
    return summary


def _write_pairs(job: Job, pair_files: Sequence[Path], components: Components) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("first", pa.string()), ("second", pa.string()), ("similarity", pa.float64()),
                        ("family", pa.string())])  # fmt: skip
    path = Path(job.folder) / PAIRS
    with write_atomically(job.folder, path) as name, pq.ParquetWriter(name, schema, compression="zstd") as writer:
        for chunk in dedup.read_chunks(pair_files):
            columns = (chunk["first"], chunk["second"], components.find_heads(chunk["first"]))
            first, second, head = (
                [format_passage_id(*dedup.to_shard_and_row(number)) for number in column.tolist()] for column in columns
            )
            writer.write_table(pa.table([first, second, chunk["similar"], head], schema=schema))


def _read_selected(job: Job, selected: Sequence[tuple[float, int]]) -> list[Row]:
    """Return the rows of selected.jsonl, the least certain first."""
    import pyarrow.parquet as pq

    names = ["id", "title", "text", "certainty", "article_id", "given_id", "source", "at"]
    rows: list[Row] = []
    for shard, shard_rows in dedup.group_by_shard(selected):
        with pq.ParquetFile(job.shard_path(shard)) as file:
            rows += file.read(columns=names).take(shard_rows).to_pylist()
    return sorted(rows, key=lambda row: (row["certainty"], row["id"]))
