"""The functional expert, the work-horse: attention over its tier and a continuous part."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cellnet.experts.attention import NeighborAttention
from cellnet.experts.driven_field import DrivenField
from cellnet.lattice.chunker import AdaptiveChunker
from cellnet.lattice.connections import TierConnections
from cellnet.layers import MultiLayerPerceptron
from cellnet.settings import FunctionalExpertSettings


class FunctionalExpert(nn.Module):
    """Ask similar cells of the functional tier, then change in a discrete and a continuous way."""

    def __init__(self, state_size: int, settings: FunctionalExpertSettings) -> None:
        super().__init__()
        self.attention = NeighborAttention(state_size, settings.heads)
        self.update = MultiLayerPerceptron(
            2 * state_size, settings.hidden_size, state_size, zero_start=True
        )
        self.field = DrivenField(
            state_size, settings.hidden_size, method=settings.ode_method, steps=settings.integration_steps
        )
        self.mix = nn.Linear(2 * state_size, state_size)

    def forward(
        self,
        own: Float[Tensor, "cells batch channels"],
        connections: TierConnections,
        chunker: AdaptiveChunker,
    ) -> Float[Tensor, "cells batch channels"]:
        """Return the proposed change of each cell.

        Args:
            own: normalized states, (N, B, C).
            connections: the functional tier.
            chunker: decides how many blocks are attended at once.
        """
        context = self.attention(own, connections, chunker)
        both = torch.cat([own, context], dim=-1)
        discrete = self.update(both)
        continuous = self.field(own, context)
        share = torch.sigmoid(self.mix(both))
        return torch.addcmul(continuous, share, discrete - continuous)
