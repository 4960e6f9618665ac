"""Choice of runs and of their checkpoints, by id, prefix or step."""

from __future__ import annotations

from pathlib import Path

from cellnet.errors import RunError
from cellnet.runs.schema import CheckpointRecord, RunRecord
from cellnet.runs.store import RunStore


def open_runs(runs: Path) -> RunStore:
    """Open the runs of a folder that must already hold some.

    Raises:
        RunError: if there are none.
    """
    if not (runs / "runs.sqlite").is_file():
        raise RunError(f"there are no runs in {runs}; train one first, or give the folder with --runs")
    return RunStore(runs)


def choose_checkpoint(store: RunStore, run: RunRecord, step: int | None) -> CheckpointRecord:
    """Return the checkpoint of that step, or by default the best, or if none is marked the newest.

    Raises:
        RunError: if there is none.
    """
    checkpoints = store.checkpoints(run.id)
    if step is None:
        suitable = [checkpoint for checkpoint in checkpoints if checkpoint.best] or checkpoints
    else:
        suitable = [checkpoint for checkpoint in checkpoints if checkpoint.step == step]
    if not suitable:
        known = ", ".join(str(checkpoint.step) for checkpoint in checkpoints) or "none yet"
        missing = "no checkpoint" if step is None else f"no checkpoint of step {step}"
        raise RunError(f"run {run.id} has {missing}; it has: {known}")
    return suitable[-1]
