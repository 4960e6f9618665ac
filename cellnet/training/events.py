"""The events that a trainer tells its listeners. Every value is a plain, immutable copy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from cellnet.measures import ReconstructionMeasures


class TrainerState(StrEnum):
    """The state of a trainer."""

    READY = "ready"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True)
class StepEvent:
    """One optimizer step was made.

    Attributes:
        step: number of steps made so far.
        losses: raw value of each loss.
        weighted: value of each loss times its weight.
        total: sum of the weighted losses.
        learning_rate: rate used.
        gradient_norm: norm before clipping.
        seconds: wall time of the step.
        stages: wall time of each stage in seconds; empty when monitoring is off.
        too_slow: whether the step took longer than ``lattice.target_performance_ms``.
    """

    step: int
    losses: dict[str, float]
    weighted: dict[str, float]
    total: float
    learning_rate: float
    gradient_norm: float
    seconds: float
    stages: dict[str, float]
    too_slow: bool


@dataclass(frozen=True)
class ValidationEvent:
    """The held-out data was measured; losses are means over its batches."""

    step: int
    losses: dict[str, float]
    weighted: dict[str, float]
    total: float
    measures: ReconstructionMeasures
    improved: bool


@dataclass(frozen=True)
class ChangeEvent:
    """A live change took effect before the batch of step ``step + 1``."""

    step: int
    key: str
    old: Any
    new: Any


@dataclass(frozen=True)
class CheckpointEvent:
    """A checkpoint was written; ``best`` says that this step has the best validation so far."""

    step: int
    folder: Path
    best: bool


@dataclass(frozen=True)
class StateEvent:
    """The trainer's state changed; ``error`` says why if something is wrong."""

    step: int
    state: TrainerState
    error: str = ""


TrainerEvent = StepEvent | ValidationEvent | ChangeEvent | CheckpointEvent | StateEvent
