"""Losses on what happens inside the cube."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from cellnet.errors import TrainingError
from cellnet.losses.base import Loss, LossInput
from cellnet.settings import LossSettings

_SMALLEST = 1e-12
_SMALLEST_EMERGENCE_BATCH = 4
_MOST_DIRECTIONS = 32


class EmergenceLoss(Loss):
    """The interior must answer each input in its own, collective way.

    With V = s_T - s_0 on interior cells, flattened and centered over the batch, and G = V V', the
    participation ratio PR = tr(G)^2 / sum(G*G) counts the directions in which answers differ. The loss is
    1 - min(1, (PR - 1) / min(B - 2, 32)) + relu(1 - rms(s_T - s_0) / (amplitude * rms(s_0))). An interior
    that has not moved at all counts as PR = 1.

    Args:
        amplitude: change relative to the start under which the second part asks for more.

    Raises:
        TrainingError: for a batch below 4, where PR says nothing.
    """

    needs_lattice = True

    def __init__(self, amplitude: float) -> None:
        self.amplitude = amplitude

    @classmethod
    def made_from(cls, settings: LossSettings) -> Loss:
        return cls(settings.emergence_amplitude)

    def __call__(self, batch: LossInput) -> Float[Tensor, ""]:
        lattice = batch.lattice
        size = len(batch.target)
        if size < _SMALLEST_EMERGENCE_BATCH:
            raise TrainingError(
                f"the emergence loss needs a batch of at least {_SMALLEST_EMERGENCE_BATCH}, got {size}"
            )
        start, final = (
            states.of(batch.interior).float().transpose(0, 1) for states in (lattice.start, lattice.end)
        )
        change = final - start
        centered = (change - change.mean(dim=0)).flatten(1)
        gram = centered @ centered.T
        # Scaled to trace 1, so that squares neither underflow nor overflow.
        gram = gram / gram.diagonal().sum().clamp_min(_SMALLEST)
        ratio = gram.diagonal().sum().square() / gram.square().sum().clamp_min(_SMALLEST)
        spread = ((ratio - 1.0) / min(size - 2, _MOST_DIRECTIONS)).clamp(0.0, 1.0)
        moved = (change.square().mean() + _SMALLEST).sqrt() / (start.square().mean() + _SMALLEST).sqrt()
        return 1.0 - spread + torch.relu(1.0 - moved / self.amplitude)


class LatticeDynamicsLoss(Loss):
    """sum_t w_t r_t^2 with r_t = rms(s_t+1 - s_t) / rms(s_t): change first, settle later.

    The weights rise linearly, w_t = 2 (t + 1) / (T (T + 1)), and sum to 1. Mean over the batch; 0 without
    steps.
    """

    needs_lattice = True

    def __call__(self, batch: LossInput) -> Float[Tensor, ""]:
        squared = batch.lattice.relative_change.square().mean(dim=1)
        steps = len(squared)
        weights = torch.arange(1, steps + 1, device=squared.device, dtype=squared.dtype)
        return (weights * squared).sum() * 2.0 / max(1, steps * (steps + 1))


class SpatialConsistencyLoss(Loss):
    """Geary's C (Geary 1954) of the final states over face neighbors: 1 for noise, near 0 if smooth.

    C = (N - 1) sum_ij w_ij (x_i - x_j)^2 / (2 W sum_i (x_i - mean)^2), for each sample and channel, then
    averaged; w_ij = 1 for cells that share a face (open boundary), W = sum_ij w_ij.
    """

    needs_lattice = True

    def __call__(self, batch: LossInput) -> Float[Tensor, ""]:
        states = batch.lattice.final.float()
        grid = states.unflatten(1, batch.dimensions)
        differences = states.new_zeros(())
        pairs = 0
        for axis in (1, 2, 3):
            length = grid.shape[axis]
            step = grid.narrow(axis, 1, length - 1) - grid.narrow(axis, 0, length - 1)
            differences = differences + step.square().sum(dim=(1, 2, 3))
            pairs += states.shape[1] // length * (length - 1)
        spread = (states - states.mean(dim=1, keepdim=True)).square().sum(dim=1)
        # Each pair counts twice in sum_ij and in W, so the twos cancel but for the one in the formula.
        contiguity = (states.shape[1] - 1) * differences / (2 * pairs * spread.clamp_min(_SMALLEST))
        return contiguity.mean()
