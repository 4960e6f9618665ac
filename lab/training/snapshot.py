"""A snapshot of a training for the pages: plain values, immutable, taken at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from cellnet.runs import ChangeRecord, CheckpointRecord
from cellnet.settings import Settings, differences
from cellnet.training.metrics import TRAIN_NAMES, VALIDATION_NAMES
from lab.training.history import History, Rows
from lab.training.probe import CubeFrame

_STEPS_OF_A_MEDIAN = 50


class Phase(StrEnum):
    """The phase of the lab's training."""

    IDLE = "idle"
    PREPARING = "preparing data"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def is_active(self) -> bool:
        """Whether a training thread works or waits for a command."""
        return self in (Phase.PREPARING, Phase.RUNNING, Phase.PAUSED)

    @property
    def is_training(self) -> bool:
        """Whether there is a model that can be steered."""
        return self in (Phase.RUNNING, Phase.PAUSED)


@dataclass(frozen=True)
class Preparation:
    """The progress of the data: a label, how much is done, and how much there is (0: unknown)."""

    label: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Snapshot:
    """One training at one moment.

    Attributes:
        version: grows with everything that happens; equal versions mean that nothing changed.
        settings: as they will be once all orders given so far are carried out; None before the first start.
        in_force: as they were in the newest step; None before the training began.
        error: why it failed or paused by itself, empty otherwise.
        stopping: whether a stop was asked for and is being carried out.
        ordered: what was asked for and begins after the batch under way, such as "pausing"; else empty.
        steps_per_second, seconds_left: measured over the last seconds; None until there is enough.
        age: seconds since the trainer last said anything; None before it did.
        memory: megabytes, by kind (process, device ...).
        cache: counted hits and misses of the caches.
        train, validation: the histories.
        pca: explained variance of PCA with as many numbers as the cube's surface has, on validation data.
        changes: live changes in the order in which they took effect.
        checkpoint: the newest one.
        frame: the newest picture of the cube.
        sentences: one line on the data; ``train_sentences`` and ``validation_sentences`` count them.
    """

    version: int = 0
    phase: Phase = Phase.IDLE
    settings: Settings | None = None
    in_force: Settings | None = None
    run_id: str | None = None
    preparation: Preparation | None = None
    error: str = ""
    stopping: bool = False
    ordered: str = ""
    step: int = 0
    steps_per_second: float | None = None
    seconds_left: float | None = None
    age: float | None = None
    device: str = ""
    memory: Mapping[str, float] = field(default_factory=dict)
    cache: Mapping[str, int] = field(default_factory=dict)
    train: Rows = field(default_factory=History(TRAIN_NAMES).read)
    validation: Rows = field(default_factory=History(VALIDATION_NAMES).read)
    pca: float | None = None
    changes: tuple[ChangeRecord, ...] = ()
    checkpoint: CheckpointRecord | None = None
    frame: CubeFrame | None = None
    sentences: str = ""
    train_sentences: int = 0
    validation_sentences: int = 0

    @property
    def max_steps(self) -> int:
        """Steps of the whole training; 0 before the first start."""
        return self.settings.training.max_steps if self.settings else 0

    @property
    def waiting(self) -> dict[str, Any]:
        """Live changes that act from the next step on, ``{"group.key": value}``."""
        if self.settings is None or self.in_force is None or not self.phase.is_training:
            return {}
        return {name: new for name, (_, new) in differences(self.in_force, self.settings).items()}

    @property
    def step_seconds(self) -> float | None:
        """Median wall time of the newest steps; None before the first."""
        newest = self.train.column("seconds")[-_STEPS_OF_A_MEDIAN:]
        return float(np.median(newest)) if len(newest) else None

    @property
    def target_seconds(self) -> float | None:
        """Wall time above which a step is slow; None before the first start."""
        return self.settings.lattice.target_performance_ms / 1e3 if self.settings else None

    @property
    def is_slow(self) -> bool:
        """Whether the median of the newest steps is above the target."""
        seconds, target = self.step_seconds, self.target_seconds
        return seconds is not None and target is not None and seconds > target

    @property
    def explained_variance(self) -> float | None:
        """Newest explained variance on the validation data."""
        return self.validation.last("explained_variance")
