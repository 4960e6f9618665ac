"""Figures of the Probe page: numbers against loops written otherwise, from made-up inspections."""

from itertools import product

import numpy as np
import plotly.graph_objects as go
import pytest
from plotly_figures import validated

from cellnet.decoder import Match
from cellnet.inspection import FloatArray, Inspection
from cellnet.inspection.repair import measure_repair
from cellnet.settings import preset, with_changes
from cellnet.student.damage import Intervention
from lab.figures.colors import EXPERT_COLORS
from lab.figures.cube.cuts import Cut, View, lattice_scene
from lab.figures.cube.scenes import Scene
from lab.figures.cube.wiring import depth
from lab.figures.probe.cells import (
    Fields,
    activity,
    by_depth,
    change,
    decades,
    depth_figure,
    difference,
    on_one_ramp,
    own_part,
    stacked,
)
from lab.figures.probe.compare import cosines, matrices_figure, pair_panels, state_cosines, states_figure
from lab.figures.probe.damage import costs_figure, damage_panels
from lab.figures.probe.panels import lines_figure
from lab.figures.probe.sentence import (
    explained_share,
    scatter_figure,
    step_panels,
    strips_figure,
    surfaces_figure,
)
from lab.figures.probe.text import neighbors

DIMENSIONS = (4, 5, 3)
CELLS = list(product(range(4), range(5), range(3)))
ON_FACES = with_changes(
    preset("quickstart"), {"lattice.dimensions": DIMENSIONS, "embedding.placement_strategy": "faces"}
)
DEPTHS = depth(ON_FACES)
B, T, N, C, D = 3, 2, 60, 4, 6


