"""Training: data, engine, loop, events and control."""

from cellnet.training.data import TrainingData, prepare_data
from cellnet.training.events import (
    ChangeEvent,
    CheckpointEvent,
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
    "StateEvent",
    "StepEvent",
    "TrainerEvent",
    "TrainerState",
    "TrainingData",
    "TrainingSession",
    "ValidationEvent",
    "prepare_data",
]
