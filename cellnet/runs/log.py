"""The part of the run store that records what happens step by step: metrics and live changes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from cellnet.runs.base import StoreBase, find_key
from cellnet.runs.metrics import MetricRow, insert_metrics, read_latest, read_metrics
from cellnet.runs.schema import ChangeRecord, Phase


class LogStore(StoreBase):
    """Metrics and live changes."""

    def log_metrics(self, run_id: str, step: int, phase: Phase, values: Mapping[str, float]) -> None:
        """Store the metrics of one step; names that this step and phase already have are overwritten."""
        self.log_metrics_many(run_id, [(step, phase, values)])

    def log_metrics_many(self, run_id: str, rows: Iterable[MetricRow]) -> None:
        """Store rows of (step, phase, values) in one transaction; the run's step follows."""
        with self._database.write() as connection:
            key = find_key(connection, run_id)
            last = insert_metrics(connection, key, rows)
            connection.execute(
                "UPDATE run SET step = max(step, ?), updated = ? WHERE key = ?", (last, time.time(), key)
            )

    def metrics(
        self,
        run_id: str,
        phase: Phase | None = None,
        names: Sequence[str] | None = None,
        from_step: int | None = None,
    ) -> pd.DataFrame:
        """Return metrics as a table, by step: columns step (int64), phase, and one float64 per name.

        A name that a step does not have is NaN there, and so is a value that was logged as NaN.

        Args:
            phase: only this phase; all by default.
            names: only these columns, in this order; a name that was never logged is NaN throughout.
            from_step: the first step that is wanted.
        """
        with self._database.read() as connection:
            return read_metrics(connection, find_key(connection, run_id), phase, names, from_step)

    def latest(self, phase: Phase) -> dict[str, tuple[int, dict[str, float]]]:
        """Return ``{run id: (step, metrics)}`` of the newest step of every run that has any in the phase.

        Runs in the trash are left out.
        """
        with self._database.read() as connection:
            return read_latest(connection, phase)

    def truncate_after(self, run_id: str, step: int) -> None:
        """Forget the metrics and changes of all steps after ``step``, from where the run is done again.

        Checkpoints stay: the caller decides which of them to remove.
        """
        with self._database.write() as connection:
            key = find_key(connection, run_id)
            connection.execute("DELETE FROM metric WHERE run = ? AND step > ?", (key, step))
            connection.execute("DELETE FROM change WHERE run = ? AND step > ?", (key, step))
            connection.execute(
                "UPDATE run SET step = min(step, ?), updated = ? WHERE key = ?", (step, time.time(), key)
            )

    def log_change(self, run_id: str, step: int, key: str, old: Any, new: Any) -> None:
        """Store that the setting ``key`` went from ``old`` to ``new`` (JSON) with effect from ``step``."""
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO change (run, step, time, setting, old, new) VALUES (?, ?, ?, ?, ?, ?)",
                (find_key(connection, run_id), step, time.time(), key, json.dumps(old), json.dumps(new)),
            )

    def changes(self, run_id: str) -> list[ChangeRecord]:
        """Return the live changes in the order in which they took effect."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT step, time, setting, old, new FROM change WHERE run = ? ORDER BY step, key",
                (find_key(connection, run_id),),
            ).fetchall()
        return [
            ChangeRecord(step, moment, setting, json.loads(old), json.loads(new))
            for step, moment, setting, old, new in rows
        ]
