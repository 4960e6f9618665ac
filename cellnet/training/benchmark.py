"""Figures for speed and numerical error, on fresh random input."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np
import torch

from cellnet.device import describe_device, open_device
from cellnet.settings import Settings
from cellnet.student.student import CellNet
from cellnet.training.data import TrainingData
from cellnet.training.monitor import memory_megabytes
from cellnet.training.trainer import EmbeddingTrainer


@dataclass(frozen=True)
class StepTimes:
    """Times of whole training steps (data to update), in milliseconds, and memory in MB."""

    device: str
    precision: str
    engine: str
    batch: int
    dimensions: tuple[int, int, int]
    steps: int
    median_ms: float
    fastest_ms: float
    slowest_ms: float
    memory: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def random_data(settings: Settings, rows: int) -> TrainingData:
    """Return unit-variance random embeddings with a few strong directions, as real ones have."""
    generator = np.random.default_rng(settings.init.seed)
    width = settings.embedding.teacher_width
    mixing = generator.standard_normal((width, width)) / np.sqrt(np.arange(1, width + 1))[:, None]
    both = (generator.standard_normal((rows, width)) @ mixing).astype(np.float32)
    return TrainingData(train=both[: -rows // 4], validation=both[-rows // 4 :])


def measure_step_time(settings: Settings, *, steps: int = 20, warmup: int = 5) -> StepTimes:
    """Time training steps on random data, each ended by reading its losses on the host."""
    trainer = EmbeddingTrainer(settings, random_data(settings, max(64, 4 * settings.training.batch_size)))
    seconds = []
    for step in range(warmup + steps):
        begin = time.perf_counter()
        trainer.step()
        if step >= warmup:
            seconds.append(time.perf_counter() - begin)
    return StepTimes(
        device=describe_device(trainer.device),
        precision=settings.training.precision,
        engine=trainer.learner.engine.name,
        batch=settings.training.batch_size,
        dimensions=settings.lattice.dimensions,
        steps=steps,
        median_ms=median(seconds) * 1e3,
        fastest_ms=min(seconds) * 1e3,
        slowest_ms=max(seconds) * 1e3,
        memory=memory_megabytes(trainer.device),
    )


def measure_error(settings: Settings, *, batch: int = 4) -> dict[str, float]:
    """Compare output and gradient on the settings' device with a float64 reference on the CPU.

    Weights and input are random; every layer that starts at zero is drawn anew, so that all experts act.

    Returns:
        ``output`` and ``gradient``: relative error ``||x - reference|| / ||reference||``.
    """
    device = open_device(settings)
    torch.manual_seed(settings.init.seed)
    model = CellNet(settings)
    for parameter in model.parameters():
        if not parameter.detach().any():
            torch.nn.init.normal_(parameter, std=0.05)
    embeddings = torch.randn(batch, settings.embedding.teacher_width)
    direction = torch.randn(batch, settings.embedding.teacher_width)
    reference = CellNet(settings).double()
    reference.load_state_dict(model.state_dict())
    model.to(device)
    results = []
    for student, place, kind in ((model, device, torch.float32), (reference, "cpu", torch.float64)):
        mixed = settings.training.precision == "bfloat16" and kind is torch.float32
        with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
            answer = student.learn(embeddings.to(place, kind)).embeddings
        (answer * direction.to(place, kind)).sum().backward()
        gradient = torch.cat([p.grad.flatten() for p in student.parameters() if p.grad is not None])
        results.append((answer.detach().double().cpu(), gradient.double().cpu()))
    (output, gradient), (output_64, gradient_64) = results
    return {
        "output": float((output - output_64).norm() / output_64.norm()),
        "gradient": float((gradient - gradient_64).norm() / gradient_64.norm()),
    }
