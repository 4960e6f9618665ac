"""Similarity of the experts: centered kernel alignment between their proposals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cellnet.inspection.carrier import carry
from cellnet.measures import Embeddings
from cellnet.student.student import CellNet

Wide = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ExpertMeasures:
    """Measures of the experts on a set of sentences; the order is that of the table of experts.

    Attributes:
        similarity: linear CKA between the experts' proposals at each step, (T, E, E); NaN where an expert
            proposes the same for all cells and sentences.
        output_norms: rms of what each expert proposes at each step, before the gate, (T, E).
        gate_mean: mean weight of each expert at each step, (T, E).
        sentences: how many.
    """

    similarity: Wide
    output_norms: Wide
    gate_mean: Wide
    sentences: int


def linear_cka(x: npt.NDArray[np.floating], y: npt.NDArray[np.floating]) -> float:
    """Linear CKA (Kornblith et al., 2019) between representations x (n, p) and y (n, q) of n examples.

    ``|Y'X|^2 / (|X'X| |Y'Y|)`` with centered columns and Frobenius norms: 1 if one is the other but for a
    rotation, a shift and a scale, 0 if no direction of one goes with one of the other; NaN if one never
    changes.

    Raises:
        ValueError: if they are not of the same examples.
    """
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y):
        raise ValueError(f"{x.shape} and {y.shape} are not two representations of the same examples")
    both = np.concatenate([x, y], axis=1, dtype=np.float64)
    both -= both.mean(axis=0)
    covariance = both.T @ both
    width = x.shape[1]
    return float(_cka(covariance[None], (slice(0, width), slice(width, None)))[0, 0, 1])


@torch.no_grad()
def measure_experts(
    model: CellNet,
    embeddings: Embeddings,
    *,
    surfaces: Embeddings | None = None,
) -> ExpertMeasures:
    """Measure what the experts propose for teacher embeddings (n, D), on the model's device.

    An example is one cell with one sentence, so that CKA compares n * N rows of C channels; only moments
    are kept of them. All T steps are made.

    Args:
        model: the student.
        embeddings: of the sentences.
        surfaces: their codes (n, e, e), where they are known already.

    Raises:
        ValueError: if the embeddings are not (n, D) with n >= 1.
    """
    width = model.settings.embedding.teacher_width
    if embeddings.ndim != 2 or embeddings.shape[1] != width or not len(embeddings):
        raise ValueError(
            f"embeddings of shape {embeddings.shape} do not fit; give (n, {width}) with n >= 1"
        )
    device = next(model.parameters()).device
    steps, channels = model.settings.model.steps, model.settings.model.state_size
    count = len(model.lattice.tier_of)
    sums = torch.zeros(steps, count * channels, dtype=torch.float64, device=device)
    moments = torch.zeros(steps, count * channels, count * channels, dtype=torch.float64, device=device)
    gates = torch.zeros(steps, count, dtype=torch.float64, device=device)
    examples = len(embeddings) * model.settings.lattice.cell_count
    for part in carry(model, embeddings, surfaces=surfaces):
        for step, trace in enumerate(part.output.lattice.trace):
            proposals = trace.changes.flatten(2).flatten(0, 1).double()
            sums[step] += proposals.sum(dim=0)
            moments[step] += proposals.T @ proposals
            gates[step] += trace.gate.double().sum(dim=(0, 1))
    squares = moments.diagonal(dim1=1, dim2=2).unflatten(1, (count, channels)).sum(dim=2)
    covariance = moments - sums[:, :, None] * sums[:, None, :] / examples
    blocks = tuple(slice(place * channels, (place + 1) * channels) for place in range(count))
    return ExpertMeasures(
        similarity=_cka(_host(covariance), blocks),
        output_norms=np.sqrt(_host(squares) / (examples * channels)),
        gate_mean=_host(gates) / examples,
        sentences=len(embeddings),
    )


def _cka(covariance: Wide, blocks: tuple[slice, ...]) -> Wide:
    """CKA between blocks of columns, (T, K, K), from the centered moments (T, P, P) of all columns."""
    count = len(blocks)
    sizes = np.empty((len(covariance), count, count))
    for one, first in enumerate(blocks):
        for other, second in enumerate(blocks):
            sizes[:, one, other] = np.square(covariance[:, first, second]).sum(axis=(1, 2))
    own = np.sqrt(np.diagonal(sizes, axis1=1, axis2=2))
    scale = own[:, :, None] * own[:, None, :]
    result: Wide = np.divide(sizes, scale, out=np.full_like(sizes, np.nan), where=scale > 0)
    return result


def _host(values: Tensor) -> Wide:
    array: Wide = values.cpu().numpy()
    return array
