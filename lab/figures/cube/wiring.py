"""The position of a cell and its neighbors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from cellnet.lattice.geometry import TIERS, Tier, tier_offsets
from cellnet.settings import Settings
from cellnet.student.surface import place
from lab.figures.cube.scenes import BoolArray, Dimensions


@dataclass(frozen=True)
class Wiring:
    """The neighbors of a cell: their linear indices in each tier, nearest first."""

    cell: int
    position: tuple[int, int, int]
    neighbors: Mapping[Tier, npt.NDArray[np.int64]] = field(default_factory=dict)

    @property
    def cells(self) -> tuple[int, ...]:
        """The cell itself and all that it sees."""
        return (self.cell, *(int(other) for each in self.neighbors.values() for other in each))


@lru_cache(maxsize=64)
def wiring(settings: Settings, cell: int) -> Wiring:
    """The neighbors of a cell under these settings.

    Raises:
        ValueError: if there is no such cell.
    """
    lattice = settings.lattice
    if not 0 <= cell < lattice.cell_count:
        raise ValueError(
            f"there is no cell {cell}; the cells of this cube are 0 to {lattice.cell_count - 1}"
        )
    offsets = tier_offsets(lattice, settings.neighbors.get_distance_thresholds(lattice))
    position = position_of(cell, lattice.dimensions)
    found: dict[Tier, npt.NDArray[np.int64]] = {}
    for tier in TIERS:
        moves = offsets.of(tier).numpy()
        moves = moves[np.argsort(np.square(moves).sum(axis=1), kind="stable")]
        there = np.asarray(position) + moves
        if lattice.boundary == "toroidal":
            there = there % np.asarray(lattice.dimensions)
        else:
            inside = ((there >= 0) & (there < lattice.dimensions)).all(axis=1)
            there = there[inside]
        found[tier] = np.ravel_multi_index(tuple(there.T), lattice.dimensions).astype(np.int64)
    return Wiring(cell, position, found)


def position_of(cell: int, dimensions: Dimensions) -> tuple[int, int, int]:
    """Grid position of a cell of the linear order."""
    x, y, z = (int(place) for place in np.unravel_index(cell, dimensions))
    return x, y, z


@lru_cache(maxsize=8)
def depth(settings: Settings) -> npt.NDArray[np.int64]:
    """Return the distance of each cell to the nearest one that holds the surface: (N,), 0 for those.

    A cell next to another, also across an edge or a corner, is 1 away from it.
    """
    reached = np.zeros(settings.lattice.cell_count, dtype=np.bool_)
    reached[place(settings).cells.numpy()] = True
    reached = reached.reshape(settings.lattice.dimensions)
    depths = np.zeros(reached.shape, dtype=np.int64)
    while not reached.all():
        depths[~reached] += 1
        reached = _grown(reached, around=settings.lattice.boundary == "toroidal")
    return depths.reshape(-1)


def _grown(cells: BoolArray, *, around: bool) -> BoolArray:
    """These cells of the grid and all that are next to one of them."""
    for axis in range(cells.ndim):
        layers = np.moveaxis(cells, axis, 0)
        first, last = (layers[-1:], layers[:1]) if around else (layers[:1], layers[-1:])
        below, above = np.concatenate([first, layers[:-1]]), np.concatenate([layers[1:], last])
        cells = np.moveaxis(below | layers | above, 0, axis)
    return cells
