"""The distant expert, slow fields: the mean of far cells drives an ODE."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from cellnet.settings import DistantExpertSettings
from cellnet.student.experts.field import DrivenField
from cellnet.student.experts.neighborhood import Neighborhood


class DistantExpert(nn.Module):
    """Let the mean of the distant tier push the state along a learned flow."""

    def __init__(self, state_size: int, settings: DistantExpertSettings) -> None:
        super().__init__()
        self.from_mean = nn.Linear(state_size, settings.hidden_size)
        self.field = DrivenField(
            state_size, settings.hidden_size, method=settings.ode_method, steps=settings.integration_steps
        )

    def forward(
        self, own: Float[Tensor, "cells batch channels"], neighborhood: Neighborhood
    ) -> Float[Tensor, "cells batch channels"]:
        """Return the proposed change of each cell.

        Args:
            own: normalized states, (N, B, C).
            neighborhood: the distant tier.
        """
        change: Tensor = self.field(own, self.from_mean(neighborhood.mean))
        return change
