"""Tiers, populations and remedies against a dense loop over all pairs of cells."""

import itertools
import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cellnet.lattice.connections import ConnectionIndex
from cellnet.lattice.distances import distance_table
from cellnet.lattice.geometry import (
    TIERS,
    Dimensions,
    Tier,
    coordinates,
    filling_ratios,
    geometry_report,
    linear_index,
    morton_order,
    surface_mask,
    tier_offsets,
    tier_population,
)
from cellnet.settings import LatticeSettings, NeighborSettings, preset

Neighbors = dict[Tier, list[set[int]]]


def thresholds(lattice: LatticeSettings) -> tuple[float, float, float]:
    return NeighborSettings().get_distance_thresholds(lattice)


def dense_neighbors(lattice: LatticeSettings) -> Neighbors:
    """Sort every ordered pair of different cells into its tier, one at a time."""
    cells = list(itertools.product(*(range(length) for length in lattice.dimensions)))
    radius = max(lattice.dimensions) * lattice.adaptive_radius_ratio
    local = radius * lattice.local_distance_ratio
    functional = radius * lattice.functional_distance_ratio
    distant = radius * lattice.distant_distance_ratio
    found: Neighbors = {tier: [set() for _ in cells] for tier in TIERS}
    for (i, a), (j, b) in itertools.permutations(enumerate(cells), 2):
        squares = 0
        for p, q, length in zip(a, b, lattice.dimensions, strict=True):
            gap = abs(p - q)
            if lattice.boundary == "toroidal":
                gap = min(gap, length - gap)
            squares += gap * gap
        r = math.sqrt(squares)
        if r <= local:
            found["local"][i].add(j)
        elif r <= functional:
            found["functional"][i].add(j)
        elif r <= distant:
            found["distant"][i].add(j)
    return found


def lattice_of(dimensions: Dimensions, boundary: str, radius: float, *ratios: float) -> LatticeSettings:
    local, functional, distant = ratios or (0.5, 0.75, 1.0)
    return LatticeSettings(
        dimensions=dimensions,
        boundary=boundary,
        adaptive_radius_ratio=radius,
        local_distance_ratio=local,
        functional_distance_ratio=functional,
        distant_distance_ratio=distant,
    )


CASES = [
    lattice_of((4, 4, 4), "open", 0.5),
    lattice_of((5, 5, 5), "toroidal", 0.4),
    lattice_of((4, 4, 4), "toroidal", 1.0),
    lattice_of((4, 4, 4), "open", 1.0),
    lattice_of((3, 4, 7), "open", 0.45),
    lattice_of((7, 3, 4), "toroidal", 0.45),
    lattice_of((3, 6, 5), "toroidal", 1.0, 0.3, 0.6, 0.9),
    lattice_of((4, 6, 3), "open", 0.9, 0.0, 0.5, 0.5),
]


@pytest.mark.parametrize("lattice", CASES, ids=str)
@pytest.mark.parametrize("morton", [True, False])
def test_connections_equal_the_dense_loop(lattice: LatticeSettings, morton: bool) -> None:
    lattice = lattice.replace(enable_morton_encoding=morton)
    index = ConnectionIndex(lattice, NeighborSettings(), block_cells=16)
    expected = dense_neighbors(lattice)
    for cell in range(lattice.cell_count):
        found = index.neighbors_of(cell)
        for tier in TIERS:
            assert found[tier].tolist() == sorted(expected[tier][cell])


@pytest.mark.parametrize("lattice", CASES, ids=str)
def test_populations_equal_the_dense_loop(lattice: LatticeSettings) -> None:
    report = geometry_report(lattice, thresholds(lattice), steps=5)
    for tier, sets in dense_neighbors(lattice).items():
        counts = [len(found) for found in sets]
        population = report.tiers[tier]
        assert (population.min, population.max, population.edges) == (min(counts), max(counts), sum(counts))
        assert population.mean == pytest.approx(sum(counts) / len(counts))
    assert set(report.empty_tiers) == {tier for tier in TIERS if report.tiers[tier].edges == 0}


