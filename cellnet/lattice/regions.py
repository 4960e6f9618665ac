"""Regions of the cube for a lesion: a box, a layer, or a random share of the cells."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from cellnet.lattice.geometry import Dimensions

Axis = Literal["x", "y", "z"]
Range = tuple[int, int]
AXES: Final[tuple[Axis, Axis, Axis]] = ("x", "y", "z")


def box_cells(dimensions: Dimensions, box: tuple[Range, Range, Range]) -> tuple[int, ...]:
    """Return the linear indices of the cells of a box, given as first and last cell along each axis.

    Raises:
        ValueError: if the box does not lie in the cube.
    """
    for axis, (first, last), length in zip(AXES, box, dimensions, strict=True):
        if not 0 <= first <= last < length:
            raise ValueError(
                f"there are no cells {first} to {last} along {axis}; they go from 0 to {length - 1}"
            )
    cells = np.arange(np.prod(dimensions)).reshape(dimensions)
    inside = cells[tuple(slice(first, last + 1) for first, last in box)]
    return tuple(inside.ravel().tolist())


def layer_cells(dimensions: Dimensions, axis: Axis, place: int) -> tuple[int, ...]:
    """Return the linear indices of the cells of one layer across an axis.

    Raises:
        ValueError: if there is no such layer.
    """
    x, y, z = ((0, length - 1) if name != axis else (place, place) for name, length in _lengths(dimensions))
    return box_cells(dimensions, (x, y, z))


def random_cells(dimensions: Dimensions, share: float, seed: int = 0) -> tuple[int, ...]:
    """Return a random share of all cells, rounded to whole cells; equal seeds take equal cells.

    A larger share of the same seed contains the smaller one.

    Raises:
        ValueError: if the share is not within 0 to 1.
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"a share of {share} of all cells is impossible; give one from 0 to 1")
    count = int(np.prod(dimensions))
    order = np.random.default_rng(seed).permutation(count)
    return tuple(sorted(order[: round(share * count)].tolist()))


def near_cells(dimensions: Dimensions, cells: tuple[int, ...], steps: int = 1) -> npt.NDArray[np.bool_]:
    """Return which cells (N,) are not among ``cells`` but at most ``steps`` away, along edges or diagonals.

    Every cell has up to 26 neighbors one step away. The boundaries are open.
    """
    taken = np.zeros(dimensions, dtype=np.bool_)
    taken.ravel()[list(cells)] = True
    grown = taken.copy()
    for _ in range(steps):
        for axis in range(3):
            line = np.moveaxis(grown, axis, 0)
            before = line.copy()
            line[1:] |= before[:-1]
            line[:-1] |= before[1:]
    near: npt.NDArray[np.bool_] = (grown & ~taken).ravel()
    return near


def _lengths(dimensions: Dimensions) -> list[tuple[Axis, int]]:
    return list(zip(AXES, dimensions, strict=True))
