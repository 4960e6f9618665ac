"""A copy of the student that trains, taken by the training thread between two batches."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import torch
from torch import Tensor

from cellnet.settings import Settings
from cellnet.student.cube import Lattice3D
from cellnet.student.student import CellNet
from cellnet.training import TrainingSession


@dataclass(frozen=True, eq=False)
class ModelCopy:
    """The weights of a student at one moment, on the CPU; the training does not touch them.

    Attributes:
        run: id of the run.
        step: training steps made.
        settings: of the student at that moment, live changes included.
        weights: its state; what is built of it shares them.
        lattice: the cube that trains; only its connections are used, which never change.
        time: when it was taken, of `time.monotonic`.
    """

    run: str
    step: int
    settings: Settings
    weights: dict[str, Tensor]
    lattice: Lattice3D
    time: float = field(default_factory=time.monotonic)

    def build(self) -> CellNet:
        """Make the student, in evaluation mode; do it outside the training thread."""
        model = CellNet(self.settings)
        model.load_state_dict(self.weights, assign=True)
        model.lattice.borrow_connections(self.lattice)
        return model.eval()


@torch.no_grad()
def copy_model(session: TrainingSession) -> ModelCopy:
    """Copy the weights; call it in the training thread."""
    trainer = session.trainer
    weights = {name: tensor.to("cpu", copy=True) for name, tensor in trainer.model.state_dict().items()}
    return ModelCopy(session.run_id, trainer.step_count, trainer.settings, weights, trainer.model.lattice)
