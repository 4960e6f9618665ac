"""The gate: how much each cell listens to each of the experts."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cellnet.settings import GateSettings
from cellnet.student.layers import MultiLayerPerceptron


class GatingNetwork(nn.Module):
    """Softmax over the experts from a cell's own state and its neighborhood's activity.

    The temperature is a buffer, so that it can change while training runs.
    """

    temperature: Tensor

    def __init__(self, state_size: int, settings: GateSettings, *, experts: int) -> None:
        super().__init__()
        self.score = MultiLayerPerceptron(2 * state_size, settings.hidden_size, experts)
        self.register_buffer("temperature", torch.tensor(settings.temperature), persistent=False)

    def forward(
        self, own: Float[Tensor, "cells batch channels"], activity: Float[Tensor, "cells batch channels"]
    ) -> Float[Tensor, "cells batch experts"]:
        """Return weights (N, B, E) in the order of the table; they sum to 1.

        Args:
            own: normalized states, (N, B, C).
            activity: their mean over all neighbors of all tiers, (N, B, C).
        """
        scores = self.score(torch.cat([own, activity], dim=-1))
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        return torch.softmax(scores / self.temperature, dim=-1)
