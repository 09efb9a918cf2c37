"""What is done with one block of articles: read, clean, cut into passages and sentences, tag, sketch, write.

All that a stage needs comes with its job, and all that it finds goes into files of the output folder, each whole or not
there. So any process on any machine that sees the folder can do a job, any number of times.
"""

import contextlib
import json
import os
import pickle
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinbench.core import files
from jinbench.core.text import split_sentences, storable
from jinbench.dataset.duplicates import SHORT
from jinbench.models import active_learning
from jinbench.scale import clean, minhash
from jinbench.scale.readers import Article, Fault, Fields, Reading, Shard

if TYPE_CHECKING:
    import pyarrow as pa

    from jinbench.models.crf.estimator import CrfTagger
    from jinbench.scale.minhash import Known

WORK = ".work"  # what a run keeps until it is finished
DIGITS = 6  # of chances and certainties
_BATCH = 100_000  # characters that are tagged, hashed and written at once


@dataclass(frozen=True)
class Settings:
    """What decides, with the input, what comes out. `similar`: least resemblance of near duplicates, 0 to 1;
    `block`: bytes of input in a block; `rows`: rows of band hashes in a partition, and pairs in one."""

    fields: Fields = field(default_factory=Fields)
    repairs: tuple[str, ...] = ()
    tagging: bool = True
    select: int = 0
    similar: float = 0.7
    block: int = 2 * 2**20
    rows: int = 2**19

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"fields": self.fields._asdict(), "repairs": list(self.repairs)}


@dataclass(frozen=True)
class Job:
    """Where a run works, and how. `model`: the sha256 of what :func:`learned` reads there."""

    folder: str
    settings: Settings
    model: str

    def work(self, kind: str, number: int, suffix: str = "npy") -> Path:
        """The file of a stage with this number."""
        return Path(self.folder) / WORK / kind / f"{number:06}.{suffix}"

    def shard(self, number: int) -> Path:
        return Path(self.folder) / "data" / f"passages-{number:06}.parquet"


@dataclass(frozen=True)
class Model:
    """What is known when a run begins: the tagger, or None, and the labelled passages."""

    version: str
    tagger: "CrfTagger | None"
    ids: tuple[str, ...]
    texts: tuple[str, ...]

    def known(self, similar: float) -> "Known":
        return minhash.Known(self.ids, self.texts, similar)


def save(model: Model, folder: Path) -> str:
    """Lay it where all workers find it. Returns its sha256, without which none of them reads it."""
    data = pickle.dumps(model, protocol=5)
    with whole(str(folder), folder / WORK / "model.pickle") as name:
        name.write_bytes(data)
    return files.sha256(data)


