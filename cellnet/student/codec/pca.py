"""Principal component analysis of embeddings, the baseline and the start of the linear path."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

_ROWS_AT_ONCE = 8192


@dataclass(frozen=True)
class PCA:
    """Principal components.

    Attributes:
        mean: (D,), float64.
        components: unit directions in rows, largest variance first, (K, D), float64.
        variance: variance along each, (K,), float64.
        total_variance: sum of the variances of all D dimensions.
    """

    mean: Tensor
    components: Tensor
    variance: Tensor
    total_variance: float

    def reconstruct(self, embeddings: Tensor, width: int) -> Tensor:
        """Project embeddings (B, D) on the first ``width`` components and back."""
        basis = self.components[:width].to(embeddings)
        mean = self.mean.to(embeddings)
        return (embeddings - mean) @ basis.T @ basis + mean


def fit_pca(embeddings: npt.NDArray[np.float32]) -> PCA:
    """Fit all components of embeddings (n, D) from their exact float64 covariance."""
    count, width = embeddings.shape
    mean = torch.from_numpy(embeddings.mean(axis=0, dtype=np.float64))
    covariance = torch.zeros(width, width, dtype=torch.float64)
    for start in range(0, count, _ROWS_AT_ONCE):
        rows = torch.from_numpy(np.array(embeddings[start : start + _ROWS_AT_ONCE])).double() - mean
        covariance += rows.T @ rows
    covariance /= count
    variance, directions = torch.linalg.eigh(covariance)
    components = directions.flip(1).T.contiguous()
    return PCA(mean, components, variance.flip(0).clamp_min(0.0), float(covariance.trace()))
