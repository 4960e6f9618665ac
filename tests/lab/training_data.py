"""A small made-up training for the lab's tests, and a service that trains on it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from cellnet.inspection import FloatArray
from cellnet.settings import Settings, preset, with_changes
from cellnet.training import TrainingData
from cellnet.training.data import Progress
from lab.training import TrainingService

WIDTH = 24
PATIENCE = 60.0
SMALL = {
    "lattice.dimensions": (4, 4, 4),
    "lattice.adaptive_radius_ratio": 0.45,
    "model.state_size": 8,
    "model.steps": 3,
    "local.hidden_size": 8,
    "functional.hidden_size": 8,
    "distant.hidden_size": 8,
    "gate.hidden_size": 8,
    "embedding.teacher_width": WIDTH,
    "training.batch_size": 8,
    "device.threads": 1,
    "training.max_steps": 100_000,
    "training.validate_every": 5,
    "training.checkpoint_every": 1000,
}


def small_settings(**training: object) -> Settings:
    changes = {f"training.{name}": value for name, value in training.items()}
    return with_changes(preset("quickstart"), SMALL | changes)


def made_up_data(
    settings: Settings, *, progress: Progress, should_stop: Callable[[], bool]
) -> TrainingData:
    rng = np.random.default_rng(0)
    basis = rng.normal(size=(6, WIDTH))
    rows = (np.tanh(rng.normal(size=(80, 6))) @ basis).astype(np.float32)
    texts = tuple(f"Sentence number {row} of a set that nobody has ever written down." for row in range(80))
    progress("embedding training sentences", 64, 64)
    return TrainingData(rows[:64], rows[64:], texts[:64], texts[64:])


def small_service(runs: Path, **arguments: object) -> TrainingService:
    return TrainingService(runs, **({"draft": small_settings(), "prepare": made_up_data} | arguments))  # type: ignore[arg-type]


class MadeUpTeacher:
    """Embeds each text by a seed drawn from it, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, settings: Settings, texts: Sequence[str]) -> FloatArray:
        self.asked.append(tuple(texts))
        seeds = [sum(text.encode()) for text in texts]
        return np.stack([np.random.default_rng(s).normal(size=WIDTH) for s in seeds]).astype(np.float32)
