"""The user's own sentences, streamed from .txt, .csv, .jsonl and .parquet files."""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from cellnet.data.columns import MAX_FILE_BYTES, NAMED_COLUMNS, check_names, find_column, not_utf8
from cellnet.data.parquet import read_parquet, text_columns
from cellnet.data.rows import BadRow, bad_row
from cellnet.errors import DataError

MAX_LINE_CHARACTERS = 1024**2
_LINES_WITH_KEYS = 100
_BYTES_LOOKED_AT = 1024


def read_values(path: Path, column: str) -> Iterator[tuple[int, object] | BadRow]:
    """Yield (line, value) for every row of a file, unchecked, and a `BadRow` for each that cannot be read.

    Args:
        path: a .txt (one text per line), .csv (with a header), .jsonl (one object per line) or
            .parquet file.
        column: the column with the text; empty for .txt.

    Raises:
        DataError: if the file is missing, too large, of an unknown kind or broken as a whole, or if
            it has no such column.
    """
    _check_file(path)
    return _READERS[path.suffix.lower()](path, column)


def list_columns(path: Path) -> list[str]:
    """Return the columns that may hold the texts of a file, at most `NAMED_COLUMNS`; none for a .txt file.

    Of a .jsonl file those of the first lines, of a .parquet file those with text.

    Raises:
        DataError: if the file cannot be read (see `read_values`).
    """
    _check_file(path)
    match path.suffix.lower():
        case ".csv":
            columns = _header(path, csv.reader(_lines(path), strict=True))
        case ".jsonl":
            columns = check_names(path, _keys(islice(_lines(path), _LINES_WITH_KEYS)))
        case ".parquet":
            columns = text_columns(path)
        case _:
            columns = []
    return columns[:NAMED_COLUMNS]


def _keys(lines: Iterable[str]) -> list[str]:
    known: dict[str, None] = {}
    for line in lines:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue  # read_values reports such a line as a bad row
        if isinstance(record, dict):
            known.update(dict.fromkeys(record))
    return list(known)


def _check_file(path: Path) -> None:
    if path.suffix.lower() not in _READERS:
        raise DataError(f"{path} is not a .txt, .csv, .jsonl or .parquet file")
    if not path.is_file():
        raise DataError(f"no data file at {path}; give data.source as the path of an existing file")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise DataError(
            f"{path} has {path.stat().st_size} bytes and the limit is {MAX_FILE_BYTES}; "
            "split it into smaller files"
        )


def _check_is_not_utf16(path: Path) -> None:
    """Refuse UTF-16, in which about every second byte of Western text is 0, with or without its mark."""
    with path.open("rb") as file:
        begin = file.read(_BYTES_LOOKED_AT)
    if begin.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or begin.count(0) * 4 > len(begin):
        raise not_utf8(path, "UTF-16")


def _lines(path: Path) -> Iterator[str]:
    _check_is_not_utf16(path)
    # Bytes that are not UTF-8 become lone surrogates, which check_row reports with their line.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        number = 0
        while line := file.readline(MAX_LINE_CHARACTERS + 1):
            number += 1
            if len(line) > MAX_LINE_CHARACTERS:
                raise DataError(
                    f"line {number} of {path} is longer than {MAX_LINE_CHARACTERS} characters; "
                    "is this really a text file with one row per line?"
                )
            yield line


def _read_txt(path: Path, column: str) -> Iterator[tuple[int, object] | BadRow]:
    if column:
        raise DataError(f"data.column is {column!r}, but {path} is plain text; leave data.column empty")
    yield from enumerate(_lines(path), start=1)


def read_csv(path: Path) -> Iterator[tuple[int, list[str]] | BadRow]:
    """Yield (line, fields) of a .csv file: first the header, then every row with as many fields.

    Raises:
        DataError: if the file is missing or too large, or its header is malformed or not UTF-8.
    """
    _check_file(path)
    reader = csv.reader(_lines(path), strict=True)
    header = _header(path, reader)
    yield 1, header
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield bad_row(line, f"malformed CSV: {error}", f"lines {line} to {reader.line_num}")
            continue
        if len(fields) == len(header):
            yield line, fields
        elif not fields:
            yield bad_row(line, "empty", "")
        else:
            yield bad_row(line, f"{len(fields)} fields instead of {len(header)}", ",".join(fields))


def _header(path: Path, reader: Iterator[list[str]]) -> list[str]:
    try:
        return check_names(path, next(reader, []))
    except csv.Error as error:
        raise DataError(f"the header of {path} is malformed: {error}") from None


def _read_csv(path: Path, column: str) -> Iterator[tuple[int, object] | BadRow]:
    rows = read_csv(path)
    header = next(rows)
    assert not isinstance(header, BadRow)
    index = find_column(path, column, header[1])
    for row in rows:
        yield row if isinstance(row, BadRow) else (row[0], row[1][index])


def _read_jsonl(path: Path, column: str) -> Iterator[tuple[int, object] | BadRow]:
    known: dict[str, None] = {}
    for line, text in enumerate(_lines(path), start=1):
        if not text.strip():
            yield bad_row(line, "empty", "")
            continue
        try:
            record: Any = json.loads(text)
        except (ValueError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else type(error).__name__
            yield bad_row(line, f"malformed JSON: {reason}", text)
            continue
        if not isinstance(record, dict):
            yield bad_row(line, f"{type(record).__name__} instead of an object", text)
            continue
        known.update(dict.fromkeys(islice(record, NAMED_COLUMNS)) if len(known) < NAMED_COLUMNS else {})
        if not column:
            break
        if column in record:
            known[column] = None
            yield line, record[column]
        else:
            yield bad_row(line, f"no column {column!r}", text)
    if known or not column:
        find_column(path, column, list(known))


_READERS: dict[str, Callable[[Path, str], Iterator[tuple[int, object] | BadRow]]] = {
    ".txt": _read_txt,
    ".csv": _read_csv,
    ".jsonl": _read_jsonl,
    ".parquet": read_parquet,
}
