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


@dataclass(frozen=True)
class ReconstructionMeasures:
    """The quality of a set of reconstructions.

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


def rows_to_host(values: Tensor) -> Embeddings:
    """Copy rows from a device to an array, as float32."""
    array: Embeddings = values.float().cpu().numpy()
    return array


class ReconstructionSums:
    """Gathers the measures of a reconstruction part by part, in float64.

    Args:
        embeddings: the whole set that will be given back, (n, D).
        device: where the parts will be.
    """

    def __init__(self, embeddings: Embeddings, device: torch.device) -> None:
        self._mean = torch.from_numpy(embeddings.mean(axis=0, dtype=np.float64)).to(device)
        self._error = self._spread = self._cosine = self._mean_cosine = 0.0
        self._count = 0

    def add(self, target: Tensor, answer: Tensor) -> None:
        """Take in some embeddings and what was given back, (B, D) each."""
        wide, answer = target.double(), answer.double()
        self._error += float((answer - wide).square().sum())
        self._spread += float((wide - self._mean).square().sum())
        self._cosine += float(F.cosine_similarity(answer, wide).sum())
        self._mean_cosine += float(F.cosine_similarity(self._mean.expand_as(wide), wide).sum())
        self._count += len(target)

    def measures(self) -> ReconstructionMeasures:
        """Return the measures of all that was taken in.

        Raises:
            DataError: if all embeddings are equal, so that there is no variance to explain.
        """
        if self._spread == 0.0:
            raise DataError(
                "all embeddings are equal, so there is no variance to explain; give more sentences"
            )
        return ReconstructionMeasures(
            explained_variance=1.0 - self._error / self._spread,
            mse=self._error / (self._count * len(self._mean)),
            mean_cosine=self._cosine / self._count,
            mean_vector_cosine=self._mean_cosine / self._count,
        )


def measure_reconstruction(
    reconstruct: Callable[[Tensor], Tensor],
    embeddings: Embeddings,
    *,
    device: torch.device,
    batch_size: int = 256,
) -> ReconstructionMeasures:
    """Measure ``reconstruct`` (B, D) -> (B, D) over embeddings (n, D) (see `ReconstructionSums`).

    Raises:
        DataError: if all embeddings are equal, so that there is no variance to explain.
    """
    sums = ReconstructionSums(embeddings, device)
    for rows in parts(len(embeddings), batch_size):
        target = rows_to_tensor(embeddings, rows, device)
        sums.add(target, reconstruct(target))
    return sums.measures()
