"""Listens to a trainer, in its thread, and writes down what the pages show."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict

from cellnet.runs import ChangeRecord
from cellnet.training import (
    ChangeEvent,
    CheckpointEvent,
    StateEvent,
    StepEvent,
    TrainerEvent,
    TrainerState,
    TrainingSession,
    ValidationEvent,
)
from lab.training.copies import ModelCopy, copy_model
from lab.training.probe import CubeFrame, Probe
from lab.training.record import TrainingRecord
from lab.training.snapshot import TRAIN_NAMES, VALIDATION_NAMES, Phase

_SECONDS_BETWEEN_FRAMES = 0.5
_FRAME_SHARE = 0.05
"""At most this share of the time goes into frames."""
_SECONDS_BETWEEN_MEMORY = 1.0
_PHASES = {TrainerState.RUNNING: Phase.RUNNING, TrainerState.PAUSED: Phase.PAUSED}


class Listener:
    """Called by the trainer between two steps, so that it may use the model.

    Args:
        session: the training.
        record: where it is written down.
        is_watched: whether, at a time of `time.monotonic`, somebody looks at the cube.
        keep_copy: takes a copy of the model whenever the training begins, pauses or ends.
    """

    def __init__(
        self,
        session: TrainingSession,
        record: TrainingRecord,
        is_watched: Callable[[float], bool],
        keep_copy: Callable[[ModelCopy], None],
    ) -> None:
        self.session = session
        self.record = record
        self.probe = Probe.choose(session.trainer.data)
        self._is_watched = is_watched
        self._keep_copy = keep_copy
        self._frames = 0
        self._frame_step = -1
        self._frame_due = 0.0
        self._memory_due = 0.0

    def load_past(self) -> None:
        """Write down what the run did before it was resumed."""
        store, run_id = self.session.store, self.session.run_id
        for phase, names, add in (
            ("train", TRAIN_NAMES, self.record.add_step),
            ("validation", VALIDATION_NAMES, self.record.add_validation),
        ):
            table = store.metrics(run_id, phase=phase, names=names)  # type: ignore[arg-type]
            for step, *values in table[["step", *names]].itertuples(index=False, name=None):
                add(int(step), dict(zip(names, values, strict=True)))
        for change in store.changes(run_id):
            self.record.add_change(change)
        if checkpoints := store.checkpoints(run_id):
            self.record.add_checkpoint(checkpoints[-1])

    def __call__(self, event: TrainerEvent) -> None:
        match event:
            case StepEvent():
                values = {
                    "total": event.total,
                    "learning_rate": event.learning_rate,
                    "gradient_norm": event.gradient_norm,
                    "seconds": event.seconds,
                }
                self.record.add_step(event.step, event.losses | values)
                self._picture(event.step)
            case ValidationEvent():
                values = event.losses | {"total": event.total} | asdict(event.measures)
                self.record.add_validation(event.step, values)
            case ChangeEvent():
                self.record.add_change(
                    ChangeRecord(event.step, time.time(), event.key, event.old, event.new)
                )
            case CheckpointEvent():
                self.record.add_checkpoint(self.session.store.checkpoints(self.session.run_id)[-1])
            case StateEvent():
                self._keep_copy(copy_model(self.session))
                if event.state is not TrainerState.FAILED:
                    self._picture(event.step, now=True)
                if event.state in _PHASES:
                    self.record.set(phase=_PHASES[event.state], error=event.error, preparation=None)
        self._measure()

    def _picture(self, step: int, *, now: bool = False) -> None:
        """Send the probe through the cube if somebody looks, or the picture must not lag behind."""
        begin = time.monotonic()
        due = begin >= self._frame_due and self._is_watched(begin)
        if step == self._frame_step or not (due or now):
            return
        trainer = self.session.trainer
        states, gate, cosine = self.probe.carry(trainer.model, trainer.device)
        seconds = time.monotonic() - begin
        self._frames += 1
        self._frame_step = step
        self._frame_due = begin + max(_SECONDS_BETWEEN_FRAMES, seconds / _FRAME_SHARE)
        self.record.add_frame(
            CubeFrame(
                number=self._frames,
                step=step,
                dimensions=trainer.settings.lattice.dimensions,
                states=states,
                gate=gate,
                cosine=cosine,
                text=self.probe.text,
                seconds=seconds,
            )
        )

    def _measure(self) -> None:
        now = time.monotonic()
        if now < self._memory_due:
            return
        self._memory_due = now + _SECONDS_BETWEEN_MEMORY
        trainer = self.session.trainer
        self.record.set(memory=trainer.memory(), cache=trainer.cache_statistics())
