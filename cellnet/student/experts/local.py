"""The local expert, a reflex: the mean of the nearest cells, then one MLP."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cellnet.settings import LocalExpertSettings
from cellnet.student.experts.neighborhood import Neighborhood
from cellnet.student.layers import ChangeLinear, MultiLayerPerceptron


class LocalExpert(nn.Module):
    """Answer the mean of the local tier."""

    def __init__(self, state_size: int, settings: LocalExpertSettings) -> None:
        super().__init__()
        self.update = MultiLayerPerceptron(2 * state_size, settings.hidden_size, state_size, ChangeLinear)

    def forward(
        self, own: Float[Tensor, "cells batch channels"], neighborhood: Neighborhood
    ) -> Float[Tensor, "cells batch channels"]:
        """Return the proposed change of each cell.

        Args:
            own: normalized states, (N, B, C).
            neighborhood: the local tier.
        """
        change: Tensor = self.update(torch.cat([own, neighborhood.mean], dim=-1))
        return change
