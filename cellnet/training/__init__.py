"""Training: data, engine, loop, events and control."""

from cellnet.training.data import TrainingData, prepare_data
from cellnet.training.events import (
    ChangeEvent,
    CheckpointEvent,
    ReadoutEvent,
    StateEvent,
    StepEvent,
    TrainerEvent,
    TrainerState,
    ValidationEvent,
)
from cellnet.training.session import TrainingSession
from cellnet.training.trainer import EmbeddingTrainer

__all__ = [
    "ChangeEvent",
    "CheckpointEvent",
    "EmbeddingTrainer",
    "ReadoutEvent",
    "StateEvent",
    "StepEvent",
    "TrainerEvent",
    "TrainerState",
    "TrainingData",
    "TrainingSession",
    "ValidationEvent",
    "prepare_data",
]
