"""The neighborhood, the distances and the costs against the index of connections and plain counting."""

import itertools
import math

import numpy as np
import pytest
from plotly_figures import validated

from cellnet.lattice.connections import ConnectionIndex
from cellnet.lattice.geometry import TIERS
from cellnet.settings import LatticeSettings, NeighborSettings, preset, with_changes
from cellnet.student.cost import step_cost
from cellnet.training.metrics import TRAIN_NAMES
from lab.figures.colors import EXPERT_COLORS
from lab.figures.geometry import (
    CHOSEN,
    KIND_COLORS,
    MOST_BARS,
    MeasuredStep,
    bytes_text,
    cost_rows,
    distance_figure,
    measured_step,
    neighborhood,
    neighborhood_scene,
    plan,
    seconds_text,
)
from lab.training import Snapshot
from lab.training.history import History
from lab.training.snapshot import Phase

BALANCED = preset("balanced").lattice
LATTICES = [
    BALANCED,
    BALANCED.replace(dimensions=(5, 7, 4), adaptive_radius_ratio=0.5, boundary="toroidal"),
    BALANCED.replace(dimensions=(3, 6, 5), adaptive_radius_ratio=0.9, local_distance_ratio=0.0),
]


@pytest.mark.parametrize("lattice", LATTICES, ids=str)
def test_the_neighborhood_is_that_of_the_connection_index(lattice: LatticeSettings) -> None:
    index = ConnectionIndex(lattice, NeighborSettings(), block_cells=32)
    x, y, z = lattice.dimensions
    cells = list(itertools.product(range(x), range(y), range(z)))
    for number in range(0, len(cells), 7):
        codes = neighborhood(lattice, cells[number])
        assert np.flatnonzero(codes == CHOSEN).tolist() == [number]
        for place, tier in enumerate(TIERS):
            found = np.flatnonzero(codes == CHOSEN + 1 + place).tolist()
            assert found == index.neighbors_of(number)[tier].tolist()


def test_the_scene_shows_neighbors_in_the_colors_of_their_tiers_and_is_cut_through_the_cell() -> None:
    cell = (4, 4, 4)
    every = neighborhood_scene(BALANCED, cell, "neighbors")
    assert every.geometry.shown == 1 + 26
    assert list(KIND_COLORS)[CHOSEN + 1 :] == list(EXPERT_COLORS)
    opened = neighborhood_scene(BALANCED, cell, "opened").geometry
    assert opened.shown == 1 + 26 - 9
    assert np.unravel_index(opened.cells, BALANCED.dimensions)[1].min() == 4
    assert neighborhood_scene(BALANCED, cell, "cube").geometry.shown == 8 * 4 * 8


def test_the_bars_count_all_connections_by_distance() -> None:
    figure = validated(distance_figure(BALANCED))
    bars = {bar.name: bar for bar in figure.data}
    assert list(bars["local"].x) == [1.0]
    assert list(bars["functional"].x) == [math.sqrt(2)]
    assert list(bars["distant"].x) == [math.sqrt(3)]
    # 3 axes with 7 * 8 * 8 pairs of face neighbors each, counted from both ends.
    assert bars["local"].y[0] == pytest.approx(2 * 3 * 7 * 64 / 512)
    assert bars["functional"].customdata[0].tolist() == [12, 2 * 6 * 7 * 7 * 8, 2]
    assert [shape.fillcolor for shape in figure.layout.shapes if shape.type == "rect"] == list(
        EXPERT_COLORS.values()
    )
    lines = [shape.x0 for shape in figure.layout.shapes if shape.type == "line"]
    assert lines == pytest.approx([1.056, 1.496, 1.76])


def test_many_distances_become_bins_that_lose_no_connection() -> None:
    lattice = preset("large").lattice.replace(adaptive_radius_ratio=1.0)
    figure = validated(distance_figure(lattice))
    assert sum(len(bar.x) for bar in figure.data) <= MOST_BARS + len(TIERS)
    drawn = sum(int(bar.customdata[:, 1].sum()) for bar in figure.data if bar.name in TIERS)
    index = step_cost(with_changes(preset("large"), {"lattice.adaptive_radius_ratio": 1.0}))
    assert drawn == index.connections


def snapshot(seconds: list[float], phase: Phase = Phase.RUNNING) -> Snapshot:
    history = History(TRAIN_NAMES)
    for step, value in enumerate(seconds):
        history.append(step, {"seconds": value})
    return Snapshot(phase=phase, settings=preset("quickstart"), run_id="r", train=history.read())


def test_a_step_is_measured_by_the_median_of_the_newest() -> None:
    assert measured_step(Snapshot()) is None
    assert measured_step(snapshot([0.1, 0.2])) is None
    found = measured_step(snapshot([9.0] * 5 + [0.1] * 12 + [0.3] * 8))
    assert found is not None
    assert found.seconds == 0.1
    assert found.source == "the running training (run r)"
    last = measured_step(snapshot([0.1] * 3, Phase.STOPPED))
    assert last is not None
    assert "last training" in last.source


def test_a_plan_scales_a_measured_step_of_the_same_machine_only() -> None:
    settings = preset("quickstart")
    measured = MeasuredStep(settings, 0.2, "a test")
    assert plan(settings, measured).seconds == pytest.approx(0.2)
    assert plan(settings, None).seconds is None
    assert plan(with_changes(settings, {"device.device": "cuda"}), measured).seconds is None
    wider = with_changes(settings, {"lattice.adaptive_radius_ratio": 0.8})
    assert (plan(wider, measured).seconds or 0.0) > 0.22
    rows = {
        row[0]: row[1:]
        for row in cost_rows(wider, plan(wider, measured), settings, plan(settings, measured))
    }
    assert rows["cells"] == ["512", ""]
    assert rows["connections"][1].endswith(" times")
    unknown = cost_rows(settings, plan(settings, None), settings, plan(settings, None))
    assert not any("time" in row[0] for row in unknown)


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1500, "1.5 kB"), (2.5e9, "2.5 GB"), (3e13, "30,000 GB")]
)
def test_bytes_in_words(count: float, text: str) -> None:
    assert bytes_text(count) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.0571, "57.1 ms"), (2.5, "2.5 s"), (125, "2 min 5 s")])
def test_seconds_in_words(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text
