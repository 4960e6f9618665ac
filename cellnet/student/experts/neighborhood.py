"""The neighborhood of each cell in one tier: its mean, its sum, attention over it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property

from jaxtyping import Float
from torch import Tensor

from cellnet.lattice.chunker import AdaptiveChunker
from cellnet.lattice.connections import TierConnections
from cellnet.student.experts.attention import NeighborAttention


class Neighborhood(ABC):
    """The neighbors of every cell in one tier, in one step."""

    @property
    @abstractmethod
    def is_empty(self) -> bool:
        """Whether no cell has a neighbor in the tier."""

    @property
    @abstractmethod
    def sum(self) -> Tensor:
        """Sum of the neighbors' normalized states, (N, B, C); zero for a cell without neighbors."""

    @property
    @abstractmethod
    def mean(self) -> Tensor:
        """Mean of the neighbors' normalized states, (N, B, C); zero for a cell without neighbors."""

    @abstractmethod
    def attend(self, query: Tensor, key_and_value: Tensor, attention: NeighborAttention) -> Tensor:
        """Return the context (N, B, C) that queries (N, B, C) gather from keys and values (N, B, 2C)."""


class TierNeighborhood(Neighborhood):
    """The neighborhood that the cube offers: sums over a tier's connections, each computed at most once.

    Args:
        own: normalized states, (N, B, C), in the engine's order.
        connections: of the tier.
        chunker: decides how many blocks are attended at once.
    """

    def __init__(self, own: Tensor, connections: TierConnections, chunker: AdaptiveChunker) -> None:
        self._own = own
        self._connections = connections
        self._chunker = chunker

    @property
    def is_empty(self) -> bool:
        return self._connections.is_empty

    @cached_property
    def sum(self) -> Float[Tensor, "cells batch channels"]:
        return self._connections.sum(self._own)

    @cached_property
    def mean(self) -> Float[Tensor, "cells batch channels"]:
        return self.sum * per_cell(self._connections.inverse_counts, self._own)

    def attend(
        self,
        query: Float[Tensor, "cells batch channels"],
        key_and_value: Float[Tensor, "cells batch 2*channels"],
        attention: NeighborAttention,
    ) -> Float[Tensor, "cells batch channels"]:
        context: Tensor = attention(query, key_and_value, self._connections, self._chunker)
        return context


def per_cell(factor: Tensor, like: Tensor) -> Tensor:
    """Shape a factor per cell (N,) so that it multiplies states (N, B, C) in their own precision."""
    return factor.to(like.dtype).view(-1, 1, 1)
