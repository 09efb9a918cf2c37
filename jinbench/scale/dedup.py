"""Near duplicates: candidates by band hashes, exact comparison, connected components.

The resemblance of two texts is the Jaccard index of their sets of character shingles. MinHash (Broder 1997, "On the
resemblance and containment of documents") makes signatures of `BANDS` * `ROWS` numbers; two texts are candidates if
they have a band in common, which for resemblance s has the probability 1 - (1 - s^ROWS)^BANDS (Leskovec, Rajaraman &
Ullman, Mining of Massive Datasets, section 3.4.2): 0.99 at 0.7, 0.55 at 0.5, 3 in 10^9 at 0.01, which is what two
unrelated passages have.

Dask shuffles rows of band hashes, so that those of a hash come together, and the pairs that they make, so that a pair
comes to one worker once. A passage is a number: shard * 2^32 + row. Labelled passages are shard `LABELLED`.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from jinbench.core import files
from jinbench.dataset.duplicates import SHINGLE, SHORT

BANDS, ROWS = 25, 5
DIGITS = 6  # of similarities, probabilities and confidences
LABELLED = -1  # so that these come before all others, and a family with one of them has a negative number
NEIGHBOURS = 20  # texts before it, in one band, with which a text is compared at most
PARTITION_ROWS = 2**21  # of band hashes, in a partition
WORK = ".work"  # folder of what a run keeps until it is finished

_FACTORS, _SUMMANDS = np.random.RandomState(0).randint(2**64, size=(2, BANDS * ROWS, 1), dtype=np.uint64) | np.uint64(1)
_PAIRS: Any = pd.DataFrame({"first": [0], "second": [0], "similarity": [0.0]})[:0]


def format_passage_id(passage: int) -> str:
    return f"P{passage >> 32:06}-{passage & 0xFFFFFFFF:06}"


def split_shingles(text: str) -> set[str]:
    return {text[i : i + SHINGLE] for i in range(len(text) - SHINGLE + 1)}


def _mix_bits(values: Any) -> Any:
    """The finaliser of SplitMix64 (Steele, Lea & Flood 2014): each bit of the result depends on all."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        values = (values ^ (values >> np.uint64(shift))) * np.uint64(factor)
    return values ^ (values >> np.uint64(31))


def hash_bands(text: str) -> list[int] | None:
    """Return the `BANDS` 64-bit band hashes of a text, None if it has fewer than `SHORT` characters.

    The minima are of the upper half of (a * h + b) mod 2^64, where a is odd and h a mixed shingle (Dietzfelbinger et
    al. 1997, "A reliable randomized algorithm for the closest-pair problem").
    """
    if len(text) < SHORT:
        return None
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    shingles = _mix_bits((codes[:-2] << np.uint64(42)) | (codes[1:-1] << np.uint64(21)) | codes[2:])
    minima = (shingles * _FACTORS + _SUMMANDS >> np.uint64(32)).min(axis=1)
    hashes: list[int] = _mix_bits((minima * _SUMMANDS[:, 0]).reshape(BANDS, ROWS).sum(axis=1)).tolist()
    return hashes


def work_path(folder: Path, shard: int) -> Path:
    return folder / WORK / f"{shard:06}.arrow"


def write_work(folder: Path, shard: int, table: pa.Table, **report: bytes) -> None:
    """Write what later steps need of a shard: `id`, `text`, `certainty`, `bands`, and a report in the metadata."""
    bands = pa.array(map(hash_bands, table["text"].to_pylist()), pa.list_(pa.uint64(), BANDS))
    table = table.select(["id", "text", "certainty"]).append_column("bands", bands)
    table, sink = table.replace_schema_metadata(report), pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    files.write_bytes(work_path(folder, shard), sink.getvalue())


def read_work(folder: Path, shard: int) -> pa.Table:
    """Return the table of a shard, mapped into memory."""
    return pa.ipc.open_file(pa.memory_map(str(work_path(folder, shard)))).read_all()


