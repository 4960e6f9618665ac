"""Positions of cells, distances between them, and the tiers that the distance ratios make."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from cellnet.lattice.distances import distance_table, fewest_and_most, longest_along_an_axis
from cellnet.settings import DistanceThresholds, LatticeSettings

Tier = Literal["local", "functional", "distant"]
TIERS: tuple[Tier, Tier, Tier] = ("local", "functional", "distant")
Dimensions = tuple[int, int, int]
_RATIOS = tuple(f"{tier}_distance_ratio" for tier in TIERS)


def coordinates(dimensions: Dimensions, device: torch.device | str = "cpu") -> Tensor:
    """Return the integer coordinates (N, 3) of all cells in linear order ``(x*Y + y)*Z + z``."""
    axes = [torch.arange(length, device=device) for length in dimensions]
    return torch.cartesian_prod(*axes)


def linear_index(cells: Tensor, dimensions: Dimensions) -> Tensor:
    """Return the linear index of coordinates (..., 3)."""
    _, y, z = dimensions
    return (cells[..., 0] * y + cells[..., 1]) * z + cells[..., 2]


def morton_order(dimensions: Dimensions) -> Tensor:
    """Return the linear indices (N,) of all cells, sorted along the Morton (Z-order) curve."""
    cells = coordinates(dimensions)
    code = torch.zeros(len(cells), dtype=torch.long)
    for bit in range(max(dimensions).bit_length()):
        for axis in range(3):
            code |= ((cells[:, axis] >> bit) & 1) << (3 * bit + 2 - axis)
    return torch.argsort(code, stable=True)


def surface_mask(dimensions: Dimensions) -> Tensor:
    """Return a boolean (N,) that is true for cells on one of the six faces."""
    cells = coordinates(dimensions)
    last = torch.tensor(dimensions) - 1
    return ((cells == 0) | (cells == last)).any(dim=1)


@dataclass(frozen=True)
class TierOffsets:
    """Integer displacements (K, 3) of each tier."""

    local: Tensor
    functional: Tensor
    distant: Tensor

    def of(self, tier: Tier) -> Tensor:
        """Return the displacements of one tier."""
        offsets: Tensor = getattr(self, tier)
        return offsets


def _candidate_offsets(radius: float, lattice: LatticeSettings) -> tuple[Tensor, Tensor]:
    reach = math.floor(radius)
    ranges = []
    for length in lattice.dimensions:
        if lattice.boundary == "toroidal":
            # One representative of each displacement modulo the edge: the shortest one.
            low, high = -min(reach, (length - 1) // 2), min(reach, length // 2)
        else:
            low, high = -min(reach, length - 1), min(reach, length - 1)
        ranges.append(torch.arange(low, high + 1))
    offsets = torch.cartesian_prod(*ranges)
    distance = offsets.double().square().sum(dim=1).sqrt()
    return offsets, distance


def tier_offsets(lattice: LatticeSettings, thresholds: DistanceThresholds) -> TierOffsets:
    """Return the displacements of each tier.

    A displacement of Euclidean length r belongs to local if ``0 < r <= local``, to functional if
    ``local < r <= functional``, to distant if ``functional < r <= distant``.
    """
    offsets, distance = _candidate_offsets(thresholds.distant, lattice)
    bounds = (0.0, *thresholds)
    tiers = [offsets[(distance > low) & (distance <= high)] for low, high in pairwise(bounds)]
    return TierOffsets(*tiers)


@dataclass(frozen=True)
class TierPopulation:
    """The numbers of neighbors in one tier."""

    offsets: int
    mean: float
    min: int
    max: int
    edges: int


def tier_population(low: float, high: float, lattice: LatticeSettings) -> TierPopulation:
    """Count the neighbors of every cell that are more than ``low`` and at most ``high`` away."""
    table = distance_table(lattice)
    band = table.band(low, high)
    offsets, edges = int(table.displacements[band].sum()), int(table.pairs[band].sum())
    if not edges:
        return TierPopulation(0, 0.0, 0, 0, 0)
    fewest, most = fewest_and_most(lattice, low, high)
    return TierPopulation(offsets, edges / lattice.cell_count, fewest, most, edges)


@dataclass(frozen=True)
class Reach:
    """The reach of a signal in T steps.

    Attributes:
        per_step: longest connection, in cells.
        total: ``per_step`` times the number of steps, in cells.
        edge: longest edge of the cube, in cells.
        crosses: whether a signal can cross the cube from face to face.
    """

    per_step: float
    total: float
    edge: int
    crosses: bool


@dataclass(frozen=True)
class GeometryReport:
    """The meaning of the distance ratios for one lattice."""

    thresholds: DistanceThresholds
    tiers: dict[Tier, TierPopulation]
    empty_tiers: dict[Tier, str]
    reach: Reach


def filling_ratios(tier: Tier, lattice: LatticeSettings) -> dict[str, float]:
    """Return the smallest change of ratios, ``{name: value}``, that puts a neighbor into an empty tier.

    The ratio of the tier itself is raised if that is enough, else the radius too; if the tiers before it
    leave no room, their ratios are lowered. Ratios of later tiers follow, since they must not decrease.
    Values are rounded to four decimals, so that the neighbor is within.
    """
    place = TIERS.index(tier)
    name, before, after = _RATIOS[place], _RATIOS[:place], _RATIOS[place + 1 :]
    edge, radius = float(max(lattice.dimensions)), lattice.max_radius
    inner = max((getattr(lattice, ratio) for ratio in before), default=0.0)
    distances = distance_table(lattice).distances
    beyond = distances[distances > inner * radius]
    if len(beyond):
        nearest = float(beyond.min())
        ratio = _rounded_up(nearest, radius)
        if ratio <= 1.0:
            return {name: ratio} | {later: ratio for later in after if getattr(lattice, later) < ratio}
        radius_ratio = _rounded_up(nearest, edge)
        if radius_ratio <= 1.0 and edge * radius_ratio * inner < nearest:
            return {"adaptive_radius_ratio": radius_ratio, **dict.fromkeys((name, *after), 1.0)}
    changes = dict.fromkeys((name, *after), 1.0)
    if radius < 1.0:
        changes["adaptive_radius_ratio"] = _rounded_up(1.0, edge)
        radius = edge * changes["adaptive_radius_ratio"]
    below = math.floor(float(distances[distances <= radius].max()) / radius * 1e4 - 0.5) / 1e4
    return changes | {earlier: below for earlier in before if getattr(lattice, earlier) > below}


def _rounded_up(distance: float, whole: float) -> float:
    """Return the smallest share with four decimals of ``whole`` that is at least ``distance``."""
    ticks = math.floor(distance / whole * 1e4)
    while whole * (ticks / 1e4) < distance:
        ticks += 1
    return ticks / 1e4


def _remedy(tier: Tier, lattice: LatticeSettings) -> str:
    """Say which smallest change of ratios would put a neighbor into an empty tier."""
    changes = filling_ratios(tier, lattice)
    name = _RATIOS[TIERS.index(tier)]
    if list(changes) == [name]:
        return f"{name} >= {changes[name]:.4f} would fill it"
    return "it would be filled by " + ", ".join(f"{key} = {value:.4f}" for key, value in changes.items())


def geometry_report(lattice: LatticeSettings, thresholds: DistanceThresholds, steps: int) -> GeometryReport:
    """Describe thresholds, tier populations, empty tiers (with a remedy each) and reach."""
    bounds = pairwise((0.0, *thresholds))
    tiers = {tier: tier_population(*bound, lattice) for tier, bound in zip(TIERS, bounds, strict=True)}
    empty = {tier: _remedy(tier, lattice) for tier, population in tiers.items() if not population.edges}
    table = distance_table(lattice)
    connected = table.distances[table.band(0.0, thresholds.distant)]
    per_step = float(connected[-1]) if len(connected) else 0.0
    along_axis = longest_along_an_axis(lattice, thresholds.distant)
    edge = max(lattice.dimensions)
    crosses = along_axis * steps >= (edge // 2 if lattice.boundary == "toroidal" else edge - 1)
    return GeometryReport(thresholds, tiers, empty, Reach(per_step, per_step * steps, edge, crosses))
