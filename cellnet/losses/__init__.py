"""The six losses. To add a seventh, write its class and add one line to the table in `make_losses`."""

from __future__ import annotations

from torch import Tensor

from cellnet.losses.base import Loss, LossInput
from cellnet.losses.fidelity import DiversityLoss, ReconstructionLoss, SimilarityLoss
from cellnet.losses.lattice import EmergenceLoss, LatticeDynamicsLoss, SpatialConsistencyLoss
from cellnet.settings import LossSettings

LOSS_NAMES = (
    "reconstruction",
    "similarity",
    "diversity",
    "emergence",
    "lattice_dynamics",
    "spatial_consistency",
)


def make_losses(settings: LossSettings) -> dict[str, Loss]:
    """Return the six losses by name."""
    losses: tuple[Loss, ...] = (
        ReconstructionLoss(),
        SimilarityLoss(),
        DiversityLoss(),
        EmergenceLoss(settings.emergence_amplitude),
        LatticeDynamicsLoss(),
        SpatialConsistencyLoss(),
    )
    return dict(zip(LOSS_NAMES, losses, strict=True))


def loss_weights(settings: LossSettings) -> dict[str, float]:
    """Return the weight of each loss by name."""
    return {name: getattr(settings, name) for name in LOSS_NAMES}


def total_loss(raw: dict[str, Tensor], weights: Tensor) -> Tensor:
    """Return the weighted sum of raw losses; ``weights`` (6,) are in the order of `LOSS_NAMES`."""
    total = weights.new_zeros(())
    for weight, name in zip(weights, LOSS_NAMES, strict=True):
        total = total + weight * raw[name]
    return total


__all__ = [
    "LOSS_NAMES",
    "DiversityLoss",
    "EmergenceLoss",
    "LatticeDynamicsLoss",
    "Loss",
    "LossInput",
    "ReconstructionLoss",
    "SimilarityLoss",
    "SpatialConsistencyLoss",
    "loss_weights",
    "make_losses",
    "total_loss",
]
