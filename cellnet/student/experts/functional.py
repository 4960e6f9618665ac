"""The functional expert, the work-horse: attention over its tier and a continuous part."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cellnet.settings import FunctionalExpertSettings
from cellnet.student.experts.attention import NeighborAttention
from cellnet.student.experts.field import DrivenField
from cellnet.student.experts.neighborhood import Neighborhood
from cellnet.student.layers import ChangeLinear, StackedLinear


class FunctionalExpert(nn.Module):
    """Ask similar cells of the functional tier, then change in a discrete and a continuous way.

    All that is linear in the cell's own state is one product, and so is all that is linear in the context
    that its neighbors give: many small products are what a step on a CPU would otherwise spend its time on.
    """

    def __init__(self, state_size: int, settings: FunctionalExpertSettings) -> None:
        super().__init__()
        hidden = settings.hidden_size
        # Query, key and value; update; mix. A bias of the keys would change nothing.
        self.from_own = StackedLinear(
            state_size, (state_size, 2 * state_size, hidden, state_size), bias=False
        )
        self.attention = NeighborAttention(settings.heads)
        # Update; drive of the field; mix.
        self.from_context = StackedLinear(state_size, (hidden, hidden, state_size), bias=True)
        self.activation = nn.SiLU()
        self.to_change = ChangeLinear(hidden, state_size)
        self.field = DrivenField(
            state_size, hidden, method=settings.ode_method, steps=settings.integration_steps
        )

    def forward(
        self, own: Float[Tensor, "cells batch channels"], neighborhood: Neighborhood
    ) -> Float[Tensor, "cells batch channels"]:
        """Return the proposed change of each cell.

        Args:
            own: normalized states, (N, B, C).
            neighborhood: the functional tier.
        """
        query, key_and_value, own_update, own_mix = self.from_own.parts(own)
        context = neighborhood.attend(query, key_and_value, self.attention)
        update, drive, mix = self.from_context.parts(context)
        discrete = self.to_change(self.activation(own_update + update))
        continuous = self.field(own, drive)
        return torch.addcmul(continuous, torch.sigmoid(own_mix + mix), discrete - continuous)
