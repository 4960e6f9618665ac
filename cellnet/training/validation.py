"""Losses and reconstruction on held-out data."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from cellnet.measures import Embeddings, ReconstructionMeasures, ReconstructionSums, parts, rows_to_tensor
from cellnet.student.student import CellNet, StudentOutput
from cellnet.training.data import SMALLEST_VALIDATION
from cellnet.training.learner import Learner


class ValidationStoppedError(Exception):
    """A stop was requested in the middle of a validation."""


@torch.no_grad()
def measure_losses(
    learner: Learner[CellNet], embeddings: Embeddings, should_stop: Callable[[], bool]
) -> tuple[dict[str, float], ReconstructionMeasures]:
    """Measure all losses, means over the batches, and the reconstruction of embeddings (n, D).

    In float32, whatever ``training.precision`` is.

    Raises:
        ValidationStoppedError: if ``should_stop`` says so before a batch.
    """
    sums = dict.fromkeys(learner.engine.losses, 0.0)
    reconstruction = ReconstructionSums(embeddings, learner.device)
    for batch, output in _answers(learner, embeddings):
        if should_stop():
            raise ValidationStoppedError
        reconstruction.add(batch, output.embeddings)
        for name, value in learner.engine.losses_of(batch, output).items():
            sums[name] += float(value) * len(batch)
    return {name: value / len(embeddings) for name, value in sums.items()}, reconstruction.measures()


@torch.no_grad()
def measure_student(learner: Learner[CellNet], embeddings: Embeddings) -> ReconstructionMeasures:
    """Measure the student's reconstruction of embeddings (n, D)."""
    reconstruction = ReconstructionSums(embeddings, learner.device)
    for batch, output in _answers(learner, embeddings):
        reconstruction.add(batch, output.embeddings)
    return reconstruction.measures()


def _answers(learner: Learner[CellNet], embeddings: Embeddings) -> Iterator[tuple[Tensor, StudentOutput]]:
    """Yield embeddings part by part, on the device, with the student's answer to them."""
    steps = 0 if learner.engine.body_rests else None
    for rows in parts(len(embeddings), learner.settings.training.batch_size, SMALLEST_VALIDATION):
        batch = rows_to_tensor(embeddings, rows, learner.device)
        yield batch, learner.model(batch, steps=steps)
