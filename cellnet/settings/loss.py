"""The table of the losses, and the settings that follow from it: the weight of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import create_model

from cellnet.settings.base import SettingsGroup, setting


@dataclass(frozen=True)
class LossLine:
    """One line of the table of losses.

    Attributes:
        loss: where its class is, ``module:name``; it is imported where losses are computed, so that
            settings alone need no PyTorch.
        weight: the default of its weight, ``loss.NAME``.
        measures: what it measures, for the help of its weight.
    """

    loss: str
    weight: float
    measures: str


LOSSES: dict[str, LossLine] = {
    "reconstruction": LossLine(
        "cellnet.losses.fidelity:ReconstructionLoss", 1.0, "the unexplained variance"
    ),
    "similarity": LossLine("cellnet.losses.fidelity:SimilarityLoss", 0.5, "the cosine losses"),
    "diversity": LossLine("cellnet.losses.fidelity:DiversityLoss", 0.1, "the variance hinge"),
    "emergence": LossLine(
        "cellnet.losses.lattice:EmergenceLoss",
        0.1,
        "the loss that asks the interior for a rich answer to each input",
    ),
    "lattice_dynamics": LossLine(
        "cellnet.losses.lattice:LatticeDynamicsLoss",
        0.1,
        "the loss that lets the lattice change first and settle later",
    ),
    "spatial_consistency": LossLine(
        "cellnet.losses.lattice:SpatialConsistencyLoss", 0.05, "Geary's C over face neighbors"
    ),
}
"""All losses by name. A further loss is a class (see `cellnet.losses.Loss`) and one line here."""

LOSS_NAMES: tuple[str, ...] = tuple(LOSSES)

if TYPE_CHECKING:

    class _Weights(SettingsGroup):
        # A type checker cannot read the table: it takes every other attribute for a weight.
        def __getattr__(self, name: str) -> float: ...

else:
    _Weights = create_model(
        "_Weights",
        __base__=SettingsGroup,
        **{
            name: (
                float,
                setting(
                    line.weight,
                    label=name.replace("_", " ").capitalize(),
                    help=f"Weight of {line.measures}.",
                    live=True,
                    ge=0.0,
                    le=1e3,
                ),
            )
            for name, line in LOSSES.items()
        },
    )


class LossSettings(_Weights):
    """Weights of the losses. Each loss is dimensionless and about 1 when bad."""

    emergence_amplitude: float = setting(
        0.1,
        label="Emergence amplitude",
        help="Interior change, relative to its start, under which the emergence loss asks for more.",
        gt=0.0,
        le=10.0,
    )
