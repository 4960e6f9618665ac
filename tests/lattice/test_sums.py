"""Sums over neighbors: lists, blocks and a dense matrix agree, and so do their gradients."""

import pytest
import torch
from torch import Tensor

from cellnet.lattice.connections import ConnectionIndex, TierConnections
from cellnet.lattice.geometry import TIERS
from cellnet.lattice.sums import CellLists, gather_rows
from cellnet.settings import LatticeSettings, NeighborSettings

LATTICES = [
    LatticeSettings(
        dimensions=dimensions,
        boundary=boundary,
        adaptive_radius_ratio=0.5,
        local_distance_ratio=0.5,
        functional_distance_ratio=0.75,
    )
    for dimensions, boundary in (((4, 4, 4), "open"), ((3, 5, 4), "toroidal"), ((6, 3, 4), "open"))
]


def adjacency(index: ConnectionIndex, connections: TierConnections) -> Tensor:
    """Return the tier as a dense float64 matrix in engine order, made from squared distances."""
    X, Y, Z = index.lattice.dimensions
    cells = [(x, y, z) for x in range(X) for y in range(Y) for z in range(Z)]
    tier = next(name for name, tier in index.tiers.items() if tier is connections)
    bounds = (0.0, *NeighborSettings().get_distance_thresholds(index.lattice))
    low, high = bounds[TIERS.index(tier)], bounds[TIERS.index(tier) + 1]
    matrix = torch.zeros(len(cells), len(cells), dtype=torch.float64)
    for place, a in enumerate(index.order.tolist()):
        for other, b in enumerate(index.order.tolist()):
            gaps = [abs(p - q) for p, q in zip(cells[a], cells[b], strict=True)]
            if index.lattice.boundary == "toroidal":
                gaps = [min(g, n - g) for g, n in zip(gaps, (X, Y, Z), strict=True)]
            r = sum(g * g for g in gaps) ** 0.5
            matrix[place, other] = float(a != b and low < r <= high)
    return matrix


@pytest.mark.parametrize("lattice", LATTICES, ids=str)
@pytest.mark.parametrize("block_cells", [1, 7, 32, 1000])
def test_lists_blocks_and_dense_agree(lattice: LatticeSettings, block_cells: int) -> None:
    index = ConnectionIndex(lattice, NeighborSettings(), block_cells=block_cells)
    values = torch.randn(lattice.cell_count, 2, 3, dtype=torch.float64)
    for connections in index.tiers.values():
        matrix = adjacency(index, connections)
        dense = (matrix @ values.flatten(1)).view_as(values)
        assert not connections.is_empty
        torch.testing.assert_close(connections.sum(values), dense)
        torch.testing.assert_close(connections.sum_by_blocks(values.flatten(1)), dense.flatten(1))
        assert torch.equal(connections.counts, matrix.sum(dim=1).int())
        expected = 1.0 / matrix.sum(dim=1).clamp_min(1)
        torch.testing.assert_close(connections.inverse_counts.double(), expected, rtol=1e-6, atol=0)
    total = sum(adjacency(index, tier).sum(dim=1) for tier in index.tiers.values())
    assert isinstance(total, Tensor)
    torch.testing.assert_close(index.inverse_total_counts.double(), 1 / total, rtol=1e-6, atol=0)


@pytest.mark.parametrize("lattice", LATTICES, ids=str)
@pytest.mark.parametrize("block_cells", [5, 16])
def test_blocks_hold_every_connection_once(lattice: LatticeSettings, block_cells: int) -> None:
    index = ConnectionIndex(lattice, NeighborSettings(), block_cells=block_cells)
    for connections in index.tiers.values():
        blocks = connections.blocks
        found = torch.zeros(lattice.cell_count, lattice.cell_count, dtype=torch.float64)
        for block in range(len(blocks.mask)):
            for row in range(blocks.mask.shape[2]):
                query = block * block_cells + row
                if query >= lattice.cell_count or not blocks.has_neighbors[query]:
                    continue
                for key in blocks.keys[block][blocks.mask[block, 0, row]].tolist():
                    found[query, key] += 1
        assert torch.equal(found, adjacency(index, connections))
        assert blocks.keys.shape[1] % 8 == 0


def test_an_empty_tier_sums_to_zero() -> None:
    index = ConnectionIndex(LatticeSettings(dimensions=(4, 4, 4)), NeighborSettings(), block_cells=16)
    values = torch.randn(64, 2, 3)
    for connections in index.tiers.values():
        assert connections.is_empty
        assert torch.equal(connections.sum(values), torch.zeros_like(values))


def test_gradient_of_the_neighbor_sum() -> None:
    index = ConnectionIndex(LATTICES[2], NeighborSettings(), block_cells=16)
    for connections in index.tiers.values():
        values = torch.randn(72, 1, 1, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(connections.sum, (values,))


def test_gradient_of_gather_rows() -> None:
    rows = torch.tensor([3, 0, 0, 2, 3, 3])
    back = CellLists.from_pairs(rows, torch.arange(6), 5)
    assert [back.rows[a:b].tolist() for a, b in zip(back.starts[:-1], back.starts[1:], strict=True)] == [
        [1, 2],
        [],
        [3],
        [0, 4, 5],
        [],
    ]
    values = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    assert torch.equal(gather_rows(values, rows, back), values[rows])
    assert torch.autograd.gradcheck(lambda v: gather_rows(v, rows, back), (values,))


def test_rebuilding_on_another_device_of_the_same_kind_changes_nothing() -> None:
    one = ConnectionIndex(LATTICES[0], NeighborSettings(), block_cells=16)
    two = ConnectionIndex(LATTICES[0], NeighborSettings(), block_cells=16, build_device="cpu")
    for tier in TIERS:
        assert torch.equal(one.tiers[tier].lists.rows, two.tiers[tier].lists.rows)
        assert torch.equal(one.tiers[tier].lists.starts, two.tiers[tier].lists.starts)
