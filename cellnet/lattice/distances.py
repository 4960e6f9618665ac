"""Counts of cells by distance, without a list of neighbors: fast enough for a slider."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import floor
from typing import Final

import numpy as np
import numpy.typing as npt

from cellnet.settings import LatticeSettings

Dimensions = tuple[int, int, int]
IntArray = npt.NDArray[np.int64]
_KEPT: Final = 16


@dataclass(frozen=True)
class DistanceTable:
    """Every distance between two different cells, ascending.

    Attributes:
        distances: the distances, in cells, (S,) float64.
        displacements: number of integer displacements of each length, (S,) int64.
        pairs: ordered pairs of cells that far apart, (S,) int64; each connection counts from both ends.
    """

    distances: npt.NDArray[np.float64]
    displacements: IntArray
    pairs: IntArray

    def band(self, low: float, high: float) -> slice:
        """The rows with ``low < distance <= high``."""
        first, last = np.searchsorted(self.distances, [low, high], side="right")
        return slice(int(first), int(last))


def distance_table(lattice: LatticeSettings) -> DistanceTable:
    """Return the distances of a lattice; they depend on dimensions and boundary alone and are cached."""
    return _table(lattice.dimensions, lattice.boundary == "toroidal")


@lru_cache(maxsize=_KEPT)
def _table(dimensions: Dimensions, wraps: bool) -> DistanceTable:
    lengths = [_axis_reach(length, wraps) + 1 for length in dimensions]
    squares = _squares(lengths).ravel()
    signs = [_signs(length, wraps) for length in dimensions]
    starts = [
        np.full(reach, length) if wraps else length - np.arange(reach)
        for length, reach in zip(dimensions, lengths, strict=True)
    ]
    displacements = _outer(signs).ravel()
    pairs = displacements * _outer(starts).ravel()
    # Sums of whole numbers below 2^53, so that float64 counts exactly.
    counted = [np.bincount(squares, weights=weights) for weights in (displacements, pairs)]
    present = np.flatnonzero(counted[0])[1:]
    columns = [np.rint(column[present]).astype(np.int64) for column in counted]
    for column in columns:
        column.setflags(write=False)
    return DistanceTable(np.sqrt(present.astype(np.float64)), columns[0], columns[1])


def fewest_and_most(lattice: LatticeSettings, low: float, high: float) -> tuple[int, int]:
    """Return the smallest and largest number of neighbors with ``low < distance <= high`` of any cell."""
    if lattice.boundary == "toroidal":
        table = distance_table(lattice)
        count = int(table.displacements[table.band(low, high)].sum())
        return count, count
    return _open_counts(lattice.dimensions, low, high)


@lru_cache(maxsize=8 * _KEPT)
def _open_counts(dimensions: Dimensions, low: float, high: float) -> tuple[int, int]:
    """Count along one axis after the other: a displacement is used forward, backward, or both ways."""
    reach = [min(length, floor(high) + 1) for length in dimensions]
    distance = np.sqrt(_squares(reach).astype(np.float64))
    counts = ((distance > low) & (distance <= high)).astype(np.int32)
    for axis, length in enumerate(dimensions):
        sums = np.moveaxis(counts, axis, 0).cumsum(axis=0)
        last = len(sums) - 1
        # Cells p and length - 1 - p have equally many neighbors, so that half of them are enough.
        here = np.arange((length + 1) // 2)
        ways = sums[np.minimum(here, last)] + sums[np.minimum(length - 1 - here, last)] - sums[0]
        counts = np.moveaxis(ways, 0, axis)
    return int(counts.min()), int(counts.max())


def _axis_reach(length: int, wraps: bool) -> int:
    """Longest displacement along an axis."""
    return length // 2 if wraps else length - 1


def _signs(length: int, wraps: bool) -> IntArray:
    """In how many directions each displacement along an axis can go: 0 in one, others in two."""
    signs = np.full(_axis_reach(length, wraps) + 1, 2)
    signs[0] = 1
    if wraps and length % 2 == 0:
        signs[-1] = 1  # half the way around is the same cell in both directions
    return signs


def _squares(lengths: list[int]) -> IntArray:
    """Squared length of each displacement without its signs."""
    x, y, z = (np.arange(length) ** 2 for length in lengths)
    return x[:, None, None] + y[:, None] + z


def _outer(factors: list[IntArray]) -> IntArray:
    x, y, z = factors
    return x[:, None, None] * y[:, None] * z


def longest_along_an_axis(lattice: LatticeSettings, radius: float) -> int:
    """Return how many cells the longest connection up to ``radius`` can advance along one axis."""
    wraps = lattice.boundary == "toroidal"
    return min(floor(radius), max(_axis_reach(length, wraps) for length in lattice.dimensions))
