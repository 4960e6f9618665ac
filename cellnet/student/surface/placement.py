"""The cells that hold the surface, and the surface coordinate that each of them holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cellnet.errors import SettingsError
from cellnet.lattice.geometry import Dimensions, coordinates, linear_index
from cellnet.settings import Settings

# Multiples of 1 / g and 1 / g**2, where g**3 = g + 1, fill a square evenly (R2 sequence, Roberts 2018).
_EVEN_STEPS = 1.324717957244746 ** -np.arange(1.0, 3.0)


@dataclass(frozen=True)
class Placement:
    """The cells that hold the surface.

    Attributes:
        size: edge n of the n x n surface.
        cells: linear indices of the placed cells, ascending, (P,).
        coordinate: surface coordinate ``i*n + j`` that each placed cell holds, (P,); every coordinate
            is held by at least one cell.
    """

    size: int
    cells: Tensor
    coordinate: Tensor


def surface_size(dimensions: Dimensions, strategy: str) -> int:
    """Return the edge n of the surface: the largest square that the placed cells can hold."""
    x, y, _ = dimensions
    return min(x, y) if strategy == "face" else sorted(dimensions)[1]


def place(settings: Settings) -> Placement:
    """Place the surface on the cells of the cube.

    ``faces`` uses all cells of the six faces, ``face`` those with z = 0; a face of another shape than
    n x n is covered by scaling its coordinates. The first face holds the surface as it is, each of the
    others in an order of its own, so that between them most pairs of coordinates lie close together: only
    cells that hear of each other can bring two values into one. ``edges`` and ``corners`` use the n*n cells
    nearest to an edge or a corner of the cube, ``uniform`` n*n cells spread evenly over the volume.

    Raises:
        SettingsError: if the cube has fewer cells than the surface needs.
    """
    dimensions = settings.lattice.dimensions
    strategy = settings.embedding.placement_strategy
    size = surface_size(dimensions, strategy)
    if settings.lattice.cell_count < size * size:
        raise SettingsError(f"a lattice of {dimensions} has too few cells for a {size} x {size} surface")
    if strategy in ("faces", "face"):
        cells, coordinate = _on_faces(dimensions, size, only_first=strategy == "face")
        return Placement(size, cells, coordinate)
    even = strategy == "uniform"
    cells = _spread(dimensions, size * size) if even else _ranked(dimensions, strategy, size * size)
    return Placement(size, cells.sort().values, torch.arange(size * size))


def _on_faces(dimensions: Dimensions, size: int, *, only_first: bool) -> tuple[Tensor, Tensor]:
    """Give every cell of the faces the coordinate it has on the first face that it lies on."""
    holds: dict[int, int] = {}
    # A RandomState gives the same numbers in every version of NumPy; saved weights depend on the order.
    orders = np.random.RandomState(0)
    order = torch.arange(size * size)
    # The largest faces come first, since they alone are sure to hold every coordinate; then those of z.
    axes = (2,) if only_first else sorted((2, 0, 1), key=lambda axis: dimensions[axis])
    for axis in axes:
        first, second = (other for other in range(3) if other != axis)
        a, b = dimensions[first], dimensions[second]
        grid = torch.cartesian_prod(torch.arange(a), torch.arange(b))
        scaled = (grid[:, 0] * size // a) * size + grid[:, 1] * size // b
        for side in (0, dimensions[axis] - 1):
            position = torch.full((len(grid), 3), side)
            position[:, first], position[:, second] = grid[:, 0], grid[:, 1]
            for cell, coordinate in zip(
                linear_index(position, dimensions).tolist(), order[scaled].tolist(), strict=True
            ):
                holds.setdefault(cell, coordinate)
            if only_first:
                return _sorted_pairs(holds)
            order = torch.from_numpy(orders.permutation(size * size))
    return _sorted_pairs(holds)


def _sorted_pairs(holds: dict[int, int]) -> tuple[Tensor, Tensor]:
    cells = sorted(holds)
    return torch.tensor(cells), torch.tensor([holds[cell] for cell in cells])


def _ranked(dimensions: Dimensions, strategy: str, count: int) -> Tensor:
    """Return the ``count`` cells that suit the strategy best."""
    cells = coordinates(dimensions)
    to_face = torch.minimum(cells, torch.tensor(dimensions) - 1 - cells).sort(dim=1).values
    # The distance to an edge of the cube needs two of the three distances to faces, to a corner all.
    axes = 2 if strategy == "edges" else 3
    distance = to_face[:, :axes].square().sum(dim=1)
    return torch.argsort(distance, stable=True)[:count]


def _spread(dimensions: Dimensions, count: int) -> Tensor:
    """Return ``count`` cells spread evenly over the volume: layer by layer along x, by the R2 sequence."""
    points = count
    while True:
        number = np.arange(points)
        y_and_z = (0.5 + np.outer(number, _EVEN_STEPS)) % 1.0
        places = np.column_stack([(number + 0.5) / points, y_and_z])
        met = np.ravel_multi_index(tuple((places * dimensions).astype(np.int64).T), dimensions)
        cells, first = np.unique(met, return_index=True)
        if len(cells) >= count:
            return torch.from_numpy(cells[np.argsort(first)][np.arange(count) * len(cells) // count])
        points *= 2
