"""The scores of a set of reconstructions, from what was measured of each sentence."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from cellnet.evaluation.intervals import Numbers
from cellnet.measures import Embeddings

NEIGHBORS = 10
RECALL_AT = (1, 5, 10)
SCORES = (
    "explained_variance",
    "mse",
    "mean_cosine",
    f"knn_overlap_{NEIGHBORS}",
    *(f"recall_{k}" for k in RECALL_AT),
)


@dataclass(frozen=True)
class PerSentence:
    """The measures of each sentence, (n,) each.

    Attributes:
        squared_error: |y^ - y|^2.
        cosine: between y^ and y.
        overlap: share of the 10 nearest others of y that are among the 10 nearest others of y^.
        nearer: how many embeddings of the bank are nearer to y^ than y is.
        spread: |y - mean|^2, with the mean of all sentences.
        width: D.
    """

    squared_error: Numbers
    cosine: Numbers
    overlap: Numbers
    nearer: Numbers
    spread: Numbers
    width: int

    def of(self, rows: npt.NDArray[Any]) -> PerSentence:
        """Return the same of some sentences (places or a mask)."""
        return PerSentence(
            self.squared_error[rows],
            self.cosine[rows],
            self.overlap[rows],
            self.nearer[rows],
            self.spread[rows],
            self.width,
        )

    def scores(self, weights: Numbers) -> dict[str, Numbers]:
        """Return each of `SCORES` under each row of weights (R, n), as (R,).

        explained_variance is 1 - squared error / squared distance from the mean of all sentences, mse the
        mean over all entries, knn_overlap_10 and mean_cosine means over sentences, and recall_k the share
        of sentences to which fewer than k embeddings of the bank are nearer than their own. NaN where
        nothing has a weight.
        """
        hits = [self.nearer < k for k in RECALL_AT]
        columns = np.stack([self.squared_error, self.spread, self.cosine, self.overlap, *hits], axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            sums = (weights @ columns).T
            error, spread, *others = sums
            count = weights.sum(axis=1)
            values = (
                1.0 - error / spread,
                error / count / self.width,
                *(total / count for total in others),
            )
        return dict(zip(SCORES, values, strict=True))


def scratch(count: int, width: int) -> Embeddings:
    """Return an array (count, width) on disk, in a file without a name that goes when the array does."""
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, dtype=np.float32, mode="w+", shape=(count, width))


def errors_and_cosines(answer: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return |y^ - y|^2 and the cosine of each row of (B, D), in float64."""
    answer, target = answer.double(), target.double()
    return (answer - target).square().sum(dim=1), F.cosine_similarity(answer, target, dim=1)


def host(values: Tensor) -> Numbers:
    """Return values as float64 on the host."""
    array: Numbers = values.detach().to("cpu", torch.float64).numpy()
    return array
