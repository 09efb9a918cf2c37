"""Process one shard: read, clean, segment, tag, hash, write.

The input of a step comes with its job, and its results go into files of the output folder, each written atomically. So
any process on any machine that sees the folder can do a job, any number of times.
"""

import contextlib
import json
import os
import pickle
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from jinbench.core import files
from jinbench.core.text import replace_unencodable, split_sentences
from jinbench.dataset.duplicates import SHORT
from jinbench.models import active_learning
from jinbench.scale import clean, minhash
from jinbench.scale.readers import Article, Fault, FieldNames, Shard, ShardReader

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from jinbench.models.crf.estimator import CrfTagger
    from jinbench.scale.minhash import LabelledTexts

    Array = NDArray[Any]

Row: TypeAlias = dict[str, Any]  # of the Parquet file: a passage

WORK = ".work"  # folder of what a run keeps until it is finished
DIGITS = 6  # of probabilities and confidences
_BATCH = 100_000  # characters that are tagged, hashed and written at once


@dataclass(frozen=True)
class Settings:
    """Settings that determine, with the input, the output of :func:`process`.

    Attributes:
        fields: names of the fields of a row.
        repairs: names of repairs made on each line, as in articles.toml.
        tagging: predict entities with a tagger trained on the gold of the benchmark.
        select: number of passages to select for labelling.
        similar: least Jaccard index of near duplicates, 0 to 1.
        block: bytes of input in a shard.
        rows: rows of band hashes, and pairs, in a partition.
    """

    fields: FieldNames = field(default_factory=FieldNames)
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
    """Output folder and settings of a run; `model` is the sha256 of its model."""

    folder: str
    settings: Settings
    model: str

    def work_path(self, kind: str, number: int, suffix: str = "npy") -> Path:
        """Return the path of a result of a step, by number of its shard or partition."""
        return Path(self.folder) / WORK / kind / f"{number:06}.{suffix}"

    def shard_path(self, number: int) -> Path:
        return Path(self.folder) / "data" / f"passages-{number:06}.parquet"


@dataclass(frozen=True)
class TrainedModel:
    """The tagger of a run, or None, and the labelled passages."""

    version: str
    tagger: "CrfTagger | None"
    ids: tuple[str, ...]
    texts: tuple[str, ...]

    def index_labelled(self, threshold: float) -> "LabelledTexts":
        return minhash.LabelledTexts(self.ids, self.texts, threshold)


def save_model(model: TrainedModel, folder: Path) -> str:
    """Write a model for all workers. Return its sha256, which they check."""
    data = pickle.dumps(model, protocol=5)
    with write_atomically(str(folder), folder / WORK / "model.pickle") as name:
        name.write_bytes(data)
    return files.sha256(data)


@lru_cache(maxsize=1)
def load_model(folder: str, sha256: str, threshold: float) -> "tuple[TrainedModel, LabelledTexts]":
    """Read the model of :func:`save_model`, once for each process.

    Raise OSError if it is another one.
    """
    data = (Path(folder) / WORK / "model.pickle").read_bytes()
    if files.sha256(data) != sha256:
        raise OSError(
            None, "expected the model of this run, found that of another one; end that run first", str(folder)
        )
    model: TrainedModel = pickle.loads(data)
    return model, model.index_labelled(threshold)


@contextlib.contextmanager
def limit_to_one_thread() -> Iterator[None]:
    """Limit arithmetic to one thread, so that sums are made in one order."""
    import numpy as np  # noqa: F401
    import scipy.special  # noqa: F401
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield


@contextlib.contextmanager
def write_atomically(folder: str, path: Path) -> Iterator[Path]:
    """Yield a temporary path, which is renamed to `path` once it is finished."""
    temporary = Path(folder) / WORK / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=temporary)
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


def save_array(folder: str, path: Path, array: "Array") -> None:
    import numpy as np

    with write_atomically(folder, path) as name, name.open("wb") as file:
        np.save(file, array)


