"""Texts of one column of a .parquet file, streamed in batches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cellnet.data.columns import MAX_FILE_BYTES, check_names, find_column
from cellnet.data.rows import BadRow, bad_row
from cellnet.errors import DataError

BATCH_ROWS = 1024


def read_parquet(path: Path, column: str) -> Iterator[tuple[int, object] | BadRow]:
    """Yield (row, value) counted from 1; raises `DataError` as `cellnet.data.readers.read_values` does."""
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            kind = schema.field(find_column(path, column, check_names(path, schema.names))).type
            if not _is_text(kind):
                raise DataError(f"column {column!r} of {path} holds {kind}; choose one with text")
            _check_unpacked_size(path, column, file.metadata)
            line = 0
            for batch in file.iter_batches(BATCH_ROWS, columns=[column]):
                for cell in batch.column(0):
                    line += 1
                    try:
                        yield line, cell.as_py()
                    except UnicodeDecodeError:
                        yield bad_row(line, "not valid UTF-8", "")
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not a readable parquet file: {error}") from None


def text_columns(path: Path) -> list[str]:
    """Return the columns of a .parquet file that hold text; raises `DataError` if it is none."""
    try:
        with pq.ParquetFile(path) as file:
            return check_names(path, [field.name for field in file.schema_arrow if _is_text(field.type)])
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not a readable parquet file: {error}") from None


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _check_unpacked_size(path: Path, column: str, metadata: Any) -> None:
    groups = (metadata.row_group(index) for index in range(metadata.num_row_groups))
    chunks = (group.column(index) for group in groups for index in range(group.num_columns))
    size = sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema == column)
    if size > MAX_FILE_BYTES:
        raise DataError(
            f"column {column!r} of {path} unpacks to {size} bytes and the limit is {MAX_FILE_BYTES}; "
            "split it into smaller files"
        )
