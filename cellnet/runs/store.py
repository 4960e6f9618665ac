"""The store of runs: create, find, describe and delete them, from any thread or process."""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from cellnet.errors import RunError
from cellnet.runs.base import find_key, find_run, to_record
from cellnet.runs.log import LogStore
from cellnet.runs.ownership import OwnershipStore
from cellnet.runs.processes import owner_is_gone
from cellnet.runs.saved import CheckpointStore
from cellnet.runs.schema import RunRecord
from cellnet.settings import Settings, save_toml

LATEST = "latest"

RunRecords: TypeAlias = list[RunRecord]


class RunStore(LogStore, CheckpointStore, OwnershipStore):
    """All runs under one folder: ``<root>/<run id>/`` each, and their rows in ``<root>/runs.sqlite``.

    Threads may share a store, and several processes may open the same root at once; a forked process
    opens its own. Only `get` takes an abbreviated id. Every method raises `RunError` for an unknown run
    and when the database cannot be used.

    Args:
        root: created if it does not exist.

    Raises:
        RunError: if the root cannot be written to, or its database is of a newer cellnet.
    """

    def create(
        self, settings: Settings, name: str = "", parent: str | None = None, run_id: str | None = None
    ) -> RunRecord:
        """Create a run in the state "created", with its folder, `settings.toml` and `checkpoints/`.

        Args:
            settings: stored with the run; ``training.max_steps`` is its length.
            name: for people; need not be unique.
            parent: id of the run that this one continues.
            run_id: 1 to 64 of ``a-z0-9_-``; by default the UTC time and a few random characters.

        Raises:
            RunError: if the id is impossible or taken, or the parent is unknown.
        """
        run_id = _new_id() if run_id is None else run_id
        folder = self._path(run_id)
        if run_id == LATEST:
            raise RunError(f"{LATEST!r} always means the newest run; choose another id")
        now = time.time()
        tree = json.dumps(settings.model_dump(mode="json"))
        with self._database.write() as connection:
            if parent is not None:
                find_key(connection, parent)
            try:
                connection.execute(
                    "INSERT INTO run (id, name, state, created, updated, max_steps, parent, settings) "
                    "VALUES (?, ?, 'created', ?, ?, ?, ?, ?)",
                    (run_id, name, now, now, settings.training.max_steps, parent, tree),
                )
                folder.mkdir()
            except (sqlite3.IntegrityError, FileExistsError):
                raise RunError(
                    f"a run or folder {run_id!r} exists in {self.root}; choose another id"
                ) from None
            (folder / "checkpoints").mkdir()
            save_toml(settings, folder / "settings.toml")
            return find_run(connection, run_id)

    def get(self, run_id: str) -> RunRecord:
        """Return the run with this id, or the only one whose id starts so, or for "latest" the newest.

        Raises:
            RunError: if there is none or more than one; the message lists those that there are.
        """
        runs = self.list()
        if run_id == LATEST and runs:
            return runs[0]
        matches = [run for run in runs if run.id == run_id]
        matches = matches or [run for run in runs if run_id and run.id.startswith(run_id)]
        if len(matches) == 1:
            return matches[0]
        shown = matches or runs
        known = ", ".join(run.id for run in shown[:10]) + (" ..." if len(shown) > 10 else "")
        if matches:
            raise RunError(
                f"{run_id!r} is the start of several runs in {self.root}; choose one of: {known}"
            )
        raise RunError(f"no run {run_id!r} in {self.root}; known: {known or 'none yet, start one first'}")

    def list(self, deleted: bool = False) -> RunRecords:
        """Return the runs, newest first; those in the trash if ``deleted``."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT * FROM run WHERE deleted = ? ORDER BY created DESC, key DESC", (deleted,)
            ).fetchall()
        return [to_record(row) for row in rows]

    def update(
        self,
        run_id: str,
        note: str | None = None,
        tags: Sequence[str] | None = None,
        summary: Mapping[str, Any] | None = None,
        name: str | None = None,
        max_steps: int | None = None,
    ) -> None:
        """Change what is given and keep the rest; ``tags`` and ``summary`` are replaced as a whole."""
        values = (
            note,
            None if tags is None else json.dumps([*tags]),
            None if summary is None else json.dumps({**summary}),
            name,
            max_steps,
            time.time(),
        )
        with self._database.write() as connection:
            connection.execute(
                "UPDATE run SET note = coalesce(?, note), tags = coalesce(?, tags), "
                "summary = coalesce(?, summary), name = coalesce(?, name), "
                "max_steps = coalesce(?, max_steps), updated = ? WHERE key = ?",
                (*values, find_key(connection, run_id)),
            )

    def delete(self, run_id: str) -> None:
        """Move the run's folder to ``<root>/.trash`` and leave the run out of every list.

        Raises:
            RunError: if a living process works on the run.
        """
        with self._database.write() as connection:
            run = find_run(connection, run_id)
            if not owner_is_gone(run):
                raise RunError(
                    f"process {run.pid} on {run.host} works on the run {run_id!r}; stop it first"
                )
            connection.execute("UPDATE run SET deleted = 1 WHERE id = ?", (run_id,))
            _move(self._path(run_id), self._trash(run_id))

    def restore(self, run_id: str) -> None:
        """Undo `delete`."""
        with self._database.write() as connection:
            row = connection.execute(
                "SELECT key FROM run WHERE id = ? AND deleted = 1", (run_id,)
            ).fetchone()
            if row is None:
                raise RunError(f"no run {run_id!r} in the trash of {self.root}; list the deleted runs")
            connection.execute("UPDATE run SET deleted = 0 WHERE key = ?", (row["key"],))
            _move(self._trash(run_id), self._path(run_id))

    def _trash(self, run_id: str) -> Path:
        return self.root / ".trash" / self._path(run_id).name


def _new_id() -> str:
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"


def _move(source: Path, target: Path) -> None:
    """Move a folder; done already if a process that died in between has moved it."""
    if target.is_dir() and not source.exists():
        return
    if target.exists() or not source.is_dir():
        raise RunError(f"cannot move {source} to {target}: put the folder of the run in its place first")
    target.parent.mkdir(exist_ok=True)
    os.replace(source, target)
