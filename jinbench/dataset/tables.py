"""Parse Parquet files of items, which others may have damaged or made."""

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from jinbench.core import files
from jinbench.core.errors import ErrorList, fail
from jinbench.dataset.features import FIELDS, SHARED_FIELDS
from jinbench.dataset.splits import FOLD_COLUMNS

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

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
_TYPES = (
    dict.fromkeys(("level", "hits", *FOLD_COLUMNS), "int")
    | dict.fromkeys(("ner_tags", "sectors"), "list<int>")
    | dict.fromkeys(("tokens", "subtitles", "bylines", "captions"), "list<string>")
    | {
        "passages": "list<struct<id: string, start: int, end: int>>",
        "runs": "list<struct<text_start: int, page_start: int, length: int>>",
        "changes": "list<struct<text_start: int, page_text: string>>",
    }
)  # all others are text
_KNOWN = {*SHARED_FIELDS, *(name for fields in FIELDS.values() for name in fields)}


def parse_table(path: Path, data: bytes, items: int, columns: tuple[str, ...], fix: str) -> "pa.Table":
    """Parse a Parquet file of about `items` items, which must have `columns`, without a missing value.

    Raises :class:`DataError` (file-changed, file-too-big, wrong-shape).
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    location = files.display_path(path)
    try:
        parquet = pq.ParquetFile(io.BytesIO(data))
        rows, size = parquet.metadata.num_rows, _count_unpacked_bytes(parquet.metadata)
        if rows > 2 * items + MAX_MORE or size > MAX_ITEM_BYTES * (items + MAX_MORE):
            found = f"{rows:,} rows, unpacked {size:,} bytes"
            fail("file-too-big", location, expected=f"about {items:,} items", found=found, fix=fix)
        table = parquet.read()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:  # what damaged bytes bring about differs
        cause = str(error).partition("\n")[0]
        if not data.endswith(b"PAR1"):
            cause = f"{len(data)} bytes, and the end of the file is missing: was a download cut off?"
        fail("file-changed", location, expected="a whole Parquet file", found=cause, fix=fix)
    problems = ErrorList()
    for name in dict.fromkeys((*columns, *filter(_KNOWN.__contains__, table.column_names))):
        expected = "list of spans" if name == "spans" else _TYPES.get(name, "string")
        found = _describe_column(table, name, name in columns)
        if not (_SPANS.fullmatch(found) if name == "spans" else found == expected):
            problems.add("wrong-shape", f"{location} {name}", expected=f"a column: {expected}", found=found, fix=fix)
    problems.raise_if_any()
    return table


def _count_unpacked_bytes(metadata: "pq.FileMetaData") -> int:
    return sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))


def _describe_column(table: "pa.Table", name: str, is_required: bool) -> str:
    """Return the type of a column, without the widths of numbers and the names of elements."""
    if table.column_names.count(name) != 1:
        return f"{table.column_names.count(name)} of this name"
    if is_required and has_null(table[name].combine_chunks()):
        return "values that are missing"
    type = re.sub(r"(element|item): |large_", "", str(table.schema.field(name).type))
    return re.sub(r"\bu?int\d+", "int", type)


def has_null(array: "pa.Array") -> bool:
    """Return whether a value is missing, inside lists and structs too."""
    import pyarrow.types as types

    if array.null_count:
        return True
    if types.is_list(array.type) or types.is_large_list(array.type):
        return has_null(array.flatten())
    return types.is_struct(array.type) and any(map(has_null, array.flatten()))
