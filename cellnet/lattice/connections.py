"""The connections of each tier: lists for sums and blocks for attention, rebuilt when a ratio changes."""

from __future__ import annotations

import copy
from collections.abc import Set
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from cellnet.lattice.geometry import (
    TIERS,
    Tier,
    coordinates,
    linear_index,
    morton_order,
    tier_offsets,
)
from cellnet.lattice.sums import CellLists
from cellnet.settings import LatticeSettings, NeighborSettings

_PADDING = 8  # Attention kernels want rows of the mask aligned to this many elements.
_CELLS_AT_ONCE = 4096


@dataclass(frozen=True)
class AttentionBlocks:
    """Cells grouped in blocks; the cells of a block share one list of possible neighbors.

    Attributes:
        keys: cells that any cell of the block sees, (blocks, K), padded with cell 0.
        mask: true where the key is a neighbor of the query, (blocks, 1, Q, K), Q cells in order, the last
            block padded; a query without neighbors sees one arbitrary key, and its answer is discarded
            through ``has_neighbors``.
        copies: for each cell, its places in ``keys``.
        has_neighbors: 1 for cells with at least one neighbor, else 0, (N, 1, 1).
    """

    keys: Tensor
    mask: Tensor
    copies: CellLists
    has_neighbors: Tensor

    def part(self, first: int, count: int) -> AttentionBlocks:
        """Return ``count`` blocks from block ``first`` on, with places counted from there."""
        width = self.keys.shape[1]
        low, high = first * width, (first + count) * width
        cell = torch.repeat_interleave(self.copies.lengths)
        inside = (self.copies.rows >= low) & (self.copies.rows < high)
        copies = CellLists.from_pairs(
            cell[inside], self.copies.rows[inside] - low, len(self.copies.lengths)
        )
        chosen = slice(first, first + count)
        return AttentionBlocks(self.keys[chosen], self.mask[chosen], copies, self.has_neighbors)


class _NeighborSum(torch.autograd.Function):
    """Sum over neighbors. Being a neighbor is mutual, so the backward pass is the same sum."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, connections: TierConnections) -> Tensor:
        ctx.connections = connections
        return connections.sum_rows(rows)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.connections.sum_rows(gradients[0].contiguous()), None


class TierConnections:
    """The neighbors of every cell in one tier, in the engine's cell order."""

    def __init__(self, lists: CellLists, block_cells: int) -> None:
        self.lists = lists
        self.block_cells = block_cells
        self.counts = lists.lengths
        self.inverse_counts = 1.0 / self.counts.clamp_min(1).double()
        self._blocks: AttentionBlocks | None = None
        self._parts: dict[int, list[AttentionBlocks]] = {}

    @property
    def is_empty(self) -> bool:
        """Whether no cell has a neighbor in this tier."""
        return len(self.lists.rows) == 0

    def sum(self, values: Float[Tensor, "cells batch channels"]) -> Float[Tensor, "cells batch channels"]:
        """Sum states (N, B, C) over each cell's neighbors.

        Exact in two ways. On the CPU rows are added list by list. On CUDA, where that is bound by the
        cache, each block's mask multiplies its gathered keys, in autocast's precision if that is on.
        """
        if self.is_empty:
            return torch.zeros_like(values)
        if values.is_cuda and torch.is_autocast_enabled("cuda"):
            values = values.to(torch.get_autocast_dtype("cuda"))
        total: Tensor = _NeighborSum.apply(values.flatten(1), self)  # type: ignore[no-untyped-call]
        return total.view_as(values)

    def sum_rows(self, rows: Float[Tensor, "cells features"]) -> Float[Tensor, "cells features"]:
        """Sum rows (N, F) over each cell's neighbors, without a gradient."""
        return self.sum_by_blocks(rows) if rows.is_cuda else self.lists.sum(rows)

    def sum_by_blocks(self, rows: Float[Tensor, "cells features"]) -> Float[Tensor, "cells features"]:
        """Sum rows (N, F) over each cell's neighbors as matrix products."""
        blocks = self.blocks
        mask = blocks.mask.squeeze(1).to(rows.dtype)
        answer = torch.bmm(mask, rows[blocks.keys]).flatten(0, 1)[: len(rows)]
        return answer * blocks.has_neighbors.squeeze(-1)

    def parts(self, blocks_at_once: int) -> list[AttentionBlocks]:
        """Return the blocks in parts of at most ``blocks_at_once``, made on first use."""
        if blocks_at_once not in self._parts:
            blocks, count = self.blocks, len(self.blocks.keys)
            self._parts[blocks_at_once] = (
                [blocks]
                if blocks_at_once >= count
                else [blocks.part(first, blocks_at_once) for first in range(0, count, blocks_at_once)]
            )
        return self._parts[blocks_at_once]

    @property
    def blocks(self) -> AttentionBlocks:
        """The tier as blocks for attention, made on first use."""
        if self._blocks is None:
            self._blocks = _make_blocks(self.lists, self.block_cells)
        return self._blocks