@lru_cache(maxsize=1)
def learned(folder: str, sha: str, similar: float) -> "tuple[Model, Known]":
    """What :func:`save` laid there, once for each process. Raises OSError if it is something else."""
    data = (Path(folder) / WORK / "model.pickle").read_bytes()
    if files.sha256(data) != sha:
        raise OSError(None, "the model of another run lies there: end that run first", str(folder))
    model: Model = pickle.loads(data)
    return model, model.known(similar)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Arithmetic on one thread: there is a process for each core, and sums are made in one order."""
    import numpy as np  # noqa: F401
    import scipy.special  # noqa: F401
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield


@contextlib.contextmanager
def whole(folder: str, path: Path) -> Iterator[Path]:
    """A name in the working folder of the run in `folder` for a file that gets the name `path` once it is finished."""
    room = Path(folder) / WORK / "tmp"
    room.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=room)
    os.close(handle)
    try:
        yield Path(name)
        with open(name, "rb") as file:
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        path.parent.mkdir(parents=True, exist_ok=True)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def save_array(folder: str, path: Path, array: Any) -> None:
    import numpy as np

    with whole(folder, path) as name, name.open("wb") as file:
        np.save(file, array)


def schema() -> "pa.Schema":
    """A row is a passage."""
    import pyarrow as pa

    sentence = pa.struct([("start", pa.int32()), ("end", pa.int32())])
    span = pa.struct([("start", pa.int32()), ("end", pa.int32()), ("type", pa.string()), ("surface", pa.string()),
                      ("chance", pa.float64())])  # fmt: skip
    text, number = pa.string(), pa.int64()
    return pa.schema([("id", text), ("article_id", text), ("given_id", text), ("title", text), ("text", text),
                      ("sentences", pa.list_(sentence)), ("spans", pa.list_(span)), ("certainty", pa.float64()),
                      ("labelled", text), ("source", text), ("at", number), ("start", number),
                      ("end", number)])  # fmt: skip


def passage_id(block: int, row: int) -> str:
    return f"P{block:06}-{row:06}"


def band_rows() -> Any:
    """The type of a row of band hashes: the hash, the row of its passage in the shard, and 32 bits of its text."""
    import numpy as np

    return np.dtype([("hash", np.uint64), ("row", np.uint32), ("text", np.uint32)])


def id_rows() -> Any:
    """The type of a row of given ids: 64 bits of a hash, and where the article begins."""
    import numpy as np

    return np.dtype([("hash", np.uint64), ("at", np.uint64)])


def check(job: Job, block: Shard) -> tuple[int, int, list[Fault]]:
    """Read a block and do nothing with it: number of the block, lines that begin in it, and its faults."""
    reading = Reading(block, job.settings.fields)
    for _ in reading.articles():
        pass
    return block.number, reading.lines, reading.faults


@dataclass
class _Batch:
    """Passages that are tagged, hashed and written at once; `cut`: their sentences."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    cut: list[list[dict[str, int]]] = field(default_factory=list)
    characters: int = 0

    def add(self, row: dict[str, Any]) -> None:
        cut = [{"start": each.start, "end": each.end} for each in split_sentences("", row["text"])]
        self.rows.append(row | {"sentences": cut})
        self.cut.append(cut)
        self.characters += len(row["text"])


def do_block(job: Job, block: Shard) -> int:
    """Everything for one block, unless it is done. Returns its number. Raises OSError."""
    if job.work("blocks", block.number, "json").is_file():
        return block.number
    with one_thread():
        _do_block(job, block)
    return block.number


def _do_block(job: Job, block: Shard) -> None:
    import numpy as np
    import pyarrow.parquet as pq

    model, known = learned(job.folder, job.model, job.settings.similar)
    reading, counts = Reading(block, job.settings.fields), Counter[str]()
    given: list[tuple[int, int]] = []
    bands: list[Any] = []
    certain: list[Any] = []
    ends = [0]
    form = schema()
    with (
        whole(job.folder, job.shard(block.number)) as shard,
        whole(job.folder, job.work("texts", block.number, "txt")) as texts_name,
        texts_name.open("wb") as texts,
        pq.ParquetWriter(shard, form, compression="zstd") as writer,
    ):
        for batch in _batches(job, block, reading, given, counts):
            tag(batch, model)
            bands.append(sketch(batch, known, len(ends) - 1))
            certain += [_certainty(row) for row in batch.rows]
            for row in batch.rows:
                data = row["text"].encode()
                texts.write(data)
                ends.append(ends[-1] + len(data))
            writer.write_table(_table(batch, form))
            counts.update(characters=batch.characters, passages=len(batch.rows),
                          sentences=sum(map(len, batch.cut)), spans=sum(len(row["spans"]) for row in batch.rows),
                          labelled=sum(row["labelled"] is not None for row in batch.rows))  # fmt: skip
    rows = np.concatenate(bands) if bands else np.empty(0, dtype=band_rows())
    save_array(job.folder, job.work("bands", block.number), np.sort(rows, order=["hash", "row"]))
    save_array(job.folder, job.work("ids", block.number), np.sort(np.array(given, dtype=id_rows())))
    save_array(job.folder, job.work("ends", block.number), np.array(ends, dtype=np.int64))
    save_array(job.folder, job.work("certain", block.number), np.array(certain, dtype=np.float64))
    report = {"lines": reading.lines, "counts": counts, "faults": [fault._asdict() for fault in reading.faults]}
    with whole(job.folder, job.work("blocks", block.number, "json")) as name:  # the last: with it the block is done
        name.write_text(json.dumps(report, sort_keys=True), encoding="utf-8")


