"""Runs: a folder each, plus their rows in one SQLite database."""

from cellnet.runs.choice import choose_checkpoint, open_runs
from cellnet.runs.schema import (
    RUN_STATES,
    ChangeRecord,
    CheckpointRecord,
    Phase,
    RunRecord,
    RunState,
)
from cellnet.runs.store import RunStore

__all__ = [
    "RUN_STATES",
    "ChangeRecord",
    "CheckpointRecord",
    "Phase",
    "RunRecord",
    "RunState",
    "RunStore",
    "choose_checkpoint",
    "open_runs",
]