def _make_blocks(lists: CellLists, block_cells: int) -> AttentionBlocks:
    device = lists.rows.device
    cells = len(lists.lengths)
    blocks = -(-cells // block_cells)
    query_of_edge = torch.repeat_interleave(torch.arange(cells, device=device), lists.lengths)
    block_of_edge = query_of_edge // block_cells
    neighbor = lists.rows.long()

    seen = torch.zeros(blocks, cells, dtype=torch.bool, device=device)
    seen[block_of_edge, neighbor] = True
    key_count = int(seen.sum(dim=1).max())
    width = -(-key_count // _PADDING) * _PADDING
    place_of_cell = seen.cumsum(dim=1, dtype=torch.int32) - 1
    block, cell = seen.nonzero(as_tuple=True)
    place = place_of_cell[block, cell].long()
    keys = torch.zeros(blocks, width, dtype=torch.long, device=device)
    keys[block, place] = cell

    mask = torch.zeros(blocks, block_cells, width, dtype=torch.bool, device=device)
    mask[block_of_edge, query_of_edge % block_cells, place_of_cell[block_of_edge, neighbor].long()] = True
    mask[..., 0] |= ~mask.any(dim=-1)
    copies = CellLists.from_pairs(cell, block * width + place, cells)
    has_neighbors = (lists.lengths > 0).view(cells, 1, 1)
    return AttentionBlocks(keys, mask.unsqueeze(1), copies, has_neighbors)


class ConnectionIndex:
    """All connections of a lattice.

    Args:
        lattice: dimensions, boundary and ratios.
        neighbors: where thresholds come from.
        block_cells: cells per block of the attention.
        device: where the index is kept.
        build_device: where it is computed; by default where it is kept.

    Attributes:
        order: linear index of the cell at each place of the engine, (N,).
        rank: place in the engine of each linear index, (N,).
        tiers: the connections of each tier.
    """

    def __init__(
        self,
        lattice: LatticeSettings,
        neighbors: NeighborSettings,
        *,
        block_cells: int,
        device: torch.device | str = "cpu",
        build_device: torch.device | str | None = None,
    ) -> None:
        self.lattice = lattice
        build = torch.device(build_device or device)
        cells = lattice.cell_count
        order = morton_order(lattice.dimensions) if lattice.enable_morton_encoding else torch.arange(cells)
        self.order = order.to(device)
        self.rank = torch.argsort(self.order)
        thresholds = neighbors.get_distance_thresholds(lattice)
        offsets = tier_offsets(lattice, thresholds)
        self.tiers: dict[Tier, TierConnections] = {}
        for tier in TIERS:
            lists = _neighbor_lists(lattice, offsets.of(tier).to(build), self.order.to(build))
            lists = CellLists(lists.rows.to(device), lists.starts.to(device))
            self.tiers[tier] = TierConnections(lists, min(block_cells, cells))
        self.inverse_total_counts = self._inverse_total_counts()

    def _inverse_total_counts(self) -> Tensor:
        total = torch.stack([connections.counts for connections in self.tiers.values()]).sum(dim=0)
        return 1.0 / total.clamp_min(1).double()

    def without(self, cut: Set[Tier]) -> ConnectionIndex:
        """Return an index in which the tiers ``cut`` are empty; it shares the others with this one."""
        rest = copy.copy(self)
        empty = CellLists(
            torch.empty(0, dtype=torch.int32, device=self.order.device),
            torch.zeros(len(self.order) + 1, dtype=torch.int32, device=self.order.device),
        )
        rest.tiers = {
            tier: TierConnections(empty, connections.block_cells) if tier in cut else connections
            for tier, connections in self.tiers.items()
        }
        rest.inverse_total_counts = rest._inverse_total_counts()
        return rest

    def neighbors_of(self, cell: int) -> dict[Tier, Tensor]:
        """Return the linear indices of one cell's neighbors, by tier, sorted."""
        place = int(self.rank[cell])
        found = {}
        for tier, connections in self.tiers.items():
            start, end = connections.lists.starts[place : place + 2].tolist()
            found[tier] = self.order[connections.lists.rows[start:end].long()].sort().values
        return found


def _neighbor_lists(lattice: LatticeSettings, offsets: Tensor, order: Tensor) -> CellLists:
    """List each cell's neighbors (as places in the engine) for the displacements (K, 3) of a tier."""
    device = order.device
    size = torch.tensor(lattice.dimensions, device=device)
    rank = torch.argsort(order)
    here = coordinates(lattice.dimensions, device)[order]
    rows, lengths = [], []
    for part in here.split(_CELLS_AT_ONCE):
        there = part[:, None, :] + offsets[None, :, :]
        if lattice.boundary == "toroidal":
            there = there % size
            valid = torch.ones(there.shape[:2], dtype=torch.bool, device=device)
        else:
            valid = ((there >= 0) & (there < size)).all(dim=-1)
        rows.append(rank[linear_index(there[valid], lattice.dimensions)].to(torch.int32))
        lengths.append(valid.sum(dim=1))
    starts = torch.zeros(len(order) + 1, dtype=torch.int32, device=device)
    starts[1:] = torch.cat(lengths).cumsum(0)
    return CellLists(torch.cat(rows), starts)
