"""Attention of every cell over one tier: learned functional similarity."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from cellnet.lattice.chunker import AdaptiveChunker
from cellnet.lattice.connections import AttentionBlocks, TierConnections
from cellnet.lattice.sums import gather_rows


class NeighborAttention(nn.Module):
    """Softmax attention (Vaswani et al. 2017) of each cell over its neighbors in one tier, and no others.

    It has no weights: its owner projects what goes in and what comes out. A cell without neighbors in the
    tier receives zero.
    """

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads

    def forward(
        self,
        query: Float[Tensor, "cells batch channels"],
        key_and_value: Float[Tensor, "cells batch 2*channels"],
        connections: TierConnections,
        chunker: AdaptiveChunker,
    ) -> Float[Tensor, "cells batch channels"]:
        """Return the context (N, B, C) that queries (N, B, C) gather from keys and values (N, B, 2C)."""
        if connections.is_empty:
            return torch.zeros_like(query)
        cells, batch, _ = query.shape
        blocks = connections.blocks
        # Blocks cover the cells in order; what is missing to fill the last one is padding.
        count, _, places, _ = blocks.mask.shape
        queries = F.pad(query.flatten(1), (0, 0, 0, count * places - cells)).unflatten(0, (count, places))
        keys_and_values = key_and_value.flatten(1)
        row_bytes = keys_and_values.shape[1] * keys_and_values.element_size()
        parts = connections.parts(chunker.blocks_at_once(blocks.keys.shape[1] * row_bytes))
        shares = queries.split([len(part.keys) for part in parts])
        if len(parts) == 1:
            answer = self._attend(queries, keys_and_values, parts[0], batch)
        else:
            # What does not fit at once is gathered again in the backward pass, one part at a time.
            answers = [
                checkpoint(
                    self._attend,
                    share,
                    keys_and_values,
                    part,
                    batch,
                    use_reentrant=False,
                    preserve_rng_state=False,
                )
                for share, part in zip(shares, parts, strict=True)
            ]
            answer = torch.cat(answers)
        return answer[:cells] * blocks.has_neighbors

    def _attend(
        self, queries: Tensor, keys_and_values: Tensor, blocks: AttentionBlocks, batch: int
    ) -> Tensor:
        """Attend within blocks: queries (G, Q, B*C) over rows (N, B*2C), giving (G*Q, B, C)."""
        groups, places, _ = queries.shape
        gathered = gather_rows(keys_and_values, blocks.keys.flatten(), blocks.copies)
        keys, values = gathered.view(*blocks.keys.shape, batch, -1).chunk(2, dim=-1)

        def split_heads(x: Tensor) -> Tensor:
            x = x.unflatten(-1, (self.heads, -1))
            return x.permute(0, 2, 3, 1, 4).reshape(groups, batch * self.heads, x.shape[1], -1)

        answer = F.scaled_dot_product_attention(
            split_heads(queries.unflatten(-1, (batch, -1))),
            split_heads(keys),
            split_heads(values),
            attn_mask=blocks.mask,
        )
        answer = answer.view(groups, batch, self.heads, places, -1).permute(0, 3, 1, 2, 4)
        return answer.reshape(groups * places, batch, -1)
