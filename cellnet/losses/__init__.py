"""The losses by name. A further one is a class and one line in `cellnet.settings.LOSSES`."""

from __future__ import annotations

from pkgutil import resolve_name

from torch import Tensor

from cellnet.losses.base import Loss, LossInput
from cellnet.losses.fidelity import DiversityLoss, ReconstructionLoss, SimilarityLoss
from cellnet.losses.lattice import EmergenceLoss, LatticeDynamicsLoss, SpatialConsistencyLoss
from cellnet.settings import LOSS_NAMES, LOSSES, LossSettings


def make_losses(settings: LossSettings, *, lattice: bool = True) -> dict[str, Loss]:
    """Return the losses by name.

    Args:
        settings: what the losses are made from.
        lattice: whether there is a lattice to measure; without one, losses that need it are left out.
    """
    kinds: dict[str, type[Loss]] = {name: resolve_name(line.loss) for name, line in LOSSES.items()}
    return {
        name: kind.made_from(settings) for name, kind in kinds.items() if lattice or not kind.needs_lattice
    }


def loss_weights(settings: LossSettings) -> dict[str, float]:
    """Return the weight of each loss by name."""
    return {name: getattr(settings, name) for name in LOSS_NAMES}


def total_loss(raw: dict[str, Tensor], weights: Tensor) -> Tensor:
    """Return the weighted sum of raw losses; ``weights`` (n,) are in the order of ``raw``."""
    total = weights.new_zeros(())
    for weight, value in zip(weights, raw.values(), strict=True):
        total = total + weight * value
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
