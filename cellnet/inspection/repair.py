"""The effect of damage on embeddings in the cube, and the share of it that later steps repair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from cellnet.inspection.carrier import FloatArray, Inspection
from cellnet.lattice.geometry import TIERS, Dimensions
from cellnet.lattice.regions import near_cells, random_cells
from cellnet.measures import Embeddings, measure_reconstruction
from cellnet.student.damage import Intervention
from cellnet.student.experts import EXPERTS
from cellnet.student.student import CellNet

Wide = npt.NDArray[np.float64]
RANDOM_SHARES: Final = (0.05, 0.1, 0.2)


@dataclass(frozen=True)
class Repair:
    """The distance of damaged states from those of the intact run; arrays are float64, (B, T + 1).

    A distance is ||damaged - intact|| / ||intact||, over the channels of the cells in question.

    Attributes:
        total: over all cells.
        lesion: over the lesioned cells; None without a lesion.
        near: over the intact cells next to one of them; None if there are none.
        far: over all other cells; None without a lesion, or if there are none.
    """

    total: Wide
    lesion: Wide | None
    near: Wide | None
    far: Wide | None

    @property
    def healed(self) -> Wide:
        """Share (B,) of the greatest distance that is gone at the end; NaN without any distance."""
        return healed_share(self.total)


def healed_share(distance: Wide) -> Wide:
    """Return 1 - last / greatest of distances (B, T + 1) as (B,); NaN where all are zero."""
    worst = distance.max(axis=-1)
    with np.errstate(invalid="ignore"):
        share: Wide = np.where(worst > 0, 1.0 - distance[..., -1] / worst, np.nan)
    return share


def measure_repair(intact: Inspection, damaged: Inspection) -> Repair:
    """Compare two runs of the same embeddings through the same student.

    Raises:
        ValueError: if the runs are not of equal shape.
    """
    if intact.states.shape != damaged.states.shape:
        raise ValueError(
            f"states of shape {intact.states.shape} and {damaged.states.shape} cannot be compared; "
            "carry the same sentences through the same student"
        )
    everything = np.ones(intact.states.shape[2], dtype=np.bool_)
    cells = damaged.intervention.lesioned
    if not cells:
        return Repair(_distance(intact.states, damaged.states, everything), None, None, None)
    lesion = np.zeros_like(everything)
    lesion[list(cells)] = True
    near = near_cells(intact.dimensions, cells)
    parts = {"lesion": lesion, "near": near, "far": ~(lesion | near)}
    distances = {
        name: _distance(intact.states, damaged.states, part) if part.any() else None
        for name, part in parts.items()
    }
    return Repair(_distance(intact.states, damaged.states, everything), **distances)


def cell_difference(intact: FloatArray, damaged: FloatArray) -> FloatArray:
    """Return the rms over channels of damaged - intact: (..., C) becomes (...)."""
    difference: FloatArray = np.sqrt(np.square(damaged - intact).mean(axis=-1))
    return difference


def explained_variance(
    model: CellNet, embeddings: Embeddings, intervention: Intervention | None = None
) -> float:
    """Return the explained variance of a student on embeddings (n, D), all steps made, on its device.

    Raises:
        ValueError: if the intervention does not fit the student.
        DataError: if all embeddings are equal.
    """

    def carry(batch: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            output = model(batch, intervention=intervention, stop_early=False)
        answer: torch.Tensor = output.embeddings
        return answer

    device, at_once = next(model.parameters()).device, model.sentences_at_once(64)
    return measure_reconstruction(carry, embeddings, device=device, batch_size=at_once).explained_variance


def usual_damages(dimensions: Dimensions, seed: int = 0) -> dict[str, Intervention]:
    """Return damages to compare a student by: experts silenced, tiers cut, random cells lesioned.

    All act in every step.
    """
    silenced = {f"silence {name}": Intervention(silenced={name}) for name in EXPERTS}
    cut = {f"cut {tier}": Intervention(cut={tier}) for tier in TIERS}
    lesions = {
        f"lesion {share:.0%}": Intervention(lesioned=random_cells(dimensions, share, seed))
        for share in RANDOM_SHARES
    }
    return {**silenced, **cut, **lesions}


def damage_costs(
    model: CellNet, embeddings: Embeddings, damages: Mapping[str, Intervention]
) -> dict[str, float]:
    """Return by how much each damage lowers the explained variance on embeddings (n, D)."""
    intact = explained_variance(model, embeddings)
    return {name: intact - explained_variance(model, embeddings, what) for name, what in damages.items()}


def _distance(intact: FloatArray, damaged: FloatArray, part: npt.NDArray[np.bool_]) -> Wide:
    """Return the distance over some cells, (B, T + 1); 0 where neither run has anything."""
    wide = intact[:, :, part].astype(np.float64)
    difference = np.linalg.norm(damaged[:, :, part] - wide, axis=(2, 3))
    norm = np.linalg.norm(wide, axis=(2, 3))
    relative: Wide = np.divide(difference, norm, out=np.zeros_like(norm), where=norm > 0)
    return relative
