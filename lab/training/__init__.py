"""The training that the lab owns: one per server process, seen by pages only through snapshots."""

from lab.training.frames import FrameStore, FrameSummary
from lab.training.history import History, Rows
from lab.training.probe import CubeFrame, Probe
from lab.training.service import TrainingService
from lab.training.snapshot import Phase, Preparation, Snapshot

__all__ = [
    "CubeFrame",
    "FrameStore",
    "FrameSummary",
    "History",
    "Phase",
    "Preparation",
    "Probe",
    "Rows",
    "Snapshot",
    "TrainingService",
]
