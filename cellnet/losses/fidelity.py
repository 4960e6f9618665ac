"""Losses that compare the student's embedding with the teacher's."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from cellnet.losses.base import Loss, LossInput

_SMALLEST = 1e-12


class ReconstructionLoss(Loss):
    """The fraction of variance unexplained: mse(y^, y) / var(y), the unbiased variance over the batch."""

    def __call__(self, batch: LossInput) -> Float[Tensor, ""]:
        variance = batch.target.var(dim=0).mean()
        return F.mse_loss(batch.output.embeddings, batch.target) / variance.clamp_min(_SMALLEST)


class SimilarityLoss(Loss):
    """Mean (1 - cos(y^_i, y_i)), plus the mse between the off-diagonal cosines of y^ and of y.

    The second part asks that the geometry between sentences be kept (relational distillation, Park et
    al. 2019).
    """

    def __call__(self, batch: LossInput) -> Float[Tensor, ""]:
        student = F.normalize(batch.output.embeddings, dim=1)
        teacher = F.normalize(batch.target, dim=1)
        own = 1.0 - (student * teacher).sum(dim=1).mean()
        difference = (student @ student.T - teacher @ teacher.T).square()
        count = len(difference)
        between = (difference.sum() - difference.diagonal().sum()) / (count * (count - 1))
        return own + between


class DiversityLoss(Loss):
    """mean_d relu(1 - std_d(y^) / std_d(y)) over the batch: VICReg's hinge (Bardes et al. 2022)."""

    def __call__(self, batch: LossInput) -> Float[Tensor, ""]:
        student = (batch.output.embeddings.var(dim=0) + _SMALLEST).sqrt()
        teacher = (batch.target.var(dim=0) + _SMALLEST).sqrt()
        return torch.relu(1.0 - student / teacher).mean()
