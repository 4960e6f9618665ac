"""The training loop: batch, step, log, validate, save; steered through a queue, observed through events."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypeVar

import torch

from cellnet.checkpoints import load_checkpoint
from cellnet.device import open_device
from cellnet.errors import CheckpointError
from cellnet.logs import set_log_level
from cellnet.losses import loss_weights
from cellnet.measures import Embeddings, ReconstructionMeasures, measure_reconstruction, rows_to_tensor
from cellnet.settings import Settings, differences, with_changes
from cellnet.student.codec import fit_pca
from cellnet.student.student import CellNet
from cellnet.training.data import TrainingData, check_data
from cellnet.training.events import (
    ChangeEvent,
    CheckpointEvent,
    StateEvent,
    StepEvent,
    TrainerEvent,
    TrainerState,
    ValidationEvent,
)
from cellnet.training.learner import Learner
from cellnet.training.monitor import memory_megabytes
from cellnet.training.orders import Call, Changes, Command, ControlQueue
from cellnet.training.state import Progress, restore_state, save_state
from cellnet.training.validation import ValidationStoppedError, measure_losses, measure_student

Listener = Callable[[TrainerEvent], None]
Result = TypeVar("Result")

SLOW_STEPS_IN_A_WARNING = 100
_LOG = logging.getLogger(__name__)


class EmbeddingTrainer:
    """Train a student on teacher embeddings.

    One thread calls `train` (or `step`); any thread may call `apply`, `pause`, `resume`, `single_step` and
    `stop`, which take effect between two batches. Listeners are called in the training thread.

    Args:
        settings: the settings tree.
        data: embeddings for training and validation, (n, D) each.
        checkpoints: folder for checkpoints; without it none are written on the way.

    Raises:
        DataError: if the data do not suit the settings.
        DeviceError: if the device is not there.
    """

    def __init__(self, settings: Settings, data: TrainingData, checkpoints: Path | None = None) -> None:
        check_data(data, settings)
        self.data = data
        self.checkpoints = checkpoints
        self.device = open_device(settings)
        set_log_level(settings)
        self.state = TrainerState.READY
        self.pca = fit_pca(data.train)
        torch.manual_seed(settings.init.seed)
        self.model = CellNet(settings)
        self.model.start_from(self.pca)
        self.learner = Learner(self.model, data, settings, self.device)
        self.control = ControlQueue(settings)
        self._progress = Progress()
        self._listeners: list[Listener] = []
        self._pause_after_step = False
        self._slow_steps = 0
        if settings.chunker.calibrate and not settings.neighbors.block_cells:
            self._calibrate()

    # What a front end calls, from any thread.

    def subscribe(self, listener: Listener) -> None:
        """Call ``listener`` with every event, in the training thread."""
        self._listeners.append(listener)

    def apply(self, changes: Mapping[str, Any]) -> None:
        """Change live settings, ``{"group.key": value}``, before the next batch.

        Raises:
            SettingsError: at once, if a setting is not live or its value is impossible.
        """
        self.control.change(changes)

    def pause(self) -> None:
        """Pause before the next batch."""
        self.control.send(Command.PAUSE)

    def resume(self) -> None:
        """Go on after a pause."""
        self.control.send(Command.RESUME)

    def single_step(self) -> None:
        """Make one step and pause (again)."""
        self.control.send(Command.STEP)

    def stop(self) -> None:
        """End `train` before the next batch, after a checkpoint; nothing given before or after prevents it.

        A validation under way ends before its next batch, and is not recorded.
        """
        self.control.send(Command.STOP)

    def ask(self, function: Callable[[], Result]) -> Future[Result]:
        """Call a function in the training thread between two batches, also while paused.

        The function may use the trainer and its model, and should be quick. What it returns or raises is
        what the future gives; if the training ends first, that is a `TrainingError`. Before `train` the
        function waits for it.
        """
        return self.control.call(function)

    @property
    def settings(self) -> Settings:
        """The settings in force, live changes included."""
        return self.learner.settings

    @property
    def step_count(self) -> int:
        """Optimizer steps made so far."""
        return self._progress.step

    # The loop.

    def train(self) -> TrainerState:
        """Train until ``training.max_steps``, a stop, or no more improvement; return the final state.

        A loss that is not finite pauses the training with the weights as they were before that step.
        """
        self.control.begin()
        try:
            return self._train()
        finally:
            self.control.end()

    def _train(self) -> TrainerState:
        self._pause_after_step = False
        self._set_state(TrainerState.RUNNING)
        try:
            while self._progress.step < self.settings.training.max_steps and not self._is_done():
                if self._pause_after_step:
                    self._pause_after_step = False
                    self._pause()
                self._obey()
                if self.control.stop_requested:
                    break
                self._step_and_report()
            if self._progress.step:
                self._validate_if_due(now=True)
                self._save_if_due(now=True)
        except BaseException as error:
            self._set_state(TrainerState.FAILED, f"{type(error).__name__}: {error}")
            raise
        stopped = self.control.stop_requested
        self._set_state(TrainerState.STOPPED if stopped else TrainerState.FINISHED)
        return self.state

    def step(self) -> StepEvent | None:
        """Carry out pending changes and make one step; None if its loss was not finite."""
        while (order := self.control.next(wait=False)) is not None:
            match order:
                case Changes(settings):
                    self._change(settings)
                case Call():
                    order.carry_out()
        return self._make_step()

    def _is_done(self) -> bool:
        patience = self.settings.training.early_stopping_patience
        return 0 < patience <= self._progress.validations_without_improvement

    def _obey(self) -> None:
        """Carry out all orders; while paused, wait for them.

        Once a stop was given no other command counts, and nothing given after it is carried out.
        """
        while (order := self.control.next(wait=self._is_waiting())) is not None:
            match order:
                case Changes(settings):
                    self._change(settings)
                case Call():
                    order.carry_out()
                case Command.STOP:
                    return
                case _ if self.control.stop_requested:
                    continue
                case Command.PAUSE:
                    self._pause()
                case Command.RESUME:
                    self._set_state(TrainerState.RUNNING)
                case Command.STEP:
                    self._set_state(TrainerState.RUNNING)
                    self._pause_after_step = True
                    return

    def _is_waiting(self) -> bool:
        return self.state is TrainerState.PAUSED and not self.control.stop_requested

    def _pause(self) -> None:
        """Pause, keeping what an earlier pause said about its cause."""
        if self.state is not TrainerState.PAUSED:
            self._set_state(TrainerState.PAUSED)

    def _step_and_report(self) -> None:
        if self._make_step() is None:
            return
        self._validate_if_due()
        self._save_if_due()

    def _make_step(self) -> StepEvent | None:
        lesson = self.learner.step(self._progress.step)
        result = lesson.result
        if not result.is_finite:
            self._set_state(
                TrainerState.PAUSED,
                f"the loss or gradient of step {self._progress.step + 1} is not finite "
                f"(total {result.total}); the step was not applied. Lower the learning rate or a loss "
                "weight, then resume, or go back to a checkpoint",
            )
            return None
        self._progress.step += 1
        event = StepEvent(
            step=self._progress.step,
            losses=result.losses,
            weighted=self._weighted(result.losses),
            total=result.total,
            learning_rate=lesson.learning_rate,
            gradient_norm=result.gradient_norm,
            seconds=lesson.seconds,
            stages=lesson.stages,
            too_slow=lesson.seconds * 1e3 > self.settings.lattice.target_performance_ms,
        )
        if event.too_slow:
            self._warn_of_slow_steps(event)
        self._tell(event)
        return event

    def _weighted(self, losses: dict[str, float]) -> dict[str, float]:
        weights = loss_weights(self.settings.loss)
        return {name: weights[name] * value for name, value in losses.items()}

    def _warn_of_slow_steps(self, event: StepEvent) -> None:
        """Warn of every so many steps that were slower than the target, not of each."""
        self._slow_steps += 1
        if self._slow_steps % SLOW_STEPS_IN_A_WARNING == 0:
            _LOG.warning(
                "%d training steps were slower than lattice.target_performance_ms = %g ms; step %d took "
                "%.0f ms",
                self._slow_steps,
                self.settings.lattice.target_performance_ms,
                event.step,
                1e3 * event.seconds,
            )

    def _change(self, settings: Settings) -> None:
        """Let live changes take effect now."""
        for key, (old, new) in differences(self.settings, settings).items():
            self._progress.changes.append({"step": self._progress.step, "key": key, "old": old, "new": new})
            self._tell(ChangeEvent(self._progress.step, key, old, new))
        self.learner.change(settings)

    def _calibrate(self) -> None:
        """Let the chunker time forward and backward on the first rows; no weight changes."""
        rows = slice(0, self.settings.training.batch_size)
        batch = rows_to_tensor(self.data.train, rows, self.device)
        engine = self.learner.engine

        def time_once() -> float:
            begin = time.perf_counter()
            _, total = engine.compute(batch)
            torch.autograd.grad(total, engine.parameters, allow_unused=True)
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            return time.perf_counter() - begin

        self.model.lattice.chunker.calibrate(time_once, self.settings.lattice.cell_count)

    # Validation.

    def _validate_if_due(self, *, now: bool = False) -> None:
        due = self._progress.step % self.settings.training.validate_every == 0
        if due != now:
            # The validation that follows a stop is part of it, and is made whole.
            with suppress(ValidationStoppedError):
                self.validate(until_stop=not self.control.stop_requested)

    def validate(self, *, until_stop: bool = False) -> ValidationEvent:
        """Measure all losses and the reconstruction on the held-out data, and tell the listeners.

        With ``until_stop``, a stop ends it between two batches with an exception.
        """
        self.learner.let_body_rest_if_due(self._progress.step)
        losses, measures = measure_losses(
            self.learner, self.data.validation, lambda: until_stop and self.control.stop_requested
        )
        weighted = self._weighted(losses)
        total = sum(weighted.values())
        improved = self._progress.add_validation(total)
        event = ValidationEvent(self._progress.step, losses, weighted, total, measures, improved)
        self._tell(event)
        return event

    def measure(self, embeddings: Embeddings) -> ReconstructionMeasures:
        """Measure the student's reconstruction of embeddings (n, D)."""
        return measure_student(self.learner, embeddings)

    def measure_pca(self, embeddings: Embeddings) -> ReconstructionMeasures:
        """Measure PCA with the width of the surface, fitted on the training embeddings."""
        width = self.model.codec.surface_size**2
        return measure_reconstruction(
            lambda batch: self.pca.reconstruct(batch, width), embeddings, device=self.device
        )

    # Checkpoints.

    def _save_if_due(self, *, now: bool = False) -> None:
        due = self._progress.step % self.settings.training.checkpoint_every == 0
        if self.checkpoints is not None and due != now:
            self.save_now()

    def save_now(self) -> Path:
        """Write a checkpoint to its place among the others; from another thread use ``ask(save_now)``.

        Raises:
            CheckpointError: if the trainer was given no folder for checkpoints.
        """
        if self.checkpoints is None:
            raise CheckpointError("this training has no folder for checkpoints; give save_checkpoint one")
        return self.save_checkpoint(self.checkpoints / f"step-{self._progress.step:08d}")

    def save_checkpoint(self, folder: Path) -> Path:
        """Write everything needed to go on from here (see `cellnet.checkpoints`)."""
        progress = self._progress
        save_state(folder, self.learner, progress)
        best = progress.best_step == progress.step
        self._tell(CheckpointEvent(progress.step, folder, best))
        return folder

    @classmethod
    def from_checkpoint(
        cls,
        folder: Path,
        data: TrainingData,
        *,
        checkpoints: Path | None = None,
        overrides: Mapping[str, Any] | None = None,
    ) -> Self:
        """Go on from a checkpoint.

        Args:
            folder: what `save_checkpoint` wrote.
            data: the same data as before.
            checkpoints: folder for further checkpoints.
            overrides: settings that differ from the saved ones, such as ``training.max_steps`` or
                ``device.device``.

        Raises:
            CheckpointError: if the checkpoint is damaged or does not fit.
        """
        saved = load_checkpoint(folder)
        if saved.settings is None:
            raise CheckpointError(f"{folder} holds no settings.toml; it was not written by a trainer")
        trainer = cls(with_changes(saved.settings, overrides or {}), data, checkpoints)
        trainer._progress = restore_state(saved, trainer.learner, folder)
        return trainer

    # Telling.

    def memory(self) -> dict[str, float]:
        """Return memory in MB: of the process and, on CUDA, of the device."""
        return memory_megabytes(self.device)

    def cache_statistics(self) -> dict[str, int]:
        """Return counted hits and misses of the caches; empty if ``optimizer.cache_statistics`` is off."""
        if not self.settings.optimizer.cache_statistics:
            return {}
        pool = self.learner.pool.statistics()
        lattice = self.model.lattice
        return {
            "connection_hits": lattice.cache_hits,
            "connection_misses": lattice.cache_misses,
            "pool_hits": pool.hits,
            "pool_misses": pool.misses,
            "pool_kept_bytes": pool.kept_bytes,
        }

    def _set_state(self, state: TrainerState, error: str = "") -> None:
        self.state = state
        self._tell(StateEvent(self._progress.step, state, error))

    def _tell(self, event: TrainerEvent) -> None:
        for listener in self._listeners:
            listener(event)