def make_schema() -> "pa.Schema":
    """Return the schema of a shard of passages, one a row."""
    import pyarrow as pa

    sentence = pa.struct([("start", pa.int32()), ("end", pa.int32())])
    span = pa.struct([("start", pa.int32()), ("end", pa.int32()), ("type", pa.string()), ("surface", pa.string()),
                      ("chance", pa.float64())])  # fmt: skip
    text, number = pa.string(), pa.int64()
    return pa.schema([("id", text), ("article_id", text), ("given_id", text), ("title", text), ("text", text),
                      ("sentences", pa.list_(sentence)), ("spans", pa.list_(span)), ("certainty", pa.float64()),
                      ("labelled", text), ("source", text), ("at", number), ("start", number),
                      ("end", number)])  # fmt: skip


def format_passage_id(shard: int, row: int) -> str:
    return f"P{shard:06}-{row:06}"


def band_dtype() -> "np.dtype[np.void]":
    """Return the type of a band hash, with the row of its passage and 32 bits of text."""
    import numpy as np

    return np.dtype([("hash", np.uint64), ("row", np.uint32), ("text", np.uint32)])


def id_dtype() -> "np.dtype[np.void]":
    """Return the type of a given id: 64 bits of a hash, and the article's position."""
    import numpy as np

    return np.dtype([("hash", np.uint64), ("at", np.uint64)])


def check_shard(job: Job, shard: Shard) -> tuple[int, int, list[Fault]]:
    """Read a shard and return its number, its lines and its faults."""
    reader = ShardReader(shard, job.settings.fields)
    for _ in reader.read_articles():
        pass
    return shard.number, reader.lines, reader.faults


@dataclass
class _Batch:
    """Passages that are tagged, hashed and written at once, and their sentences."""

    rows: list[Row] = field(default_factory=list)
    sentences: list[list[dict[str, int]]] = field(default_factory=list)
    characters: int = 0

    def add(self, row: Row) -> None:
        sentences = [{"start": s.start, "end": s.end} for s in split_sentences("", row["text"])]
        self.rows.append(row | {"sentences": sentences})
        self.sentences.append(sentences)
        self.characters += len(row["text"])


def process_shard(job: Job, shard: Shard) -> int:
    """Run all steps on a shard, unless they are done.

    Return its number. Raise OSError.
    """
    if not job.work_path("blocks", shard.number, "json").is_file():
        with limit_to_one_thread():
            _process_shard(job, shard)
    return shard.number


def _process_shard(job: Job, shard: Shard) -> None:
    import numpy as np
    import pyarrow.parquet as pq

    model, labelled = load_model(job.folder, job.model, job.settings.similar)
    reader, counts = ShardReader(shard, job.settings.fields), Counter[str]()
    given_ids: list[tuple[int, int]] = []
    bands: list[Array] = []
    confidences: list[float] = []
    ends = [0]
    schema = make_schema()
    with (
        write_atomically(job.folder, job.shard_path(shard.number)) as shard_path,
        write_atomically(job.folder, job.work_path("texts", shard.number, "txt")) as texts_name,
        texts_name.open("wb") as texts,
        pq.ParquetWriter(shard_path, schema, compression="zstd") as writer,
    ):
        for batch in _read_batches(job, reader, given_ids, counts):
            tag_batch(batch, model)
            bands.append(hash_batch(batch, labelled, len(ends) - 1))
            confidences += [_selection_confidence(row) for row in batch.rows]
            for row in batch.rows:
                data = row["text"].encode()
                texts.write(data)
                ends.append(ends[-1] + len(data))
            writer.write_table(_to_table(batch, schema))
            counts.update(characters=batch.characters, passages=len(batch.rows),
                          sentences=sum(map(len, batch.sentences)), spans=sum(len(row["spans"]) for row in batch.rows),
                          labelled=sum(row["labelled"] is not None for row in batch.rows))  # fmt: skip
    rows = np.concatenate(bands) if bands else np.empty(0, dtype=band_dtype())
    save_array(job.folder, job.work_path("bands", shard.number), np.sort(rows, order=["hash", "row"]))
    save_array(job.folder, job.work_path("ids", shard.number), np.sort(np.array(given_ids, dtype=id_dtype())))
    save_array(job.folder, job.work_path("ends", shard.number), np.array(ends, dtype=np.int64))
    save_array(job.folder, job.work_path("certain", shard.number), np.array(confidences, dtype=np.float64))
    report = {"lines": reader.lines, "counts": counts, "faults": [fault._asdict() for fault in reader.faults]}
    # The last file: with it the shard is done.
    with write_atomically(job.folder, job.work_path("blocks", shard.number, "json")) as name:
        name.write_text(json.dumps(report, sort_keys=True), encoding="utf-8")


