"""The state of a training: its progress, and how all of it is written to a checkpoint and read again."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from cellnet.checkpoints import check_training, flatten_optimizer, save_checkpoint
from cellnet.checkpoints.files import Checkpoint
from cellnet.errors import CheckpointError
from cellnet.student.student import CellNet
from cellnet.training.learner import Learner


@dataclass
class Progress:
    """The progress of a training, apart from weights."""

    step: int = 0
    best_validation: float = float("inf")
    best_step: int | None = None
    validations_without_improvement: int = 0
    changes: list[dict[str, Any]] = field(default_factory=list)

    def add_validation(self, total: float) -> bool:
        """Take down the total of a validation; return whether it is the best so far."""
        improved = total < self.best_validation
        if improved:
            self.best_validation, self.best_step = total, self.step
            self.validations_without_improvement = 0
        else:
            self.validations_without_improvement += 1
        return improved


def save_state(folder: Path, learner: Learner[CellNet], progress: Progress) -> None:
    """Write everything needed to go on from here (see `cellnet.checkpoints`)."""
    optimizer, optimizer_description = flatten_optimizer(learner.optimizer.state_dict())
    random = {"cpu": torch.get_rng_state()}
    if learner.device.type == "cuda":
        random["cuda"] = torch.cuda.get_rng_state(learner.device)
    state = {
        "step": progress.step,
        "best_validation": best if math.isfinite(best := progress.best_validation) else None,
        "best_step": progress.best_step,
        "validations_without_improvement": progress.validations_without_improvement,
        "changes": progress.changes,
        "order": learner.batches.state(),
        "optimizer": optimizer_description,
        "block_cells": learner.model.lattice.chunker.block_cells,
    }
    tensors = {"model": learner.model.state_dict(), "optimizer": optimizer, "random": random}
    save_checkpoint(folder, tensors, state, learner.settings)


def restore_state(saved: Checkpoint, learner: Learner[CellNet], folder: Path) -> Progress:
    """Bring a learner, and the random generators, to a saved state; return the progress.

    Raises:
        CheckpointError: if the checkpoint in ``folder`` does not fit the learner.
    """
    tensors, chunker = saved.tensors, learner.model.lattice.chunker
    try:
        progress, optimizer = check_training(tensors, saved.state, learner.model, learner.optimizer)
        learner.model.load_state_dict(tensors["model"])
        _place_rates(optimizer, learner.device)
        learner.optimizer.load_state_dict(optimizer)
        learner.batches.restore(progress.order.model_dump())
        chunker.block_cells = progress.block_cells
        torch.set_rng_state(tensors["random"]["cpu"])
        if learner.device.type == "cuda" and "cuda" in tensors["random"]:
            torch.cuda.set_rng_state(tensors["random"]["cuda"], learner.device)
    except (CheckpointError, RuntimeError) as error:
        raise CheckpointError(f"the checkpoint {folder} does not fit this training: {error}") from error
    best = progress.best_validation
    return Progress(
        step=progress.step,
        best_validation=float("inf") if best is None else best,
        best_step=progress.best_step,
        validations_without_improvement=progress.validations_without_improvement,
        changes=[change.model_dump() for change in progress.changes],
    )


def _place_rates(optimizer_state: dict[str, Any], device: torch.device) -> None:
    """Make the learning rates of a saved optimizer what this device's optimizer uses: tensor or number."""
    for group in optimizer_state["param_groups"]:
        rate = float(group["lr"])
        group["lr"] = torch.tensor(rate, device=device) if device.type == "cuda" else rate
