"""Attention of every cell over one tier: learned functional similarity."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from cellnet.lattice.chunker import AdaptiveChunker
from cellnet.lattice.connections import AttentionBlocks, TierConnections
from cellnet.lattice.sums import gather_rows


class NeighborAttention(nn.Module):
    """Softmax attention (Vaswani et al. 2017) of each cell over its neighbors in one tier, and no others.

    A cell without neighbors in the tier receives zero.
    """

    def __init__(self, state_size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(state_size, state_size, bias=False)
        self.key_and_value = nn.Linear(state_size, 2 * state_size, bias=False)
        self.output = nn.Linear(state_size, state_size, bias=False)

    def forward(
        self,
        own: Float[Tensor, "cells batch channels"],
        connections: TierConnections,
        chunker: AdaptiveChunker,
    ) -> Float[Tensor, "cells batch channels"]:
        """Return the context (N, B, C) that each of the states (N, B, C) gathers from its neighbors."""
        if connections.is_empty:
            return torch.zeros_like(own)
        cells, batch, width = own.shape
        blocks = connections.blocks
        queries = self.query(own)[blocks.queries]
        both = self.key_and_value(own)
        gathered = gather_rows(both.reshape(cells, -1), blocks.keys.flatten(), blocks.copies)
        keys, values = gathered.view(*blocks.keys.shape, batch, 2 * width).split(width, dim=-1)
        block_bytes = 2 * keys[0].numel() * keys.element_size()
        at_once = chunker.blocks_at_once(block_bytes)
        parts = [
            self._attend(
                queries[i : i + at_once], keys[i : i + at_once], values[i : i + at_once], blocks, i
            )
            for i in range(0, len(blocks.keys), at_once)
        ]
        answer = torch.cat(parts).reshape(-1, batch, width)[:cells]
        context: Tensor = self.output(answer * blocks.has_neighbors)
        return context

    def _attend(
        self, queries: Tensor, keys: Tensor, values: Tensor, blocks: AttentionBlocks, first: int
    ) -> Tensor:
        """Attend within blocks: (G, Q, B, C) over (G, K, B, C) twice, giving (G, Q, B, C)."""
        groups, places, batch, width = queries.shape
        mask = blocks.mask[first : first + groups]

        def split_heads(x: Tensor) -> Tensor:
            x = x.unflatten(-1, (self.heads, -1))
            return x.permute(0, 2, 3, 1, 4).reshape(groups, batch * self.heads, x.shape[1], -1)

        answer = F.scaled_dot_product_attention(
            split_heads(queries), split_heads(keys), split_heads(values), attn_mask=mask
        )
        answer = answer.view(groups, batch, self.heads, places, -1).permute(0, 3, 1, 2, 4)
        return answer.reshape(groups, places, batch, width)
