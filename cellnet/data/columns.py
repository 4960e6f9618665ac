"""Limits that all data files share, and the choice of one column."""

from __future__ import annotations

from pathlib import Path

from cellnet.errors import DataError

MAX_FILE_BYTES = 2 * 1024**3
NAMED_COLUMNS = 20


def check_names(path: Path, names: list[str]) -> list[str]:
    """Return the names of columns if all of them are text that can be shown.

    Raises:
        DataError: if one has bytes that are not UTF-8 (read as lone surrogates) or a NUL character.
    """
    for name in names:
        if "\0" in name:
            raise not_utf8(path, "binary data, a column's name holds a NUL character")
        try:
            name.encode()
        except UnicodeEncodeError:
            raise not_utf8(path, "Windows-1252, from the name of a column") from None
    return names


def not_utf8(path: Path, guess: str) -> DataError:
    """Return the error for a file that is not UTF-8, with a guess of what it is instead."""
    return DataError(
        f"{path} is not UTF-8 text (it looks like {guess}): save it as UTF-8 and use that file"
    )


def find_column(path: Path, column: str, known: list[str]) -> int:
    """Return the place of ``column`` among the known ones.

    Raises:
        DataError: naming the known columns, if it is not there exactly once or was not given.
    """
    if column and known.count(column) == 1:
        return known.index(column)
    if not column:
        problem = f"{path} needs data.column, the column with the text"
    elif column in known:
        problem = f"{path} has column {column!r} more than once"
    else:
        problem = f"{path} has no column {column!r}"
    names = ", ".join(map(repr, known[:NAMED_COLUMNS])) + (", ..." if len(known) > NAMED_COLUMNS else "")
    raise DataError(f"{problem}; its columns are: {names or 'none, since the file is empty'}")
