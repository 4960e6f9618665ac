"""The metrics of a training: their names, and their values in the events of a trainer."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Final

from cellnet.losses import LOSS_NAMES
from cellnet.measures import ReconstructionMeasures
from cellnet.training.events import StepEvent, ValidationEvent

TRAIN_NAMES: Final = (*LOSS_NAMES, "total", "learning_rate", "gradient_norm", "seconds")
"""Metrics of every step; with monitoring there are also ``seconds.STAGE``."""
VALIDATION_NAMES: Final = (*LOSS_NAMES, "total", *(field.name for field in fields(ReconstructionMeasures)))
"""Metrics of the held-out data."""


def train_metrics(event: StepEvent) -> dict[str, float]:
    """Return the metrics of a step by name."""
    named = {name: getattr(event, name) for name in TRAIN_NAMES if name not in event.losses}
    stages = {f"seconds.{stage}": seconds for stage, seconds in event.stages.items()}
    return event.losses | named | stages


def validation_metrics(event: ValidationEvent) -> dict[str, float]:
    """Return the metrics of a validation by name."""
    return event.losses | {"total": event.total} | asdict(event.measures)
