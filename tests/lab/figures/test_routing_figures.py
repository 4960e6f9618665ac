"""Gates in figures, against plain formulas."""

import numpy as np
import pytest
from plotly_figures import validated

from cellnet.inspection.similarity import ExpertMeasures
from cellnet.lattice.geometry import TIERS
from lab.figures.routing import (
    MAX_POINTS,
    ablation_figure,
    entropy_per_step,
    expert_ramp,
    gate_entropy,
    in_triangle,
    largest_weight,
    norms_figure,
    overview_scene,
    region_usage,
    sampled_cells,
    similarity_figure,
    ternary_figure,
    weight_scene,
)
from lab.training import CubeFrame

SIZE = (3, 3, 3)


@pytest.fixture
def frame() -> CubeFrame:
    rng = np.random.default_rng(0)
    gate = rng.dirichlet(np.ones(3), size=(2, 27)).astype(np.float32)
    return CubeFrame(1, 10, SIZE, np.zeros((3, 27, 4), np.float32), gate, 0.9, "A sentence.", 0.01)


def test_entropy_is_zero_for_one_expert_and_one_for_all_alike() -> None:
    gate = np.array([[1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0.0]], dtype=np.float32)
    np.testing.assert_allclose(gate_entropy(gate), [0.0, 1.0, np.log(2) / np.log(3)], atol=1e-6)


def test_scenes_are_the_gate_of_the_step(frame: CubeFrame) -> None:
    everything = np.ones(27, dtype=bool)
    dominant = overview_scene(frame, 2, "expert", everything)
    np.testing.assert_array_equal(dominant.colors, frame.gate[1].argmax(axis=1)[dominant.geometry.cells])
    entropy = overview_scene(frame, 1, "entropy", everything)
    assert (entropy.legend.low, entropy.legend.high) == (0.0, 1.0)
    high = largest_weight(frame)
    assert high == pytest.approx(np.percentile(frame.gate, 99))
    for place, tier in enumerate(TIERS):
        scene = weight_scene(frame, 2, tier, np.arange(27) < 5, high)
        assert scene.geometry.shown == 5
        expected = np.rint(np.clip(frame.gate[1, :, place] / high, 0, 1) * 255)
        np.testing.assert_allclose(scene.colors, expected[scene.geometry.cells], atol=1)
    assert expert_ramp("local")[-1].tolist() == [0x00, 0x72, 0xB2]


def test_the_triangle_draws_the_cells_it_was_given_and_fades_those_outside(frame: CubeFrame) -> None:
    cells = np.array([3, 8, 20])
    region = np.zeros(27, dtype=bool)
    region[8] = True
    figure = validated(ternary_figure(frame, 1, cells, np.arange(27) % 2, region, chosen=20))
    points, chosen = figure.data
    assert points.marker.color.tolist() == [1, 0, 0]
    np.testing.assert_allclose(np.stack([points.x, points.y], axis=1), in_triangle(frame.gate[0, cells]))
    assert [row[0].split()[0] for row in points.customdata] == ["3", "8", "20"]
    assert points.marker.opacity[1] > points.marker.opacity[0] == points.marker.opacity[2]
    assert (chosen.x[0], chosen.y[0]) == (points.x[2], points.y[2])


def test_places_in_the_triangle_tell_the_weights() -> None:
    top, left, right = in_triangle(np.eye(3))
    np.testing.assert_allclose(top, [0.5, np.sqrt(0.75)])
    assert (left.tolist(), right.tolist()) == ([0, 0], [1, 0])
    weights = np.array([[0.2, 0.5, 0.3]])
    (place,) = in_triangle(weights)
    np.testing.assert_allclose(place[1] / np.sqrt(0.75), 0.2)
    np.testing.assert_allclose(place[0] - 0.1, 0.3)


def test_sampled_cells_are_bounded_stable_and_prefer_the_region() -> None:
    assert sampled_cells(27).tolist() == list(range(27))
    region = np.zeros(50_653, dtype=bool)
    region[100:300] = True
    cells = sampled_cells(50_653, region)
    assert len(cells) == len(set(cells.tolist())) == MAX_POINTS
    assert set(range(100, 300)) <= set(cells.tolist())
    np.testing.assert_array_equal(cells, sampled_cells(50_653, region))


def test_usage_of_a_region(frame: CubeFrame) -> None:
    region = np.arange(27) < 4
    everything, inside = region_usage(frame.gate, region)
    np.testing.assert_allclose(everything, frame.gate.mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(inside, frame.gate[:, :4].mean(axis=1), rtol=1e-6)
    figure = validated(entropy_per_step(frame.gate, region))
    lines = {trace.name: trace.y for trace in figure.data}
    np.testing.assert_allclose(lines["median"], np.median(gate_entropy(frame.gate), axis=1))
    np.testing.assert_allclose(
        lines["median of the region"], np.median(gate_entropy(frame.gate)[:, :4], axis=1)
    )


def test_figures_of_the_experts() -> None:
    similarity = np.array([[[1.0, 0.2, np.nan], [0.2, 1.0, np.nan], [np.nan, np.nan, np.nan]]])
    measures = ExpertMeasures(similarity, np.array([[1.0, 2.0, 0.0]]), np.full((1, 3), 1 / 3), 4)
    heat = validated(similarity_figure(measures, 1)).data[0]
    assert heat.text[0][1] == "0.20"
    assert heat.text[2][2] == "–"  # noqa: RUF001
    assert [trace.y[0] for trace in validated(norms_figure(measures)).data] == [1.0, 2.0, 0.0]
    bars = validated(ablation_figure({"local": 0.1, "functional": 0.3, "distant": 0.0})).data[0]
    assert list(bars.y) == [0.1, 0.3, 0.0]
    assert list(bars.marker.color) == ["#0072B2", "#E69F00", "#009E73"]