def _read_batches(
    job: Job, reader: ShardReader, given_ids: list[tuple[int, int]], counts: Counter[str]
) -> Iterator[_Batch]:
    batch, row, shard = _Batch(), 0, reader.shard.number
    for article in reader.read_articles():
        number = counts["articles"]
        counts["articles"] += 1
        if article.given_id is not None:
            hash = int.from_bytes(bytes.fromhex(files.sha256(replace_unencodable(article.given_id).encode())[:16]))
            given_ids.append((hash, article.position))
        first = row
        for start, end, text, cut in clean.split_paragraphs(article.text, job.settings.repairs):
            counts["cut"] += cut
            batch.add(_make_row(article, shard, number, row) | {"text": text, "start": start, "end": end})
            row += 1
            if batch.characters >= _BATCH:
                yield batch
                batch = _Batch()
        counts["empty"] += row == first
    if batch.rows:
        yield batch


def _make_row(article: Article, shard: int, number: int, row: int) -> Row:
    return {
        "id": format_passage_id(shard, row),
        "article_id": f"A{shard:06}-{number:06}",
        "given_id": None if article.given_id is None else replace_unencodable(article.given_id),
        "title": clean.clean_text(article.title),
        "spans": [],
        "certainty": None,
        "labelled": None,
        "source": article.source,
        "at": article.position,
    }


def tag_batch(batch: _Batch, model: TrainedModel) -> None:
    """Fill in the spans and confidence of each passage."""
    if model.tagger is None:
        return
    texts = [row["text"][s["start"] : s["end"]] for row in batch.rows for s in row["sentences"]]
    predictions = iter(model.tagger.predict_with_confidence(texts))
    for row, sentences in zip(batch.rows, batch.sentences, strict=True):
        tagged = [(sentence["start"], next(predictions)) for sentence in sentences]
        row["spans"] = [
            {"start": span.start + start, "end": span.end + start, "type": span.type, "surface": span.surface,
             "chance": round(probability, DIGITS)}
            for start, sentence in tagged
            for span, probability in zip(sentence.spans, sentence.probabilities, strict=True)
        ]  # fmt: skip
        row["certainty"] = round(active_learning.sequence_confidence([sentence for _, sentence in tagged]), DIGITS)


def _selection_confidence(row: Row) -> float:
    """Return the confidence of a passage; NaN if it is short or labelled already."""
    selectable = row["certainty"] is not None and row["labelled"] is None and len(row["text"]) >= SHORT
    return float(row["certainty"]) if selectable else float("nan")


def hash_batch(batch: _Batch, labelled: "LabelledTexts", first: int) -> "Array":
    """Return the rows of band hashes of all passages that are long enough.

    The labelled passage that each nearly repeats is filled in. `first` is the row of the first passage of the batch.
    """
    import numpy as np

    long = [i for i, row in enumerate(batch.rows) if len(row["text"]) >= SHORT]
    texts = [batch.rows[i]["text"] for i in long]
    hashes = minhash.hash_bands(texts)
    for i, id in zip(long, labelled.find_nearest(texts, hashes), strict=True):
        batch.rows[i]["labelled"] = id
    rows = np.empty(hashes.shape, dtype=band_dtype())
    rows["hash"] = hashes
    rows["row"] = (np.array(long, dtype=np.uint32) + np.uint32(first))[:, None]
    rows["text"] = np.array([minhash.hash_text(text) for text in texts], dtype=np.uint32)[:, None]
    return rows.ravel()


def _to_table(batch: _Batch, schema: "pa.Schema") -> "pa.Table":
    import pyarrow as pa

    arrays = [pa.array([row[field.name] for row in batch.rows], field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)
