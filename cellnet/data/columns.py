"""What all kinds of data files share: a limit on their size and the choice of one column."""

from __future__ import annotations

from pathlib import Path

from cellnet.errors import DataError

MAX_FILE_BYTES = 2 * 1024**3
NAMED_COLUMNS = 20


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
