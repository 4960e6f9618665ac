"""Honest measures of a reconstruction, computed over a whole set and never trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from cellnet.errors import DataError

Embeddings = npt.NDArray[np.float32]

NEIGHBORS = 10
_COSINES_AT_ONCE = 2**24


@dataclass(frozen=True)
class ReconstructionMeasures:
    """How well a set of embeddings was given back.

    Attributes:
        explained_variance: 1 - squared error / squared distance from the set's own mean.
        mse: mean squared error over all entries.
        mean_cosine: mean cosine between each embedding and its reconstruction.
        mean_vector_cosine: mean cosine between each embedding and the set's mean vector, the score of
            a constant answer.
    """

    explained_variance: float
    mse: float
    mean_cosine: float
    mean_vector_cosine: float


def parts(count: int, size: int, smallest: int = 1) -> Iterator[slice]:
    """Cut ``count`` rows into nearly equal slices: none below ``smallest``, then none above ``size``."""
    pieces = max(1, min(-(-count // size), count // smallest))
    bounds = np.linspace(0, count, pieces + 1).round().astype(int)
    for start, end in pairwise(bounds):
        yield slice(int(start), int(end))


def rows_to_tensor(embeddings: Embeddings, rows: slice, device: torch.device) -> Tensor:
    """Copy rows of a (possibly memory-mapped) array to the device."""
    return torch.from_numpy(np.array(embeddings[rows], dtype=np.float32)).to(device)


def measure_reconstruction(
    reconstruct: Callable[[Tensor], Tensor],
    embeddings: Embeddings,
    *,
    device: torch.device,
    batch_size: int = 256,
) -> ReconstructionMeasures:
    """Measure ``reconstruct`` (B, D) -> (B, D) over embeddings (n, D), with sums in float64.

    Raises:
        DataError: if all embeddings are equal, so that there is no variance to explain.
    """
    mean = torch.from_numpy(embeddings.mean(axis=0, dtype=np.float64)).to(device)
    error = spread = cosine = mean_cosine = 0.0
    for rows in parts(len(embeddings), batch_size):
        target = rows_to_tensor(embeddings, rows, device)
        answer = reconstruct(target).double()
        wide = target.double()
        error += float((answer - wide).square().sum())
        spread += float((wide - mean).square().sum())
        cosine += float(F.cosine_similarity(answer, wide).sum())
        mean_cosine += float(F.cosine_similarity(mean.expand_as(wide), wide).sum())
    if spread == 0.0:
        raise DataError("all embeddings are equal, so there is no variance to explain; give more sentences")
    count = len(embeddings)
    return ReconstructionMeasures(
        explained_variance=1.0 - error / spread,
        mse=error / embeddings.size,
        mean_cosine=cosine / count,
        mean_vector_cosine=mean_cosine / count,
    )


@torch.no_grad()
def measure_neighborhoods(
    student: Embeddings, teacher: Embeddings, *, device: torch.device
) -> tuple[float, float]:
    """Return how well reconstructions keep the neighborhoods of their teacher embeddings, by cosine.

    All n * n cosines are computed, a block of at most 2**24 at a time.

    Args:
        student: reconstructions, (n, D), n > 10.
        teacher: the embeddings they are of, (n, D).
        device: where the work runs.

    Returns:
        knn_overlap_10: mean share of the 10 nearest others among the teacher's that are among the 10
        nearest others among the student's; and recall_1: share of reconstructions to which no other
        teacher embedding is nearer than their own.
    """
    count = len(teacher)
    everything = slice(0, count)
    students = F.normalize(rows_to_tensor(student, everything, device), dim=1)
    teachers = F.normalize(rows_to_tensor(teacher, everything, device), dim=1)
    overlap = hits = 0
    for rows in parts(count, max(1, _COSINES_AT_ONCE // count)):
        here = torch.arange(rows.start, rows.stop, device=device)
        nearest = []
        for vectors in (students, teachers):
            cosines = vectors[rows] @ vectors.T
            cosines[here - rows.start, here] = -torch.inf
            nearest.append(cosines.topk(NEIGHBORS, dim=1).indices)
        overlap += int((nearest[0].unsqueeze(2) == nearest[1].unsqueeze(1)).sum())
        across = students[rows] @ teachers.T
        own = across[here - rows.start, here]
        hits += int((across > own.unsqueeze(1)).any(dim=1).logical_not().sum())
    return overlap / (NEIGHBORS * count), hits / count