def find_near_duplicates(client: Any, folder: Path, shards: int, passages: int, similar: float) -> tuple[Any, Any]:
    """Return all pairs with a Jaccard index of `similar` or more, in order, and the family of each passage in them.

    Passages with a band in common are compared. Copies of a text are paired with the first of them, which represents
    them in all other pairs; of different texts in a band each is paired with the `NEIGHBOURS` before it. So the cost
    of boilerplate is linear in its number. A family is a connected component, and named after its first passage.
    """
    parts = max(1, -(-passages * BANDS // PARTITION_ROWS))
    bands = dd.from_map(_read_bands, range(LABELLED, shards), folder=folder)
    candidates = bands.shuffle("hash", npartitions=parts).map_partitions(_pair_neighbours, meta=_PAIRS.iloc[:, :2])
    pairs = candidates.shuffle("first", npartitions=parts).map_partitions(_compare, folder, similar, meta=_PAIRS)
    verified = client.compute(pairs).result().sort_values(["first", "second"], ignore_index=True)
    members, ends = np.unique(verified[["first", "second"]], return_inverse=True)
    edges = coo_array((np.ones(len(verified)), tuple(ends.reshape(-1, 2).T)), shape=(len(members), len(members)))
    labels = connected_components(edges, directed=False)[1]
    families = pd.Series(members[np.unique(labels, return_index=True)[1]][labels], index=members)
    return verified.assign(family=families[verified["first"]].to_numpy()), families


def _read_bands(shard: int, folder: Path) -> pd.DataFrame:
    """Return a row for each band of each passage that is long enough; `text`: a hash of all of it."""
    table = read_work(folder, shard)
    rows = np.flatnonzero(table["bands"].is_valid())
    texts = pd.util.hash_array(table["text"].take(pa.array(rows)).to_numpy())
    hashes = table["bands"].combine_chunks().flatten().to_numpy()
    return pd.DataFrame({"hash": hashes, "passage": ((shard << 32) + rows).repeat(BANDS), "text": texts.repeat(BANDS)})


def _pair_neighbours(bands: pd.DataFrame) -> pd.DataFrame:
    """Return the candidates among rows of band hashes; all of a hash must be there."""
    rows = bands[bands.duplicated("hash", keep=False)].sort_values(["hash", "passage"])
    rows["first"] = rows.groupby(["hash", "text"])["passage"].transform("first")
    copies = rows[rows["first"] != rows["passage"]]
    hashes, passages = (rows.loc[rows["first"] == rows["passage"], name].to_numpy() for name in ("hash", "passage"))
    pairs = [copies[["first", "passage"]].to_numpy()]
    for i in range(1, NEIGHBOURS + 1):
        pairs.append(np.stack([passages[:-i], passages[i:]], axis=1)[hashes[i:] == hashes[:-i]])
    candidates = pd.DataFrame(np.concatenate(pairs), columns=["first", "second"]).drop_duplicates()
    return candidates[candidates["second"] >= 0]  # not two that are labelled


def _compare(candidates: pd.DataFrame, folder: Path, similar: float) -> pd.DataFrame:
    """Return the candidates that are near duplicates; all of a first passage must be there."""
    read_texts = lru_cache(maxsize=256)(lambda shard: read_work(folder, shard)["text"])
    read_shingles = lru_cache(maxsize=64)(lambda n: split_shingles(read_texts(n >> 32)[n & 0xFFFFFFFF].as_py()))
    pairs = candidates.drop_duplicates().sort_values(["first", "second"])
    sets = ((read_shingles(first), read_shingles(second)) for first, second in pairs.itertuples(index=False))
    pairs = pairs.assign(similarity=np.array([len(a & b) / len(a | b) for a, b in sets], dtype=float))
    return pairs[pairs["similarity"] >= similar].round(DIGITS)


def select(folder: Path, count: int, shards: int, families: "pd.Series[int]") -> list[int]:
    """Return the least certain passages, at most one of each family, none that is short or like a labelled one."""
    best = pd.DataFrame({"certainty": [0.0], "passage": [0], "family": [0]})[:0]
    for shard in range(shards) if count else ():
        table = read_work(folder, shard)
        passages = pd.Series((shard << 32) + np.arange(table.num_rows))
        own = passages.map(families).fillna(passages).astype(int)  # a float between, exact below 2^21 shards
        new = pd.DataFrame({"certainty": table["certainty"].to_numpy(), "passage": passages, "family": own})
        new = new[table["bands"].is_valid().to_numpy() & (own >= 0)].dropna()
        best = pd.concat([best, new]).sort_values(["certainty", "passage"]).drop_duplicates("family").head(count)
    return [int(passage) for passage in best["passage"]]
