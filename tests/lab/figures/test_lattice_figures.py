"""Colorings, cuts, surfaces and wiring of the cube, against plain formulas."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from cellnet.lattice.geometry import coordinates
from cellnet.settings import preset, with_changes
from cellnet.student.surface import place
from lab.figures.cell import cell_panel, history_panel, neighbor_table
from lab.figures.cube.cuts import Cut, lattice_scene, shown_cells
from lab.figures.cube.fields import (
    CellField,
    activity,
    agreement,
    cell_fields,
    common_limits,
    differences,
    fit_components,
)
from lab.figures.cube.surfaces import isosurface
from lab.figures.cube.wiring import depth, wiring
from lab.figures.inline import bars, heatmap, stacks
from lab.training import CubeFrame

SIZE = (3, 4, 5)
CELLS = 60


@pytest.fixture
def frame() -> CubeFrame:
    rng = np.random.default_rng(0)
    states = rng.normal(size=(3, CELLS, 6)).astype(np.float32)
    gate = rng.dirichlet(np.ones(3), size=(2, CELLS)).astype(np.float32)
    return CubeFrame(1, 10, SIZE, states, gate, 0.9, "A sentence.", 0.01)


def field(values: np.ndarray) -> CellField:
    return CellField(SIZE, "made up", values.astype(np.float32), (0.0, 1.0))


def test_activity_is_the_root_mean_square(frame: CubeFrame) -> None:
    expected = np.sqrt((frame.states.astype(np.float64) ** 2).mean(axis=-1))
    np.testing.assert_allclose(activity(frame.states), expected, rtol=1e-6)


def test_agreement_is_the_mean_cosine_of_all_pairs() -> None:
    states = np.random.default_rng(1).normal(size=(5, 7, 4)).astype(np.float32)
    pairs = []
    for one, other in itertools.permutations(range(5), 2):
        a, b = states[one].astype(np.float64), states[other].astype(np.float64)
        pairs.append((a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1))
    np.testing.assert_allclose(agreement(states), np.mean(pairs, axis=0), atol=1e-6)
    np.testing.assert_allclose(agreement(np.repeat(states[:1], 4, axis=0)), 1.0, atol=1e-6)
    states[:, 3] = 0
    assert agreement(states)[3] == 0
    with pytest.raises(ValueError, match="at least two"):
        agreement(states[:1])


def test_components_span_what_a_singular_value_decomposition_finds(frame: CubeFrame) -> None:
    found = fit_components(frame.states)
    rows = frame.states.reshape(-1, 6).astype(np.float64)
    _, sizes, directions = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    overlap = np.abs(directions[:3] @ found.basis)
    np.testing.assert_allclose(overlap, np.eye(3), atol=2e-3)
    assert found.explained == pytest.approx((sizes[:3] ** 2).sum() / (sizes**2).sum(), rel=1e-4)
    colors = found.colors(frame.states[0])
    assert colors.min() >= 0
    assert colors.max() <= 1


def test_components_keep_their_colors_when_states_hardly_change(frame: CubeFrame) -> None:
    before = fit_components(frame.states)
    turned = type(before)(before.mean, -before.basis[:, [2, 0, 1]], before.spread, before.explained)
    after = fit_components(frame.states + 1e-4, like=turned)
    np.testing.assert_allclose(after.basis, turned.basis, atol=1e-2)
    np.testing.assert_allclose(after.basis.T @ after.basis, np.eye(3), atol=1e-5)


def test_fields_of_a_frame(frame: CubeFrame) -> None:
    changes = cell_fields(frame, "change")
    assert list(changes) == [1, 2]
    change = changes[2]
    expected = np.sqrt(((frame.states[2] - frame.states[1]) ** 2).mean(axis=-1))
    np.testing.assert_allclose(change.values, expected, rtol=1e-5)
    channels = cell_fields(frame, "channel", channel=4)
    channel = channels[1]
    np.testing.assert_array_equal(channel.values, frame.states[1, :, 4])
    assert channel.limits[0] == -channel.limits[1]
    expert = cell_fields(frame, "expert")[1]
    assert expert.codes is not None
    np.testing.assert_array_equal(expert.codes, frame.gate[0].argmax(axis=1))
    with pytest.raises(ValueError, match="needs the components"):
        cell_fields(frame, "components")
    both = common_limits([changes, channels])
    assert [list(fields) for fields in both] == [[1, 2], [1, 2]]
    limits = {each.limits for fields in both for each in fields.values()}
    assert limits == {(channel.limits[0], max(change.limits[1], channel.limits[1]))}


def test_a_difference_is_right_minus_left_on_a_ramp_around_zero(frame: CubeFrame) -> None:
    other = replace(frame, states=frame.states[:, ::-1] * 2)
    left, right = (cell_fields(each, "channel", channel=3) for each in (frame, other))
    found = differences(left, right)
    expected = frame.states[:, ::-1, 3] * 2 - frame.states[:, :, 3]
    for at, cells in found.items():
        np.testing.assert_allclose(cells.values, expected[at], rtol=1e-6)
        assert cells.limits == found[0].limits
        assert cells.limits[0] == -cells.limits[1]
        assert cells.label == "right minus left: channel 3"
    end = max(abs(np.percentile(expected, (1, 99))))
    assert found[0].limits[1] == pytest.approx(end, rel=1e-5)
    experts = differences(cell_fields(frame, "expert"), cell_fields(other, "expert"))
    np.testing.assert_allclose(experts[2].values, activity(other.states)[2] - activity(frame.states)[2])
    assert experts[2].codes is None
    with pytest.raises(ValueError, match="different sizes"):
        differences(left, {0: replace(left[0], dimensions=(3, 5, 4))})


def test_cuts() -> None:
    values = np.linspace(-0.2, 1.2, CELLS)
    cells = field(values)
    slices = shown_cells(cells, Cut("slices", planes=(1, None, 4))).reshape(SIZE)
    expected = np.zeros(SIZE, dtype=bool)
    expected[1], expected[:, :, 4] = True, True
    np.testing.assert_array_equal(slices, expected)
    box = shown_cells(cells, Cut("box", box=((0, 0), (1, 2), (0, 4))))
    assert box.sum() == 10
    upper = shown_cells(cells, Cut("threshold", share=(0.5, 1.0)))
    np.testing.assert_array_equal(upper, values.astype(np.float32) >= 0.5)
    middle = shown_cells(cells, Cut("threshold", share=(0.25, 0.75)))
    np.testing.assert_array_equal(middle, (values >= 0.25) & (values <= 0.75))
    only = shown_cells(cells, Cut("box", box=((0, 0), (1, 2), (0, 4)), only=(0, 5, 6)))
    assert np.flatnonzero(only).tolist() == [5, 6]
    assert (
        Cut(only=(3, 5)).narrowed(None) == Cut().narrowed((3, 5)) == Cut(only=(5, 3, 9)).narrowed((1, 3, 5))
    )
    assert not shown_cells(cells, Cut(only=(1,)).narrowed((2,))).any()
    layers = lattice_scene(cells, Cut("layers", gap=2.0, axis=1))
    assert layers.geometry.spacing == (0.0, 2.0, 0.0)


def test_a_surface_runs_at_its_level_and_is_closed() -> None:
    size = (12, 12, 12)
    places = np.indices(size).reshape(3, -1).T + 0.5
    mesh = isosurface(size, -np.linalg.norm(places - 6, axis=1), -4.0)
    radii = np.linalg.norm(mesh.points - 6, axis=1)
    np.testing.assert_allclose(radii, 4.0, atol=0.06)
    edges = np.sort(mesh.triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    _, counts = np.unique(edges, axis=0, return_counts=True)
    assert (counts == 2).all()
    corners = mesh.points[mesh.triangles].astype(np.float64)
    volume = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert volume == pytest.approx(4 / 3 * np.pi * 4**3, rel=0.04)
    middles = corners.mean(axis=1)
    np.testing.assert_array_equal(np.unravel_index(mesh.cells, size), np.floor(middles.T))
    assert mesh.shown == (np.linalg.norm(places - 6, axis=1) <= 4).sum()


def test_a_surface_around_everything_stays_in_the_cube_and_one_around_nothing_is_empty() -> None:
    size = (4, 4, 4)
    values = np.random.default_rng(2).random(64).astype(np.float32)
    around = isosurface(size, values, -0.1)
    assert around.points.min() >= 0
    assert around.points.max() <= 4
    nothing = isosurface(size, values, 2.0)
    assert nothing.triangles.shape == (0, 3)
    with pytest.raises(ValueError, match="do not fit"):
        isosurface(size, values[:9], 0.5)


@pytest.mark.parametrize("boundary", ["open", "toroidal"])
def test_wiring_is_that_of_all_distances(boundary: str) -> None:
    settings = with_changes(
        preset("balanced"),
        {
            "lattice.dimensions": (6, 6, 6),
            "lattice.adaptive_radius_ratio": 0.3,
            "lattice.boundary": boundary,
        },
    )
    thresholds = settings.neighbors.get_distance_thresholds(settings.lattice)
    found = wiring(settings, 7)
    places = np.indices((6, 6, 6)).reshape(3, -1).T
    difference = np.abs(places - places[7])
    if boundary == "toroidal":
        difference = np.minimum(difference, 6 - difference)
    distance = np.linalg.norm(difference, axis=1)
    low = 0.0
    for tier, high in zip(("local", "functional", "distant"), thresholds, strict=True):
        expected = np.flatnonzero((distance > low) & (distance <= high))
        assert sorted(found.neighbors[tier].tolist()) == expected.tolist()  # type: ignore[index]
        low = high
    with pytest.raises(ValueError, match="no cell 216"):
        wiring(settings, 216)


@pytest.mark.parametrize("boundary", ["open", "toroidal"])
@pytest.mark.parametrize("placement", ["faces", "face", "edges", "uniform"])
def test_depth_is_the_distance_to_the_nearest_cell_that_holds_the_surface(
    placement: str, boundary: str
) -> None:
    settings = with_changes(
        preset("quickstart"),
        {
            "lattice.dimensions": (6, 5, 7),
            "lattice.boundary": boundary,
            "embedding.placement_strategy": placement,
        },
    )
    cells = coordinates((6, 5, 7)).numpy()
    apart = np.abs(cells[:, None] - cells[place(settings).cells.numpy()])
    if boundary == "toroidal":
        apart = np.minimum(apart, (6, 5, 7) - apart)
    np.testing.assert_array_equal(depth(settings), apart.max(axis=2).min(axis=1))


def test_depth_counts_layers_from_the_surface() -> None:
    changes = {"lattice.dimensions": (5, 5, 5), "embedding.placement_strategy": "faces"}
    settings = with_changes(preset("quickstart"), changes)
    assert np.bincount(depth(settings)).tolist() == [98, 26, 1]


def test_inline_charts_show_the_numbers(frame: CubeFrame) -> None:
    drawn = bars(np.array([1.0, -0.5]), name="channel")
    assert "top: 0.0%; height: 50.0%" in drawn
    assert "top: 50.0%; height: 25.0%" in drawn
    heat = heatmap(np.array([[1.0, -2.0]]), rows=["0"], name="channel", row_name="step", limit=2.0)
    assert "#0072B280" in heat
    assert "#D55E00ff" in heat
    stacked = stacks(
        np.array([[0.25, 0.75]]), {"a": "#000000", "b": "#ffffff"}, rows=["1"], row_name="step"
    )
    assert "width: 25.00%" in stacked
    assert "step 1, b: 75.0%" in stacked
    panel = cell_panel(frame, 1, 8)
    assert f"channel 2: {float(frame.states[1, 8, 2]):.4g}" in panel
    assert "7 kept steps" in history_panel(frame.states[0, :7], range(7))


def test_the_neighbor_table_compares_a_cell_with_those_it_sees() -> None:
    settings = with_changes(preset("balanced"), {"lattice.dimensions": (4, 4, 4)})
    states = np.ones((2, 64, 6), dtype=np.float32)
    states[:, 0] = -2
    gate = np.full((1, 64, 3), 1 / 3, dtype=np.float32)
    frame = CubeFrame(1, 0, (4, 4, 4), states, gate, 1.0, "", 0.0)
    wired = wiring(with_changes(settings, {"lattice.adaptive_radius_ratio": 0.3}), 0)
    table = neighbor_table(wired, frame, 1)
    assert "-1.00" in table
