"""The record of a training, written by the training thread, read as snapshots by any."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Collection, Mapping
from typing import Any

from cellnet.runs import ChangeRecord, CheckpointRecord
from cellnet.settings import Settings
from cellnet.training.metrics import TRAIN_NAMES, VALIDATION_NAMES
from lab.training.history import History
from lab.training.probe import CubeFrame
from lab.training.snapshot import Phase, Preparation, Snapshot

_SPEED_SECONDS = 15.0
"""The speed shown is the mean over this time."""


class TrainingRecord:
    """The facts of one training. Every method may be called from any thread.

    Args:
        changed: notified after every change; its lock guards all else.
        settings: of the training.
        first_version: from where the versions of the snapshots count.
    """

    def __init__(
        self, changed: threading.Condition, settings: Settings | None = None, first_version: int = 0
    ) -> None:
        self.changed = changed
        self._facts: dict[str, Any] = {"settings": settings}
        self._version = first_version
        self._train = History(TRAIN_NAMES)
        self._validation = History(VALIDATION_NAMES)
        self._changes: tuple[ChangeRecord, ...] = ()
        self._speed: deque[tuple[float, int]] = deque()
        self._heard: float | None = None

    def set(self, **facts: Any) -> None:
        """Note facts, named as in `Snapshot`."""
        with self.changed:
            if "phase" in facts:
                self._speed.clear()
                self._facts["ordered"] = ""
            self._facts |= facts
            self._notify()

    def order(self, word: str, *, during: Collection[Phase]) -> None:
        """Note in a word what was ordered, until a phase is noted; in other phases it means nothing."""
        with self.changed:
            if self._facts.get("phase") in during:
                self._facts["ordered"] = word
                self._notify()

    def prepare(self, label: str, done: int = 0, total: int = 0) -> None:
        """Note how far the data are."""
        self.set(preparation=Preparation(label, done, total))

    def add_step(self, step: int, values: Mapping[str, float], in_force: Settings | None = None) -> None:
        """Add a training step, and the settings it was made with unless it was made long ago."""
        with self.changed:
            self._train.append(step, values)
            self._facts |= {"step": step} | ({"in_force": in_force} if in_force else {})
            now = time.monotonic()
            self._speed.append((now, step))
            while len(self._speed) > 2 and now - self._speed[0][0] > _SPEED_SECONDS:
                self._speed.popleft()
            self._notify()

    def add_validation(self, step: int, values: Mapping[str, float]) -> None:
        """Add a validation."""
        with self.changed:
            self._validation.append(step, values)
            self._notify()

    def add_change(self, change: ChangeRecord) -> None:
        """Add a live change."""
        with self.changed:
            self._changes = (*self._changes, change)
            self._notify()

    def add_checkpoint(self, checkpoint: CheckpointRecord) -> None:
        """Note the newest checkpoint."""
        self.set(checkpoint=checkpoint)

    def add_frame(self, frame: CubeFrame) -> None:
        """Note the newest picture of the cube."""
        self.set(frame=frame)

    def snapshot(self) -> Snapshot:
        """All of it, as it is now."""
        with self.changed:
            speed = self._steps_per_second()
            train = self._train.read()
            left = None
            if speed and (settings := self._facts["settings"]) is not None:
                left = (settings.training.max_steps - self._facts["step"]) / speed
            return Snapshot(
                version=self._version,
                train=train,
                validation=self._validation.read(),
                changes=self._changes,
                steps_per_second=speed,
                seconds_left=left,
                age=None if self._heard is None else time.monotonic() - self._heard,
                **self._facts,
            )

    def _notify(self) -> None:
        self._version += 1
        self._heard = time.monotonic()
        self.changed.notify_all()

    def _steps_per_second(self) -> float | None:
        if len(self._speed) < 2:
            return None
        (begin, first), (end, last) = self._speed[0], self._speed[-1]
        return (last - first) / (end - begin) if end > begin else None
