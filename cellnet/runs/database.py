"""The connections to the run database: one that writes, one that reads, each for one thread at a time."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cellnet.errors import RunError
from cellnet.runs.schema import SCHEMA_VERSION, TABLES

BUSY_SECONDS = 30.0


class Database:
    """A SQLite file in WAL mode, so that readers never wait for writers, in this process or another.

    Threads may share it. A forked process must open its own.

    Raises:
        RunError: if the file is no run database, or one of a newer cellnet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._write_lock = threading.Lock()
        self._read_lock = threading.Lock()
        self._writer = _connect(path)
        try:
            self._prepare()
            self._reader = _connect(path)
        except BaseException:
            self._writer.close()
            raise

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction: kept when the block ends well, undone when it raises."""
        with self._write_lock:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                try:
                    yield self._writer
                    self._writer.execute("COMMIT")
                finally:
                    if self._writer.in_transaction:
                        self._writer.execute("ROLLBACK")
            except (sqlite3.OperationalError, sqlite3.ProgrammingError) as error:
                raise RunError(
                    f"cannot write to {self.path} ({error}); check that the disk is not full, that no "
                    "other process blocks the file and that the store is open"
                ) from error

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A consistent view of the database."""
        with self._read_lock:
            try:
                self._reader.execute("BEGIN")
                try:
                    yield self._reader
                finally:
                    self._reader.execute("ROLLBACK")
            except (sqlite3.OperationalError, sqlite3.ProgrammingError) as error:
                raise RunError(
                    f"cannot read {self.path} ({error}); check that the store is open"
                ) from error

    def close(self) -> None:
        """Close both connections; closing twice is fine."""
        with self._write_lock, self._read_lock:
            self._reader.close()
            self._writer.close()

    def _prepare(self) -> None:
        try:
            _use_wal(self._writer)
            self._writer.execute("PRAGMA synchronous = NORMAL")
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                version = self._version()
                if version == 0:
                    for statement in TABLES:
                        self._writer.execute(statement)
                    self._writer.execute("INSERT INTO schema_version VALUES (?)", (SCHEMA_VERSION,))
            finally:
                self._writer.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            raise RunError(
                f"{self.path} cannot be used as a run database ({error}); move it away or choose another "
                "folder for runs"
            ) from error
        if version > SCHEMA_VERSION:
            raise RunError(
                f"{self.path} was written by a newer cellnet (schema {version}, this one knows "
                f"{SCHEMA_VERSION}); upgrade cellnet or choose another folder for runs"
            )

    def _version(self) -> int:
        tables = {name for (name,) in self._writer.execute("SELECT name FROM sqlite_master")}
        if not tables:
            return 0
        if "schema_version" not in tables:
            raise RunError(f"{self.path} is another program's database; choose another folder for runs")
        return int(self._writer.execute("SELECT version FROM schema_version").fetchone()[0])


def _connect(path: Path) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
    except sqlite3.OperationalError as error:
        raise RunError(f"cannot open {path} ({error}); check that the folder can be written to") from error
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL, waiting for others that do so too: SQLite itself does not wait for this statement."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.01)
