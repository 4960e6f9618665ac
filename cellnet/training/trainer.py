"""The training loop: batch, step, log, validate, save; steered through a queue, observed through events."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import torch
from torch import Tensor

from cellnet.checkpoints import check_training, flatten_optimizer, load_checkpoint, save_checkpoint
from cellnet.device import open_device
from cellnet.errors import CheckpointError, DataError
from cellnet.logs import set_log_level
from cellnet.losses import LOSS_NAMES, loss_weights
from cellnet.measures import (
    Embeddings,
    ReconstructionMeasures,
    ReconstructionSums,
    measure_reconstruction,
    parts,
    rows_to_tensor,
)
from cellnet.settings import Settings, differences, with_changes
from cellnet.student.codec import fit_pca
from cellnet.student.student import CellNet, StudentOutput
from cellnet.training.data import Batches, TrainingData
from cellnet.training.engine import StepEngine, make_optimizer
from cellnet.training.events import (
    ChangeEvent,
    CheckpointEvent,
    StateEvent,
    StepEvent,
    TrainerEvent,
    TrainerState,
    ValidationEvent,
)
from cellnet.training.memory import MemoryPoolManager
from cellnet.training.monitor import PerformanceMonitor, memory_megabytes
from cellnet.training.orders import Call, Changes, Command, ControlQueue
from cellnet.training.schedule import learning_rate, linear_path_share

Listener = Callable[[TrainerEvent], None]
Result = TypeVar("Result")

_SMALLEST_VALIDATION_BATCH = 4
_ROWS_CHECKED_AT_ONCE = 8192


@dataclass
class _Progress:
    """What a training has got to, apart from weights."""

    step: int = 0
    best_validation: float = float("inf")
    best_step: int | None = None
    validations_without_improvement: int = 0
    changes: list[dict[str, Any]] = field(default_factory=list)


class _ValidationStoppedError(Exception):
    """A stop was requested in the middle of a validation."""


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
        _check_data(data, settings)
        self.settings = settings
        self.data = data
        self.checkpoints = checkpoints
        self.device = open_device(settings)
        set_log_level(settings)
        self.state = TrainerState.READY
        self.pca = fit_pca(data.train)
        torch.manual_seed(settings.init.seed)
        self.model = CellNet(settings)
        self.model.start_from(self.pca)
        self.model.to(self.device)
        self.optimizer = make_optimizer(self.model, settings, self.device)
        self.monitor = PerformanceMonitor(
            self.device, enabled=settings.optimizer.performance_monitoring_enabled
        )
        self.engine = StepEngine(self.model, self.optimizer, settings, self.device, self.monitor)
        self.engine.weights.copy_(torch.tensor([*loss_weights(settings.loss).values()]))
        self.batches = Batches(data, settings)
        self.pool = MemoryPoolManager(settings.memory, pinned=self.device.type == "cuda")
        self.control = ControlQueue(settings)
        self._progress = _Progress()
        self._listeners: list[Listener] = []
        self._pause_after_step = False
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
                case Changes(values):
                    self._change(values)
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
                case Changes(values):
                    self._change(values)
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
        begin = time.perf_counter()
        training = self.settings.training
        rate = learning_rate(self._progress.step, training)
        self._let_cube_rest_if_due()
        with self.monitor.stage("data"):
            batches = [self._next_batch() for _ in range(training.accumulation_steps)]
        result = self.engine.step(batches, rate, linear_path_share(self._progress.step, training))
        stages = self.monitor.collect()
        if not result.is_finite:
            self._set_state(
                TrainerState.PAUSED,
                f"the loss or gradient of step {self._progress.step + 1} is not finite "
                f"(total {result.total}); the step was not applied. Lower the learning rate or a loss "
                "weight, then resume, or go back to a checkpoint",
            )
            return None
        self._progress.step += 1
        seconds = time.perf_counter() - begin
        weights = loss_weights(self.settings.loss)
        event = StepEvent(
            step=self._progress.step,
            losses=result.losses,
            weighted={name: weights[name] * value for name, value in result.losses.items()},
            total=result.total,
            learning_rate=rate,
            gradient_norm=result.gradient_norm,
            seconds=seconds,
            stages=stages,
            too_slow=seconds * 1e3 > self.settings.lattice.target_performance_ms,
        )
        self._tell(event)
        return event

    def _let_cube_rest_if_due(self) -> None:
        self.engine.let_rest(self._cube_rests)

    @property
    def _cube_rests(self) -> bool:
        return self._progress.step < self.settings.training.codec_steps

    def _next_batch(self) -> Tensor:
        with self.pool.buffer(self.batches.shape) as staged:
            self.batches.fill(staged.numpy())
            return staged.to(self.device, copy=True)

    def _change(self, values: Mapping[str, Any]) -> None:
        """Let live changes take effect now."""
        before, after = self.settings, with_changes(self.settings, values)
        for key, (old, new) in differences(before, after).items():
            self._progress.changes.append({"step": self._progress.step, "key": key, "old": old, "new": new})
            self._tell(ChangeEvent(self._progress.step, key, old, new))
        self.settings = self.engine.settings = after
        self.engine.weights.copy_(torch.tensor([*loss_weights(after.loss).values()]))
        if after.gate != before.gate:
            self.model.set_temperature(after.gate.temperature)
        if after.lattice != before.lattice:
            self.model.set_lattice(after.lattice)
            self.engine.forget_graph()

    def _calibrate(self) -> None:
        """Let the chunker time forward and backward on the first rows; no weight changes."""
        rows = slice(0, self.settings.training.batch_size)
        batch = rows_to_tensor(self.data.train, rows, self.device)

        def time_once() -> float:
            begin = time.perf_counter()
            _, total = self.engine.compute(batch)
            torch.autograd.grad(total, self.engine.parameters, allow_unused=True)
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            return time.perf_counter() - begin

        self.model.lattice.chunker.calibrate(time_once, self.settings.lattice.cell_count)

    # Validation.

    def _validate_if_due(self, *, now: bool = False) -> None:
        due = self._progress.step % self.settings.training.validate_every == 0
        if due != now:
            # The validation that follows a stop is part of it, and is made whole.
            with suppress(_ValidationStoppedError):
                self.validate(until_stop=not self.control.stop_requested)

    @torch.no_grad()
    def validate(self, *, until_stop: bool = False) -> ValidationEvent:
        """Measure all losses and the reconstruction on the held-out data, and tell the listeners.

        In float32, whatever ``training.precision`` is.

        With ``until_stop``, a stop ends it between two batches with an exception.
        """
        self._let_cube_rest_if_due()
        embeddings = self.data.validation
        sums = dict.fromkeys(LOSS_NAMES, 0.0)
        reconstruction = ReconstructionSums(embeddings, self.device)
        for batch, output in self._carried(embeddings):
            if until_stop and self.control.stop_requested:
                raise _ValidationStoppedError
            reconstruction.add(batch, output.embeddings)
            for name, value in self.engine.losses_of(batch, output).items():
                sums[name] += float(value) * len(batch)
        losses = {name: value / len(embeddings) for name, value in sums.items()}
        weights = loss_weights(self.settings.loss)
        weighted = {name: weights[name] * value for name, value in losses.items()}
        total = sum(weighted.values())
        improved = total < self._progress.best_validation
        if improved:
            self._progress.best_validation = total
            self._progress.best_step = self._progress.step
            self._progress.validations_without_improvement = 0
        else:
            self._progress.validations_without_improvement += 1
        event = ValidationEvent(
            self._progress.step, losses, weighted, total, reconstruction.measures(), improved
        )
        self._tell(event)
        return event

    @torch.no_grad()
    def measure(self, embeddings: Embeddings) -> ReconstructionMeasures:
        """Measure the student's reconstruction of embeddings (n, D)."""
        reconstruction = ReconstructionSums(embeddings, self.device)
        for batch, output in self._carried(embeddings):
            reconstruction.add(batch, output.embeddings)
        return reconstruction.measures()

    def _carried(self, embeddings: Embeddings) -> Iterator[tuple[Tensor, StudentOutput]]:
        """Yield embeddings part by part, on the device, with what the student makes of them."""
        size = self.settings.training.batch_size
        for rows in parts(len(embeddings), size, _SMALLEST_VALIDATION_BATCH):
            batch = rows_to_tensor(embeddings, rows, self.device)
            yield batch, self.model(batch, steps=self.engine.lattice_steps)

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
        optimizer, optimizer_description = flatten_optimizer(self.optimizer.state_dict())
        random = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            random["cuda"] = torch.cuda.get_rng_state(self.device)
        progress = self._progress
        state = {
            "step": progress.step,
            "best_validation": best if math.isfinite(best := progress.best_validation) else None,
            "best_step": progress.best_step,
            "validations_without_improvement": progress.validations_without_improvement,
            "changes": progress.changes,
            "order": self.batches.state(),
            "optimizer": optimizer_description,
            "block_cells": self.model.lattice.chunker.block_cells,
        }
        tensors = {"model": self.model.state_dict(), "optimizer": optimizer, "random": random}
        save_checkpoint(folder, tensors, state, self.settings)
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
        trainer._restore(saved.tensors, saved.state, folder)
        return trainer

    def _restore(
        self, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any], folder: Path
    ) -> None:
        try:
            progress, optimizer = check_training(tensors, state, self.model, self.optimizer)
            self.model.load_state_dict(tensors["model"])
            _place_rates(optimizer, self.device)
            self.optimizer.load_state_dict(optimizer)
            self.batches.restore(progress.order.model_dump())
            best = progress.best_validation
            self._progress = _Progress(
                step=progress.step,
                best_validation=float("inf") if best is None else best,
                best_step=progress.best_step,
                validations_without_improvement=progress.validations_without_improvement,
                changes=[change.model_dump() for change in progress.changes],
            )
            self.model.lattice.chunker.block_cells = progress.block_cells
            torch.set_rng_state(tensors["random"]["cpu"])
            if self.device.type == "cuda" and "cuda" in tensors["random"]:
                torch.cuda.set_rng_state(tensors["random"]["cuda"], self.device)
        except (CheckpointError, RuntimeError) as error:
            raise CheckpointError(f"the checkpoint {folder} does not fit this training: {error}") from error

    # Telling.

    def memory(self) -> dict[str, float]:
        """Return memory in MB: of the process and, on CUDA, of the device."""
        return memory_megabytes(self.device)

    def cache_statistics(self) -> dict[str, int]:
        """Return counted hits and misses of the caches; empty if ``optimizer.cache_statistics`` is off."""
        if not self.settings.optimizer.cache_statistics:
            return {}
        pool = self.pool.statistics()
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


