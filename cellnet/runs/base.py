"""The base of the run store: the folder, the database, and the search for a run by its id."""

from __future__ import annotations

import json
import re
import sqlite3
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cellnet.errors import RunError
from cellnet.runs.database import Database
from cellnet.runs.schema import RunRecord

_ID_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class StoreBase:
    """An open store; see `RunStore`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(
                f"cannot use {root} for runs ({error.strerror}); choose another folder"
            ) from None
        self._database = Database(root / "runs.sqlite")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; the store is of no further use."""
        self._database.close()

    def folder(self, run_id: str) -> Path:
        """Return the folder of a run (its exact id)."""
        with self._database.read() as connection:
            find_key(connection, run_id)
        return self._path(run_id)

    def _path(self, run_id: str) -> Path:
        if not _ID_PATTERN.fullmatch(run_id):
            raise RunError(f"{run_id!r} cannot be the id of a run; use 1 to 64 of a-z, 0-9, _ and -")
        return self.root / run_id


def find_key(connection: sqlite3.Connection, run_id: str) -> int:
    """Return the number under which the rows of a run are kept."""
    row = connection.execute("SELECT key, deleted FROM run WHERE id = ?", (run_id,)).fetchone()
    if row is None:
        raise RunError(f"no run {run_id!r}; list the runs to see which there are")
    if row["deleted"]:
        raise RunError(f"the run {run_id!r} is in the trash; restore it first")
    return int(row["key"])


def find_run(connection: sqlite3.Connection, run_id: str) -> RunRecord:
    """Return the run with exactly this id."""
    key = find_key(connection, run_id)
    return to_record(connection.execute("SELECT * FROM run WHERE key = ?", (key,)).fetchone())


def to_record(row: sqlite3.Row) -> RunRecord:
    """Turn a row of the table of runs into a value."""
    values = {name: row[name] for name in row.keys() if name != "key"}  # noqa: SIM118
    values["tags"] = tuple(_parsed(row["tags"]))
    values["summary"] = _parsed(row["summary"])
    values["settings"] = _parsed(row["settings"])
    values["deleted"] = bool(row["deleted"])
    return RunRecord(**values)


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Any:
    """Parse JSON; records share the result, so that listing hundreds of runs again takes milliseconds."""
    return json.loads(text)
