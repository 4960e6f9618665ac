"""The part of the run store that knows the checkpoints of each run."""

from __future__ import annotations

import shutil
import sqlite3
import time
from pathlib import Path

from cellnet.errors import RunError
from cellnet.runs.base import StoreBase, find_key
from cellnet.runs.schema import CheckpointRecord


class CheckpointStore(StoreBase):
    """The rows and folders of checkpoints; their content is the work of `cellnet.checkpoints`."""

    def add_checkpoint(self, run_id: str, step: int, path: Path, best: bool = False) -> None:
        """Record the checkpoint folder ``path``; ``best`` takes that mark from any other of the run.

        Raises:
            RunError: if the folder does not exist, or is not inside the run's folder.
        """
        inside = self._inside(run_id, path)
        if not path.is_dir():
            raise RunError(f"there is no checkpoint folder at {path}; save the checkpoint first")
        size = sum(file.stat().st_size for file in path.iterdir())
        with self._database.write() as connection:
            key = find_key(connection, run_id)
            if best:
                connection.execute("UPDATE checkpoint SET best = 0 WHERE run = ?", (key,))
            connection.execute(
                "INSERT OR REPLACE INTO checkpoint VALUES (?, ?, ?, ?, ?, ?)",
                (key, step, inside, size, best, time.time()),
            )

    def checkpoints(self, run_id: str) -> list[CheckpointRecord]:
        """Return the checkpoints of a run, oldest step first."""
        with self._database.read() as connection:
            return self._read(connection, run_id)

    def remove_checkpoint(self, run_id: str, step: int) -> None:
        """Remove a checkpoint, its folder too, be it the best or not."""
        with self._database.write() as connection:
            known = {record.step: record for record in self._read(connection, run_id)}
            if step not in known:
                steps = ", ".join(map(str, known)) or "none"
                raise RunError(f"the run {run_id!r} has no checkpoint of step {step}; it has: {steps}")
            connection.execute(
                "DELETE FROM checkpoint WHERE run = ? AND step = ?", (find_key(connection, run_id), step)
            )
        path = known[step].path
        self._inside(run_id, path)
        if path.is_dir():
            shutil.rmtree(path)

    def prune_checkpoints(self, run_id: str, keep: int) -> list[int]:
        """Remove all but the ``keep`` newest checkpoints and the best one; return the steps removed."""
        if keep < 1:
            raise RunError(f"keep = {keep}: keep at least 1 checkpoint")
        old = [record.step for record in self.checkpoints(run_id)[:-keep] if not record.best]
        for step in old:
            self.remove_checkpoint(run_id, step)
        return old

    def _inside(self, run_id: str, path: Path) -> str:
        folder = self.folder(run_id).resolve()
        resolved = path.resolve()
        if resolved == folder or not resolved.is_relative_to(folder):
            raise RunError(f"{path} is not inside {folder}; save checkpoints in the folder of their run")
        return resolved.relative_to(folder).as_posix()

    def _read(self, connection: sqlite3.Connection, run_id: str) -> list[CheckpointRecord]:
        rows = connection.execute(
            "SELECT step, path, bytes, best, created FROM checkpoint WHERE run = ? ORDER BY step",
            (find_key(connection, run_id),),
        )
        folder = self._path(run_id)
        return [
            CheckpointRecord(step, folder / path, size, bool(best), created)
            for step, path, size, best, created in rows
        ]
