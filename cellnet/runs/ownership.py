"""The part of the run store that says how a run stands and which process works on it."""

from __future__ import annotations

import sqlite3
import time

from cellnet.errors import RunError
from cellnet.runs.base import StoreBase, find_key, find_run, to_record
from cellnet.runs.processes import owned_here, owner_is_gone, this_process
from cellnet.runs.schema import OWNED_STATES, RUN_STATES, RunRecord, RunState


class OwnershipStore(StoreBase):
    """States and owners."""

    def set_state(self, run_id: str, state: RunState, step: int | None = None, error: str = "") -> None:
        """Set the state, the error text and, if given, the step.

        Any state but running and paused also ends the ownership, since nobody works on the run then.
        """
        if state not in RUN_STATES:
            raise RunError(f"{state!r} is no state of a run; use one of {', '.join(RUN_STATES)}")
        with self._database.write() as connection:
            key = find_key(connection, run_id)
            connection.execute(
                "UPDATE run SET state = ?, step = coalesce(?, step), error = ?, updated = ? WHERE key = ?",
                (state, step, error, time.time(), key),
            )
            if state not in OWNED_STATES:
                _set_owner(connection, run_id, None)

    def claim(self, run_id: str) -> None:
        """Make this process the owner of the run; claiming twice is fine.

        Raises:
            RunError: if another process owns it and lives, or is of another host and may live.
        """
        with self._database.write() as connection:
            _check_free(find_run(connection, run_id))
            _set_owner(connection, run_id, this_process())

    def release(self, run_id: str, force: bool = False) -> None:
        """End the ownership of this process or of one that is gone; of any process if ``force``.

        Raises:
            RunError: if another process owns the run and may live, and ``force`` is off.
        """
        with self._database.write() as connection:
            run = find_run(connection, run_id)
            if not force:
                _check_free(run)
            _set_owner(connection, run_id, None)

    def recover(self) -> list[str]:
        """Mark runs as interrupted whose process is gone, and return their ids; call it at start-up.

        Runs that a process of another host owns are left alone, since it cannot be seen from here.
        """
        recovered = []
        with self._database.write() as connection:
            for row in connection.execute("SELECT * FROM run WHERE deleted = 0").fetchall():
                run = to_record(row)
                if run.state in OWNED_STATES and owner_is_gone(run):
                    connection.execute(
                        "UPDATE run SET state = 'interrupted', updated = ? WHERE key = ?",
                        (time.time(), row["key"]),
                    )
                    _set_owner(connection, run.id, None)
                    recovered.append(run.id)
        return recovered


def _check_free(run: RunRecord) -> None:
    if not owner_is_gone(run) and not owned_here(run):
        raise RunError(
            f"process {run.pid} on {run.host} works on the run {run.id!r}; stop it there first, or, "
            "if it is surely gone, release the run by force"
        )


def _set_owner(connection: sqlite3.Connection, run_id: str, owner: tuple[int, str, str] | None) -> None:
    connection.execute(
        "UPDATE run SET pid = ?, process = ?, host = ? WHERE id = ?",
        (*(owner or (None, None, None)), run_id),
    )