def _batches(
    job: Job, block: Shard, reading: Reading, given: list[tuple[int, int]], counts: Counter[str]
) -> Iterator[_Batch]:
    batch, row = _Batch(), 0
    for article in reading.articles():
        number = counts["articles"]
        counts["articles"] += 1
        if article.given_id is not None:
            hash = int.from_bytes(bytes.fromhex(files.sha256(storable(article.given_id).encode())[:16]))
            given.append((hash, article.at))
        before = row
        for each in clean.paragraphs(article.text, job.settings.repairs):
            counts["cut"] += each.cut
            batch.add(_row(article, block.number, number, row) | {"text": each.text, "start": each.start,
                                                                   "end": each.end})  # fmt: skip
            row += 1
            if batch.characters >= _BATCH:
                yield batch
                batch = _Batch()
        counts["empty"] += row == before
    if batch.rows:
        yield batch


def _row(article: Article, block: int, number: int, row: int) -> dict[str, Any]:
    return {
        "id": passage_id(block, row),
        "article_id": f"A{block:06}-{number:06}",
        "given_id": None if article.given_id is None else storable(article.given_id),
        "title": clean.clean(article.title),
        "spans": [],
        "certainty": None,
        "labelled": None,
        "source": article.source,
        "at": article.at,
    }


def tag(batch: _Batch, model: Model) -> None:
    """Fill in spans and certainties."""
    if model.tagger is None:
        return
    texts = [row["text"][each["start"] : each["end"]] for row in batch.rows for each in row["sentences"]]
    scored = iter(model.tagger.predict_scored(texts))
    for row, cut in zip(batch.rows, batch.cut, strict=True):
        said = [(each["start"], next(scored)) for each in cut]
        row["spans"] = [
            {"start": span.start + start, "end": span.end + start, "type": span.type, "surface": span.surface,
             "chance": round(chance, DIGITS)}
            for start, each in said
            for span, chance in zip(each.spans, each.chances, strict=True)
        ]  # fmt: skip
        row["certainty"] = round(active_learning.certainty([each for _, each in said]), DIGITS)


def _certainty(row: dict[str, Any]) -> float:
    """By which a passage may be selected; NaN if it must not: a stock phrase, or known already."""
    wanted = row["certainty"] is not None and row["labelled"] is None and len(row["text"]) >= SHORT
    return float(row["certainty"]) if wanted else float("nan")


def sketch(batch: _Batch, known: "Known", begin: int) -> Any:
    """The rows of band hashes of the passages that are long enough, and what each of them repeats of what is labelled.

    `begin`: the row of the first passage of the batch.
    """
    import numpy as np

    long = [i for i, row in enumerate(batch.rows) if len(row["text"]) >= SHORT]
    texts = [batch.rows[i]["text"] for i in long]
    hashes = minhash.bands(texts)
    for i, id in zip(long, known.repeated(texts, hashes), strict=True):
        batch.rows[i]["labelled"] = id
    rows = np.empty(hashes.shape, dtype=band_rows())
    rows["hash"] = hashes
    rows["row"] = (np.array(long, dtype=np.uint32) + np.uint32(begin))[:, None]
    rows["text"] = np.array([minhash.text_hash(text) for text in texts], dtype=np.uint32)[:, None]
    return rows.ravel()


def _table(batch: _Batch, form: "pa.Schema") -> "pa.Table":
    import pyarrow as pa

    columns: list[Sequence[Any]] = [[row[name] for row in batch.rows] for name in form.names]
    return pa.Table.from_arrays(
        [pa.array(column, each.type) for column, each in zip(columns, form, strict=True)], schema=form
    )
