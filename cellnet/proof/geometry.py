"""Neighbors without the connection index: by all pairwise distances, and by shifted displacements."""

from __future__ import annotations

import torch
from torch import Tensor

from cellnet.lattice.geometry import TIERS, Tier
from cellnet.settings import Settings, with_changes

MOST_DENSE_CELLS = 1000
_SMALL_EDGE = 10


def dense_masks(settings: Settings) -> dict[Tier, Tensor]:
    """Return for each tier which cell sees which, (N, N) boolean, from all pairwise distances."""
    lattice = settings.lattice
    axes = torch.meshgrid(*(torch.arange(length) for length in lattice.dimensions), indexing="ij")
    squared = torch.zeros(lattice.cell_count, lattice.cell_count, dtype=torch.float64)
    for axis, length in zip(axes, lattice.dimensions, strict=True):
        apart = (axis.flatten()[:, None] - axis.flatten()).abs()
        if lattice.boundary == "toroidal":
            apart = torch.minimum(apart, length - apart)
        squared += apart.double().square()
    return _by_tier(squared.sqrt(), settings)


def displacements(settings: Settings) -> dict[Tier, Tensor]:
    """Return for each tier the displacements (K, 3) to its neighbors, from all that the cube allows."""
    lattice = settings.lattice
    torus = lattice.boundary == "toroidal"
    ranges = [torch.arange(0 if torus else 1 - length, length) for length in lattice.dimensions]
    moves = torch.cartesian_prod(*ranges)
    size = torch.tensor(lattice.dimensions)
    apart = torch.minimum(moves, size - moves) if torus else moves
    chosen = _by_tier(apart.double().square().sum(dim=1).sqrt(), settings)
    return {tier: moves[mask] for tier, mask in chosen.items()}


def _by_tier(distance: Tensor, settings: Settings) -> dict[Tier, Tensor]:
    bounds = (0.0, *settings.neighbors.get_distance_thresholds(settings.lattice))
    return {
        tier: (distance > low) & (distance <= high)
        for tier, low, high in zip(TIERS, bounds[:-1], bounds[1:], strict=True)
    }


def shifted_sum(values: Tensor, moves: Tensor, settings: Settings) -> Tensor:
    """Sum values (B, N) over each cell's neighbors, which are all cells at the displacements (K, 3)."""
    dimensions = settings.lattice.dimensions
    grid = values.unflatten(1, dimensions)
    total = torch.zeros_like(grid)
    for move in moves.tolist():
        if settings.lattice.boundary == "toroidal":
            total += grid.roll(move, dims=(1, 2, 3))
            continue
        source, target = grid, total
        for axis, (step, length) in enumerate(zip(move, dimensions, strict=True), start=1):
            source = source.narrow(axis, max(0, -step), length - abs(step))
            target = target.narrow(axis, max(0, step), length - abs(step))
        target += source
    return total.flatten(1)


def spread(cells: Tensor, moves: Tensor, settings: Settings) -> Tensor:
    """Return the given cells, (B, N) boolean, and all that see one of them at a displacement (K, 3)."""
    return cells | (shifted_sum(cells.double(), moves, settings) > 0)


def small_enough(settings: Settings) -> Settings:
    """Return the settings, or where the cube is too large for dense masks, those of a smaller one.

    The smaller cube has edges of at most 10 cells and the same thresholds in cells, as far as they fit.
    """
    lattice = settings.lattice
    if lattice.cell_count <= MOST_DENSE_CELLS:
        return settings
    dimensions = tuple(min(length, _SMALL_EDGE) for length in lattice.dimensions)
    radius = min(lattice.max_radius, float(max(dimensions)))
    thresholds = settings.neighbors.get_distance_thresholds(lattice)
    ratios = {
        f"lattice.{tier}_distance_ratio": min(1.0, threshold / radius)
        for tier, threshold in zip(TIERS, thresholds, strict=True)
    }
    changes = {"lattice.dimensions": dimensions, "lattice.adaptive_radius_ratio": radius / max(dimensions)}
    return with_changes(settings, changes | ratios)
