"""A student and everything that its optimizer steps need."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from cellnet.settings import Settings
from cellnet.student.base import Student
from cellnet.training.data import Batches, TrainingData
from cellnet.training.engine import ENGINES, StepResult, choose_engine, make_optimizer
from cellnet.training.memory import MemoryPoolManager
from cellnet.training.monitor import PerformanceMonitor
from cellnet.training.schedule import learning_rate, linear_path_share

AnyStudent = TypeVar("AnyStudent", bound=Student)


@dataclass(frozen=True)
class Lesson:
    """One step: its result, learning rate, wall time and wall time of each stage, in seconds."""

    result: StepResult
    learning_rate: float
    seconds: float
    stages: dict[str, float]


class Learner(Generic[AnyStudent]):
    """A student with its batches, optimizer and engine; the same for every kind of student.

    It sets up nothing for the whole process, so that several can work side by side.

    Args:
        model: the student.
        data: what it is trained on.
        settings: of the training.
        device: where the work runs.

    Raises:
        DataError: if the data do not fill a batch.
        DeviceError: if the engine that the settings name cannot run on the device.
    """

    def __init__(
        self, model: AnyStudent, data: TrainingData, settings: Settings, device: torch.device
    ) -> None:
        self.model = model.to(device)
        self.settings = settings
        self.device = device
        self.optimizer = make_optimizer(model, settings, device)
        self.monitor = PerformanceMonitor(device, enabled=settings.optimizer.performance_monitoring_enabled)
        engine = ENGINES[choose_engine(settings, device)]
        self.engine = engine(model, self.optimizer, settings, device, self.monitor)
        self.batches = Batches(data, settings)
        self.pool = MemoryPoolManager(settings.memory, pinned=device.type == "cuda")

    def step(self, number: int) -> Lesson:
        """Make step ``number`` (the first is 0); one that is not finite changes no weight."""
        begin = time.perf_counter()
        training = self.settings.training
        rate = learning_rate(number, training)
        self.let_body_rest_if_due(number)
        with self.monitor.stage("data"):
            batches = [self._next_batch() for _ in range(training.accumulation_steps)]
        result = self.engine.step(batches, rate, linear_path_share(number, training))
        stages = self.monitor.collect()
        return Lesson(result, rate, time.perf_counter() - begin, stages)

    def let_body_rest_if_due(self, number: int) -> None:
        """Let the body rest in the first ``training.codec_steps`` steps, and work from then on."""
        self.engine.let_rest(number < self.settings.training.codec_steps)

    def change(self, settings: Settings) -> None:
        """Let live changes take effect from the next step on."""
        self.engine.set_weights(settings.loss)
        self.model.follow(settings)
        if settings.lattice != self.settings.lattice:
            self.engine.invalidate()
        self.settings = settings

    def _next_batch(self) -> Tensor:
        with self.pool.buffer(self.batches.shape) as staged:
            self.batches.fill(staged.numpy())
            return staged.to(self.device, copy=True)
