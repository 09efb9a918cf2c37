"""Parse Parquet files of items, which others may have damaged or made."""

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from jinbench.core import files
from jinbench.core.errors import ErrorList, fail
from jinbench.dataset.splits import FOLD_COLUMNS

if TYPE_CHECKING:
    import pyarrow as pa

MAX_MORE, MAX_ITEM_BYTES = 100, 1_000_000  # items of a file that the manifest does not list; bytes of an item
# The columns that are read by name, with and without the text of the pages.
STANDOFF_COLUMNS = {
    "ner": ("id", "spans", "passage_id"),
    "sector": ("id", "sectors"),
    "annotations": ("passage_id", "annotator", "spans", "sectors"),
}
COLUMNS = {
    "ner": ("id", "text", "spans", "passage_id", "article_id", "layout", *FOLD_COLUMNS),
    "ner_noisy": ("id", "text", "spans", "clean_id", "kind", "level", "hits", "passage_id", "article_id"),
    "sector": ("id", "title", "text", "sectors", "article_id", "layout", *FOLD_COLUMNS),
    "articles": ("id", "page_id", "title", "text", "layout", *FOLD_COLUMNS),
    "annotations": ("id", "passage_id", "annotator", "kind", "text", "spans", "sectors", "article_id"),
}
_SPANS = re.compile("list<struct<start: int, end: int, type: string(, .*)?>>")
_TYPES = {"sectors": "list<int>", "level": "int", "hits": "int"} | dict.fromkeys(FOLD_COLUMNS, "int")


def parse_table(path: Path, data: bytes, items: int, columns: tuple[str, ...], fix: str) -> "pa.Table":
    """Parse a Parquet file of about `items` items, which must have `columns`.

    Raises :class:`DataError` (file-changed, file-too-big, wrong-shape).
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    location = files.display_path(path)
    try:
        parquet = pq.ParquetFile(io.BytesIO(data))
        found = parquet.metadata
        size = sum(found.row_group(i).total_byte_size for i in range(found.num_row_groups))
        if found.num_rows > 2 * items + MAX_MORE or size > MAX_ITEM_BYTES * (items + MAX_MORE):
            what = f"{found.num_rows:,} rows, unpacked {size:,} bytes"
            fail("file-too-big", location, expected=f"{items:,} items, as in manifest.json", found=what, fix=fix)
        table = parquet.read()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:  # what damaged bytes bring about differs
        cause = str(error).partition("\n")[0]
        if not data.endswith(b"PAR1"):
            cause = f"{len(data)} bytes, and the end of the file is missing: was a download cut off?"
        fail("file-changed", location, expected="a whole Parquet file", found=cause, fix=fix)
    problems = ErrorList()
    for name in columns:
        expected = _TYPES.get(name, "string")
        found = _describe_type(table, name)
        if not (_SPANS.fullmatch(found) if name == "spans" else found == expected):
            expected = "list of spans" if name == "spans" else expected
            problems.add("wrong-shape", f"{location} {name}", expected=f"a column: {expected}", found=found, fix=fix)
    problems.raise_if_any()
    return table


def _describe_type(table: "pa.Table", name: str) -> str:
    if table.column_names.count(name) != 1:
        return f"{table.column_names.count(name)} of this name"
    if has_null(table[name].combine_chunks()):
        return "values that are missing"
    return re.sub(r"(element|item): (?=.)|large_|u?(?=int\d)|(?<=int)\d+", "", str(table.schema.field(name).type))


def has_null(array: "pa.Array") -> bool:
    """Return whether a value is missing, inside lists and structs too."""
    import pyarrow.types as types

    if array.null_count:
        return True
    if types.is_list(array.type) or types.is_large_list(array.type):
        return has_null(array.flatten())
    return types.is_struct(array.type) and any(map(has_null, array.flatten()))