def _place_rates(optimizer_state: dict[str, Any], device: torch.device) -> None:
    """Make the learning rates of a saved optimizer what this device's optimizer uses: tensor or number."""
    for group in optimizer_state["param_groups"]:
        rate = float(group["lr"])
        group["lr"] = torch.tensor(rate, device=device) if device.type == "cuda" else rate


def _check_data(data: TrainingData, settings: Settings) -> None:
    width = settings.embedding.teacher_width
    given = {"training": data.train, "validation": data.validation, "variant": data.variants}
    for name, embeddings in given.items():
        if embeddings is None:
            continue
        if embeddings.ndim != 2 or embeddings.shape[1] != width:
            raise DataError(
                f"the {name} embeddings have shape {embeddings.shape}, but embedding.teacher_width is "
                f"{width}"
            )
        if embeddings.dtype != np.float32:
            raise DataError(f"the {name} embeddings are {embeddings.dtype}; convert them to float32")
        for rows in parts(len(embeddings), _ROWS_CHECKED_AT_ONCE):
            bad = np.flatnonzero(~np.isfinite(embeddings[rows]).all(axis=1))
            if len(bad):
                raise DataError(
                    f"row {rows.start + bad[0]} of the {name} embeddings is not finite; "
                    "leave that sentence out or embed it anew"
                )
    if len(data.validation) < _SMALLEST_VALIDATION_BATCH:
        raise DataError(f"validation needs at least {_SMALLEST_VALIDATION_BATCH} sentences")