@st.composite
def lattices(draw: st.DrawFn, longest: int = 6) -> LatticeSettings:
    ratio = st.one_of(st.floats(0.0, 1.0), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
    return lattice_of(
        draw(st.tuples(*[st.integers(3, longest)] * 3)),
        draw(st.sampled_from(["open", "toroidal"])),
        draw(st.floats(0.01, 1.0)),
        *sorted(draw(st.tuples(ratio, ratio, ratio))),
    )


@given(lattices(longest=5))
@settings(max_examples=40)
def test_tiers_partition_the_pairs_within_the_distant_threshold(lattice: LatticeSettings) -> None:
    index = ConnectionIndex(lattice, NeighborSettings(), block_cells=32)
    expected = dense_neighbors(lattice)
    for cell in range(0, lattice.cell_count, 7):
        found = {tier: set(neighbors.tolist()) for tier, neighbors in index.neighbors_of(cell).items()}
        assert found == {tier: expected[tier][cell] for tier in TIERS}
        assert sum(map(len, found.values())) == len(set().union(*found.values()) - {cell})


@given(lattices(longest=12))
@settings(max_examples=150)
def test_the_remedy_of_an_empty_tier_fills_it(lattice: LatticeSettings) -> None:
    offsets = tier_offsets(lattice, thresholds(lattice))
    report = geometry_report(lattice, thresholds(lattice), steps=5)
    for tier in report.empty_tiers:
        assert len(offsets.of(tier)) == 0
        changes = filling_ratios(tier, lattice)
        filled = lattice.replace(**changes)
        assert len(tier_offsets(filled, thresholds(filled)).of(tier)) > 0
        for name, value in changes.items():
            assert f"{name} " in report.empty_tiers[tier]
            assert f"{value:.4f}" in report.empty_tiers[tier]


@given(lattices(longest=12))
@settings(max_examples=150)
def test_the_remedy_is_the_smallest(lattice: LatticeSettings) -> None:
    for tier in geometry_report(lattice, thresholds(lattice), steps=5).empty_tiers:
        changes = filling_ratios(tier, lattice)
        name = f"{tier}_distance_ratio"
        assume(list(changes) == [name] and changes[name] - 1.01e-4 > getattr(lattice, name))
        less = lattice.replace(**{name: changes[name] - 1.01e-4})
        assert len(tier_offsets(less, thresholds(less)).of(tier)) == 0


def test_default_populations_at_8() -> None:
    lattice = preset("seed").lattice
    report = geometry_report(lattice, thresholds(lattice), steps=5)
    assert [report.tiers[tier].offsets for tier in TIERS] == [0, 6, 12]
    assert report.empty_tiers == {"local": "local_distance_ratio >= 0.6250 would fill it"}
    # 3 directions with 7 * 8 * 8 pairs each, counted from both ends.
    assert report.tiers["functional"].edges == 2 * 3 * 7 * 8 * 8
    assert report.tiers["distant"].edges == 2 * 6 * 7 * 7 * 8
    assert (report.tiers["functional"].min, report.tiers["functional"].max) == (3, 6)


def test_balanced_splits_the_26_neighbors_into_faces_edges_and_corners() -> None:
    lattice = preset("balanced").lattice
    offsets = tier_offsets(lattice, thresholds(lattice))
    for tier, count, moved in (("local", 6, 1), ("functional", 12, 2), ("distant", 8, 3)):
        assert len(offsets.of(tier)) == count
        assert offsets.of(tier).abs().sum(dim=1).tolist() == [moved] * count
    assert geometry_report(lattice, thresholds(lattice), steps=5).empty_tiers == {}


def test_default_populations_at_37() -> None:
    lattice = preset("large").lattice
    report = geometry_report(lattice, thresholds(lattice), steps=5)
    assert [report.tiers[tier].offsets for tier in TIERS] == [0, 460, 1282]
    assert "local" in report.empty_tiers
    assert (
        report.tiers["distant"].max == 1282 > report.tiers["distant"].mean > report.tiers["distant"].min > 0
    )


def test_local_tier_is_empty_below_50_and_filled_from_there() -> None:
    for edge, count in ((49, 0), (50, 6)):
        lattice = LatticeSettings(dimensions=(edge, edge, edge))
        assert tier_population(0.0, lattice.local_distance_threshold, lattice).offsets == count


@pytest.mark.parametrize(
    ("lattice", "steps", "per_step", "crosses"),
    [
        (lattice_of((8, 8, 8), "open", 0.2, 0.1, 0.65, 1.0), 5, math.sqrt(2), False),
        (lattice_of((8, 8, 8), "open", 0.2, 0.1, 0.65, 1.0), 7, math.sqrt(2), True),
        (lattice_of((8, 8, 8), "toroidal", 0.2, 0.1, 0.65, 1.0), 4, math.sqrt(2), True),
        (lattice_of((8, 8, 8), "toroidal", 0.2, 0.1, 0.65, 1.0), 3, math.sqrt(2), False),
        (lattice_of((3, 3, 9), "open", 0.4), 2, math.sqrt(12), False),
        (lattice_of((3, 3, 9), "open", 0.4), 3, math.sqrt(12), True),
        (lattice_of((4, 4, 4), "open", 0.1), 100, 0.0, False),
    ],
)
def test_reach(lattice: LatticeSettings, steps: int, per_step: float, crosses: bool) -> None:
    reach = geometry_report(lattice, thresholds(lattice), steps).reach
    assert reach.per_step == pytest.approx(per_step)
    assert reach.total == pytest.approx(per_step * steps)
    assert reach.edge == max(lattice.dimensions)
    assert reach.crosses is crosses


@given(st.tuples(*[st.integers(3, 9)] * 3))
def test_morton_order_is_a_permutation_along_the_curve(dimensions: Dimensions) -> None:
    order = morton_order(dimensions).tolist()
    assert sorted(order) == list(range(math.prod(dimensions)))

    def code(index: int) -> int:
        x, rest = divmod(index, dimensions[1] * dimensions[2])
        y, z = divmod(rest, dimensions[2])
        return int("".join(f"{x >> b & 1}{y >> b & 1}{z >> b & 1}" for b in reversed(range(8))), 2)

    assert [code(i) for i in order] == sorted(code(i) for i in order)


@given(st.tuples(*[st.integers(3, 9)] * 3))
def test_linear_order_and_surface(dimensions: Dimensions) -> None:
    X, Y, Z = dimensions
    cells = coordinates(dimensions)
    assert cells.tolist() == [list(cell) for cell in itertools.product(range(X), range(Y), range(Z))]
    assert linear_index(cells, dimensions).tolist() == list(range(X * Y * Z))
    inner = [0 < x < X - 1 and 0 < y < Y - 1 and 0 < z < Z - 1 for x, y, z in cells.tolist()]
    assert torch.equal(surface_mask(dimensions), ~torch.tensor(inner))


@pytest.mark.parametrize("lattice", CASES, ids=str)
def test_the_table_of_distances_equals_the_dense_loop(lattice: LatticeSettings) -> None:
    pairs: dict[int, int] = {}
    cells = list(itertools.product(*(range(length) for length in lattice.dimensions)))
    for a, b in itertools.permutations(cells, 2):
        gaps = [abs(p - q) for p, q in zip(a, b, strict=True)]
        if lattice.boundary == "toroidal":
            gaps = [min(gap, size - gap) for gap, size in zip(gaps, lattice.dimensions, strict=True)]
        square = sum(gap * gap for gap in gaps)
        pairs[square] = pairs.get(square, 0) + 1
    table = distance_table(lattice)
    assert table.distances.tolist() == [math.sqrt(square) for square in sorted(pairs)]
    assert table.pairs.tolist() == [pairs[square] for square in sorted(pairs)]
    assert table.displacements.sum() == (
        lattice.cell_count - 1
        if lattice.boundary == "toroidal"
        else math.prod(2 * length - 1 for length in lattice.dimensions) - 1
    )