def normal(*shape: int, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def made_up(seed: int = 0, intervention: Intervention | None = None) -> Inspection:
    return Inspection(
        dimensions=DIMENSIONS,
        teacher=normal(B, D, seed=1),
        surface_in=normal(B, 3, 3, seed=2),
        surface_out=normal(B, 3, 3, C, seed=3),
        states=normal(B, T + 1, N, C, seed=4 + seed),
        gate=np.full((B, T, N, 3), 1 / 3, np.float32),
        output_norms=np.ones((B, T, N, 3), np.float32),
        readouts=normal(B, T + 1, D, seed=5 + seed),
        cosine=normal(B, T + 1, seed=6 + seed),
        relative_change=np.abs(normal(B, T, seed=7)),
        intervention=intervention or Intervention(),
    )


def test_explained_share_is_against_the_training_mean() -> None:
    teacher, mean = np.array([[1.0, 1.0]], np.float32), np.array([0.0, 1.0], np.float32)
    answers = np.array([[1.0, 1.0], [0.0, 1.0], [0.5, 1.0], [3.0, 1.0]], np.float32)
    np.testing.assert_allclose(explained_share(teacher, answers, mean), [1.0, 0.0, 0.75, -3.0])


def test_depth_counts_cells_below_the_nearest_face() -> None:
    expected = [min(x, 3 - x, y, 4 - y, z, 2 - z) for x, y, z in CELLS]
    np.testing.assert_array_equal(DEPTHS, expected)
    assert depth(with_changes(ON_FACES, {"lattice.dimensions": (5, 5, 5)})).max() == 2


def test_by_depth_is_the_root_mean_square_over_the_cells_of_a_depth() -> None:
    values = normal(2, N)
    found = by_depth(values, DEPTHS)
    assert found.shape == (2, 2)
    for level in (0, 1):
        inside = [cell for cell in range(N) if DEPTHS[cell] == level]
        for row in (0, 1):
            expected = (sum(float(values[row, cell]) ** 2 for cell in inside) / len(inside)) ** 0.5
            assert found[level, row] == pytest.approx(expected)


def test_values_of_cells_are_root_mean_squares_over_channels() -> None:
    states, reference = normal(T + 1, N, C), normal(T + 1, N, C, seed=9)
    cell = 17
    wide, other = states.astype(np.float64)[:, cell], reference.astype(np.float64)[:, cell]
    apart = [np.sqrt(((a - b) ** 2).mean()) for a, b in zip(wide, other, strict=True)]
    for found, first, expected in (
        (activity(states, DIMENSIONS), 0, [np.sqrt((row**2).mean()) for row in wide]),
        (change(states, DIMENSIONS), 1, [np.sqrt(((wide[t + 1] - wide[t]) ** 2).mean()) for t in range(T)]),
        (own_part(states, reference, DIMENSIONS), 0, apart),
        (difference(reference, states, DIMENSIONS, "apart"), 0, apart),
    ):
        assert list(found) == list(range(first, T + 1))
        np.testing.assert_allclose(stacked(found)[:, cell], expected, rtol=1e-5)


def test_cosines_of_own_parts_leave_out_what_all_sentences_share() -> None:
    shared = 100 * normal(T + 1, N, C)
    own = np.zeros((2, T + 1, N, C), np.float32)
    own[0, :, 0, 0], own[1, :, 0, 0], own[1, 1, 0, 1] = 1, 2, 2
    found = state_cosines(own + shared, shared)
    np.testing.assert_allclose(found[:, 0, 1], [1.0, 0.5**0.5, 1.0], rtol=1e-3)
    np.testing.assert_allclose(cosines(np.array([[3.0, 0.0], [0.0, 0.0], [-1.0, 0.0]]))[0], [1, 0, -1])


def test_neighbors_know_their_rank_in_the_other_list() -> None:
    first = [Match("a", 0.9, 4), Match("b", 0.8, 7), Match("c", 0.7, 1)]
    second = [Match("c", 0.6, 1), Match("d", 0.5, 2), Match("a", 0.4, 4)]
    found = neighbors(first, second)
    assert [(n.text, n.cosine, n.rank, n.other_rank) for n in found] == [
        ("a", 0.9, 1, 3),
        ("b", 0.8, 2, None),
        ("c", 0.7, 3, 1),
    ]


def cell_scene(shown: Fields, at: int, view: View) -> Scene:
    return lattice_scene(shown[at], Cut.at_a_glance(view, DIMENSIONS))


def test_a_scene_shows_one_step_on_a_ramp_for_all_steps() -> None:
    values = np.abs(normal(2, N))
    shown = on_one_ramp(values, DIMENSIONS, "change", "magma", first=1)
    scene = cell_scene(shown, 2, "whole")
    assert scene.legend.low == 0
    assert scene.legend.high == pytest.approx(np.percentile(values, 99))
    cells = scene.geometry.cells
    brightest = int(values[1].argmax())
    surface = DEPTHS == 0
    if surface[brightest]:
        assert scene.colors[cells == brightest].max() == scene.colors.max()
    assert cell_scene(shown, 1, "cut open").geometry.shown == 4 * 3 * 3
    assert cell_scene(shown, 1, "layers").geometry.spacing == (0.0, 0.0, 1.2)


def test_decades_end_four_below_the_largest() -> None:
    values = np.array([[0.0, 1e-9, 0.002], [0.02, 0.2, 20.0]], np.float32)
    found = decades(on_one_ramp(values, (3, 1, 1), "signal", "viridis", first=1))
    np.testing.assert_allclose(
        stacked(found), np.log10([[0.002, 0.002, 0.002], [0.02, 0.2, 20]]), rtol=1e-6
    )
    assert found[1].limits[0] == pytest.approx(np.log10(0.002))
    assert (list(found), found[1].label) == ([1, 2], "log10 of signal")
    nothing = on_one_ramp(np.zeros((1, N), np.float32), DIMENSIONS, "signal", "viridis")
    assert decades(nothing) is nothing
    assert cell_scene(nothing, 0, "whole").legend.high == 0


def test_step_panels_bring_the_chosen_sentence_to_the_front() -> None:
    inspection = made_up()
    cosine, relative = step_panels(inspection, 1)
    assert [curve.name for curve in cosine.curves] == ["the others", "the others", "this sentence"]
    np.testing.assert_array_equal(cosine.curves[-1].y, inspection.cosine[1])
    np.testing.assert_array_equal(relative.curves[-1].x, [1, 2])
    np.testing.assert_array_equal(relative.curves[-1].y, inspection.relative_change[1])


def test_pair_panels_show_teacher_read_out_and_cube() -> None:
    inspection = made_up()
    states = state_cosines(inspection.states, normal(T + 1, N, C, seed=9))
    (panel,) = pair_panels(inspection, states, 0, 2)
    teacher, read, cube = panel.curves
    a, b = inspection.teacher[[0, 2]].astype(np.float64)
    np.testing.assert_allclose(teacher.y, a @ b / np.sqrt((a @ a) * (b @ b)))
    a, b = inspection.readouts[[0, 2], 1].astype(np.float64)
    assert read.y[1] == pytest.approx(a @ b / np.sqrt((a @ a) * (b @ b)))
    np.testing.assert_array_equal(cube.y, states[:, 0, 2])


def test_damage_panels_name_the_parts_that_there_are() -> None:
    intact, lesioned = made_up(), made_up(3, Intervention(lesioned=(0, 1)))
    _, apart = damage_panels(intact, lesioned, measure_repair(intact, lesioned), 1)
    assert [curve.name for curve in apart.curves] == [
        "whole cube",
        "the lesion",
        "next to it",
        "all other cells",
    ]
    noisy = made_up(3, Intervention(noise=1.0))
    cosine, apart = damage_panels(intact, noisy, measure_repair(intact, noisy), 1)
    assert [curve.name for curve in apart.curves] == ["whole cube"]
    np.testing.assert_array_equal(cosine.curves[0].y, noisy.cosine[1])
    np.testing.assert_array_equal(cosine.curves[1].y, intact.cosine[1])


def test_figures_of_lines_share_one_legend_entry_per_name_and_shade_the_damage() -> None:
    figure = validated(lines_figure(step_panels(made_up(), 0), shaded=(0, 1)))
    assert [trace.name for trace in figure.data if trace.showlegend] == ["the others", "this sentence"]
    assert [(shape.x0, shape.x1, shape.xref) for shape in figure.layout.shapes] == [
        (0, 1, "x"),
        (0, 1, "x2"),
    ]
    first, second = figure.layout.xaxis.domain, figure.layout.xaxis2.domain
    assert 0 == first[0] < first[1] < second[0] < second[1] == pytest.approx(1)
    assert figure.layout.annotations[0].text == "cosine with the teacher"


def test_maps_show_what_they_are_given_on_one_scale() -> None:
    code, read = normal(3, 3), normal(3, 3, seed=1)
    figure = validated(surfaces_figure({"in": code, "out": read, "out - in": read - code}, dark=False))
    np.testing.assert_array_equal(figure.data[2].z, read - code)
    end = max(np.abs(code).max(), np.abs(read).max(), np.abs(read - code).max())
    assert figure.layout.coloraxis.cmax == -figure.layout.coloraxis.cmin == pytest.approx(end)
    teacher, answer = normal(D), normal(D, seed=1)
    strips = validated(strips_figure(teacher, answer, dark=True))
    assert list(strips.data[0].y) == ["difference", "student", "teacher"]
    np.testing.assert_array_equal(strips.data[0].z[0], answer - teacher)
    scatter = validated(scatter_figure(teacher, answer))
    np.testing.assert_array_equal(scatter.data[1].x, teacher)
    assert scatter.layout.xaxis.range == scatter.layout.yaxis.range


def test_depths_and_matrices_are_written_into_their_cells_while_they_fit() -> None:
    shown = change(normal(T + 1, N, C), DIMENSIONS)
    figure = validated(depth_figure(shown, DEPTHS))
    np.testing.assert_allclose(figure.data[0].z, by_depth(stacked(shown), DEPTHS))
    assert list(figure.data[0].x) == [1, 2]
    assert figure.data[0].texttemplate
    steps = np.zeros((2, N), np.float32)
    steps[1] = 0.01
    log = validated(depth_figure(on_one_ramp(steps, DIMENSIONS, "", "magma"), DEPTHS, log=True))
    np.testing.assert_allclose(log.data[0].z, [[np.nan, -2], [np.nan, -2]], rtol=1e-6)
    assert [list(row) for row in log.data[0].text] == [["0", "0.01"], ["0", "0.01"]]
    many = on_one_ramp(np.ones((61, N), np.float32), DIMENSIONS, "", "magma")
    wide = validated(depth_figure(many, DEPTHS))
    assert wide.data[0].texttemplate is None
    matrices = validated(matrices_figure({"teacher": np.eye(3), "student": -np.eye(3)}))
    assert (matrices.layout.coloraxis.cmin, matrices.layout.coloraxis.cmax) == (-1.0, 1.0)
    assert list(matrices.data[1].y) == ["1", "2", "3"]


def test_costs_keep_their_order_from_top_to_bottom_and_the_experts_colors() -> None:
    costs = {"silence local": 0.1, "cut distant": 0.0, "lesion 5%": 0.2}
    figure = validated(costs_figure(costs, EXPERT_COLORS))
    (bars,) = figure.data
    assert list(bars.y) == ["lesion 5%", "cut distant", "silence local"]
    assert list(bars.x) == [0.2, 0.0, 0.1]
    assert bars.marker.color[1:] == (EXPERT_COLORS["distant"], EXPERT_COLORS["local"])
    assert bars.marker.color[0] not in EXPERT_COLORS.values()


def test_two_states_of_a_cell() -> None:
    one, other = normal(C), normal(C, seed=1)
    figure = validated(states_figure({"first": one, "second": other}))
    assert isinstance(figure, go.Figure)
    np.testing.assert_array_equal(figure.data[1].y, other)
