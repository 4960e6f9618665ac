"""Listens to a trainer, in its thread, and writes down what the pages show."""

from __future__ import annotations

import time
from collections.abc import Callable

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
from cellnet.training.metrics import (
    TRAIN_NAMES,
    VALIDATION_NAMES,
    train_metrics,
    validation_metrics,
)
from lab.training.copies import ModelCopy, copy_model
from lab.training.frames import FRAMES_FOLDER, FrameStore
from lab.training.probe import CubeFrame, Probe
from lab.training.record import TrainingRecord
from lab.training.snapshot import Phase

_SECONDS_BETWEEN_FRAMES = 0.5
_FRAME_SHARE = 0.05
"""At most this share of the time goes into frames, those that are shown and those that are kept."""
_MOST_SECONDS_BETWEEN_FRAMES = 10.0
"""However long the last frame took: a machine that stood still meanwhile is not slow for good."""
_SECONDS_BETWEEN_MEMORY = 1.0
_PHASES = {TrainerState.RUNNING: Phase.RUNNING, TrainerState.PAUSED: Phase.PAUSED}


class Listener:
    """Called by the trainer between two steps, so that it may use the model.

    Args:
        session: the training.
        record: where it is written down.
        is_watched: whether, at a time of `time.monotonic`, somebody looks at the cube.
        keep_copy: takes a copy of the model whenever the training begins, validates, pauses or ends.
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
        self.frames = FrameStore(session.store.folder(session.run_id) / FRAMES_FOLDER)
        self.frames.truncate_after(session.trainer.step_count)
        self._is_watched = is_watched
        self._keep_copy = keep_copy
        self._frame: CubeFrame | None = None
        self._must_keep = False
        self._problem = ""
        self._show_due = 0.0
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
                self.record.add_step(event.step, train_metrics(event), self.session.trainer.settings)
                self._picture(event.step)
            case ValidationEvent():
                self.record.add_validation(event.step, validation_metrics(event))
                self._keep_copy(copy_model(self.session))
                self._must_keep = True
                self._picture(event.step)
            case ChangeEvent():
                self.record.add_change(
                    ChangeRecord(event.step, time.time(), event.key, event.old, event.new)
                )
            case CheckpointEvent():
                self.record.add_checkpoint(self.session.store.checkpoints(self.session.run_id)[-1])
            case StateEvent():
                if event.state is not TrainerState.FAILED:
                    self._keep_copy(copy_model(self.session))
                    self._must_keep |= event.state is not TrainerState.PAUSED
                    self._picture(event.step, now=True)
                if event.state in _PHASES:
                    self.record.set(
                        phase=_PHASES[event.state], error=event.error or self._problem, preparation=None
                    )
        self._measure()

    def _picture(self, step: int, *, now: bool = False) -> None:
        """Send the probe through the cube if somebody looks, it is to be kept, or must not lag behind.

        What is to be kept waits until the share of time allows it; a picture made meanwhile will do.
        """
        begin = time.monotonic()
        frame = self._frame
        if frame is None or frame.step != step:
            due = self._must_keep or (begin >= self._show_due and self._is_watched(begin))
            if not (now or (due and begin >= self._frame_due)):
                return
            frame = self._frame = self._make_frame(step)
            self.record.add_frame(frame)
            self._show_due = begin + _SECONDS_BETWEEN_FRAMES
        if self._must_keep:
            self._must_keep = False
            self._keep(frame)
        pause = min((time.monotonic() - begin) / _FRAME_SHARE, _MOST_SECONDS_BETWEEN_FRAMES)
        self._frame_due = max(self._frame_due, begin + pause)

    def _make_frame(self, step: int) -> CubeFrame:
        begin = time.monotonic()
        trainer = self.session.trainer
        states, gate, cosine = self.probe.carry(trainer.model)
        return CubeFrame(
            number=1 if self._frame is None else self._frame.number + 1,
            step=step,
            dimensions=trainer.settings.lattice.dimensions,
            states=states,
            gate=gate,
            cosine=cosine,
            text=self.probe.text,
            seconds=time.monotonic() - begin,
        )

    def _keep(self, frame: CubeFrame) -> None:
        """Write a frame beside the run; the training goes on if that is not possible, but says so."""
        try:
            self.frames.add(frame)
        except (OSError, ValueError) as error:
            self._problem = f"the picture of step {frame.step} could not be kept: {error}"
            self.record.set(error=self._problem)

    def _measure(self) -> None:
        now = time.monotonic()
        if now < self._memory_due:
            return
        self._memory_due = now + _SECONDS_BETWEEN_MEMORY
        trainer = self.session.trainer
        self.record.set(memory=trainer.memory(), cache=trainer.cache_statistics())
