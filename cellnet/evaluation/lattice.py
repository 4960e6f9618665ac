"""Measures of the lattice on a sample of sentences: the value of each expert, the richness inside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cellnet.evaluation.intervals import Numbers
from cellnet.evaluation.neighbors import Progress
from cellnet.evaluation.scores import errors_and_cosines, host
from cellnet.inspection.similarity import ExpertMeasures, measure_experts
from cellnet.measures import Embeddings, parts, rows_to_tensor
from cellnet.student.damage import Intervention
from cellnet.student.experts import EXPERTS
from cellnet.student.student import CellNet

_INTERIOR_NUMBERS = 2**26


@dataclass(frozen=True)
class InteriorMeasures:
    """The number of directions of the interior's answer.

    With V = s_T - s_0 on the interior cells, flattened and centered over the sentences, and G = V V', the
    participation ratio is tr(G)^2 / sum(G * G): 1 if all sentences move the interior along one line,
    ``highest`` if they move it in all directions alike.

    Attributes:
        effective_dimension: the participation ratio; NaN if the interior does not move.
        highest: what it could be at most with as many sentences and cells.
        sentences: how many it was measured on.
    """

    effective_dimension: float
    highest: int
    sentences: int


@dataclass(frozen=True)
class LatticeMeasures:
    """Measures of the lattice on a sample of sentences.

    Attributes:
        intact_error: squared error of each sentence, all steps made, (n,).
        silenced_error: the same with one expert silenced.
        experts: what the experts propose.
        interior: how many directions the answer of the interior has; None for a cube without interior.
        sentences: how many.
    """

    intact_error: Numbers
    silenced_error: dict[str, Numbers]
    experts: ExpertMeasures
    interior: InteriorMeasures | None
    sentences: int

    def ablation(self, weights: Numbers) -> dict[str, Numbers]:
        """Return the relative rise of the squared error with each expert silenced.

        One for each row of weights (R, n), as (R,).
        """
        intact = weights @ self.intact_error
        return {name: weights @ error / intact - 1.0 for name, error in self.silenced_error.items()}


@torch.no_grad()
def measure_lattice(
    model: CellNet,
    embeddings: Embeddings,
    *,
    device: torch.device,
    batch_size: int = 64,
    progress: Progress | None = None,
) -> LatticeMeasures:
    """Measure what the lattice does on teacher embeddings (n, D), with all steps made.

    The effective dimension is measured on as many of them as have 2**26 interior numbers together.

    Args:
        model: the student, on ``device``.
        embeddings: of the sentences, n >= 1.
        device: where the work runs.
        batch_size: sentences in the cube at once; fewer of a large cube.
        progress: told how many sentences are done.
    """
    count = len(embeddings)
    intact = np.empty(count)
    silenced = {name: np.empty(count) for name in EXPERTS}
    numbers = len(model.interior) * model.settings.model.state_size
    moved_on = min(count, max(2, _INTERIOR_NUMBERS // numbers)) if numbers else 0
    moved, surfaces = [], []
    for rows in parts(count, model.sentences_at_once(batch_size)):
        target = rows_to_tensor(embeddings, rows, device)
        surface = model.put_on_surface(target)
        surfaces.append(surface.cpu())
        output = model.carry(surface, stop_early=False)
        intact[rows] = host(errors_and_cosines(output.embeddings, target)[0])
        if rows.start < moved_on:
            start, end = (x.of(model.interior) for x in (output.lattice.start, output.lattice.end))
            moved.append((end - start).transpose(0, 1)[: moved_on - rows.start].flatten(1))
        for name in EXPERTS:
            answer = model.carry(surface, intervention=Intervention(silenced={name})).embeddings
            silenced[name][rows] = host(errors_and_cosines(answer, target)[0])
        if progress is not None:
            progress(rows.stop, count)
    interior = None
    if moved_on:
        dimension = participation_ratio(torch.cat(moved))
        interior = InteriorMeasures(dimension, min(moved_on - 1, numbers), moved_on)
    experts = measure_experts(model, embeddings, surfaces=torch.cat(surfaces).numpy())
    return LatticeMeasures(intact, silenced, experts, interior, count)


def participation_ratio(values: Tensor) -> float:
    """Return tr(G)^2 / sum(G * G), G the Gram matrix of values (n, F) centered over n; NaN if all equal."""
    centered = values - values.mean(dim=0)
    gram = (centered @ centered.T if len(values) <= values.shape[1] else centered.T @ centered).double()
    squares = float(gram.square().sum())
    return float(gram.diagonal().sum()) ** 2 / squares if squares else float("nan")
