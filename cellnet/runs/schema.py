"""The tables of the run database and the values that are read from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

SCHEMA_VERSION = 1

RunState: TypeAlias = Literal[
    "created", "running", "paused", "finished", "stopped", "interrupted", "failed"
]
Phase: TypeAlias = Literal["train", "validation"]

RUN_STATES: tuple[RunState, ...] = get_args(RunState)
PHASES: tuple[Phase, ...] = get_args(Phase)
OWNED_STATES: tuple[RunState, ...] = ("running", "paused")
"""States in which a process works on the run; in any other nobody owns it."""

TABLES = (
    "CREATE TABLE schema_version (version INTEGER NOT NULL)",
    """
    CREATE TABLE run (
        key INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        state TEXT NOT NULL,
        created REAL NOT NULL,
        updated REAL NOT NULL,
        pid INTEGER,
        process TEXT,
        host TEXT,
        step INTEGER NOT NULL DEFAULT 0,
        max_steps INTEGER NOT NULL,
        note TEXT NOT NULL DEFAULT '',
        tags TEXT NOT NULL DEFAULT '[]',
        error TEXT NOT NULL DEFAULT '',
        summary TEXT NOT NULL DEFAULT '{}',
        settings TEXT NOT NULL,
        parent TEXT REFERENCES run (id),
        deleted INTEGER NOT NULL DEFAULT 0
    )
    """,
    # The names of a row's values are stored once per distinct list of names, the values as packed
    # little-endian float64: exact (also NaN, which SQLite's REAL turns into NULL) and quick to read.
    "CREATE TABLE metric_names (key INTEGER PRIMARY KEY, names TEXT NOT NULL UNIQUE)",
    """
    CREATE TABLE metric (
        run INTEGER NOT NULL REFERENCES run (key),
        phase TEXT NOT NULL,
        step INTEGER NOT NULL,
        names INTEGER NOT NULL REFERENCES metric_names (key),
        data BLOB NOT NULL,
        PRIMARY KEY (run, phase, step)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE change (
        key INTEGER PRIMARY KEY,
        run INTEGER NOT NULL REFERENCES run (key),
        step INTEGER NOT NULL,
        time REAL NOT NULL,
        setting TEXT NOT NULL,
        old TEXT NOT NULL,
        new TEXT NOT NULL
    )
    """,
    "CREATE INDEX change_by_step ON change (run, step)",
    """
    CREATE TABLE checkpoint (
        run INTEGER NOT NULL REFERENCES run (key),
        step INTEGER NOT NULL,
        path TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        best INTEGER NOT NULL,
        created REAL NOT NULL,
        PRIMARY KEY (run, step)
    ) WITHOUT ROWID
    """,
)


@dataclass(frozen=True)
class RunRecord:
    """One run as it was when it was read; never change its dictionaries, which records share.

    Attributes:
        id: unique, sorts by time of creation unless the user chose it, and is the folder's name.
        created: seconds since 1970, UTC; ``updated`` likewise.
        pid: process that owns the run, on ``host``, or None.
        process: tells that process from a later one with the same pid (see `process_identity`).
        step: last step that was logged or set.
        error: why the run failed, or empty.
        summary: final figures, free form.
        settings: the whole tree; ``Settings(**record.settings)`` validates it.
        parent: id of the run that this one continues, or None.
    """

    id: str
    name: str
    state: RunState
    created: float
    updated: float
    pid: int | None
    process: str | None
    host: str | None
    step: int
    max_steps: int
    note: str
    tags: tuple[str, ...]
    error: str
    summary: dict[str, Any]
    settings: dict[str, Any]
    parent: str | None
    deleted: bool


@dataclass(frozen=True)
class ChangeRecord:
    """A live change: the setting ``key`` went from ``old`` to ``new`` with effect from ``step``."""

    step: int
    time: float
    key: str
    old: Any
    new: Any


@dataclass(frozen=True)
class CheckpointRecord:
    """A checkpoint of a run: its folder (absolute), size in bytes and whether it is the run's best."""

    step: int
    path: Path
    bytes: int
    best: bool
    created: float
