"""The Routing page in Streamlit's own test runner."""

import json

import pytest
from echo_expert import echo_expert
from lattice_page import ROOT, charts, open_page, sent, train
from training_data import small_settings

from lab.figures.cube.wiring import wiring
from lab.training import TrainingService


@pytest.fixture
def run(service: TrainingService) -> str:
    return train(service)


def test_before_the_first_training_the_page_says_what_to_do(service: TrainingService) -> None:
    assert "Start a training" in open_page("routing").info[0].value


def test_four_linked_cubes_and_the_triangle(run: str) -> None:
    app = open_page("routing")
    cubes = sent(app)
    assert [cube["scene"]["legend"]["label"] for cube in cubes] == [
        "expert with the largest weight",
        "weight of local",
        "weight of functional",
        "weight of distant",
    ]
    assert {cube["camera"] for cube in cubes} == {"routing"}
    limits = {(cube["scene"]["legend"]["low"], cube["scene"]["legend"]["high"]) for cube in cubes[1:]}
    assert len(limits) == 1
    assert len(charts(app)) >= 2


def test_with_a_fourth_expert_there_is_a_fifth_cube_and_bars_instead_of_the_triangle(
    service: TrainingService,
) -> None:
    with echo_expert():
        train(service)
        app = open_page("routing")
        labels = [cube["scene"]["legend"]["label"] for cube in sent(app)]
        assert labels[0] == "expert with the largest weight"
        assert labels[1:] == [f"weight of {name}" for name in ("local", "functional", "distant", "echo")]
        figures = {chart["label"]: json.loads(chart["figure"]) for chart in charts(app)}
        bars = figures["Mean weight of each expert"]["data"]
        assert [bar["name"] for bar in bars] == ["local", "functional", "distant", "echo"]
        regions = app.button_group(key="routing_region.0").options
        assert "Triangle" not in [option.content for option in regions]


def test_a_region_is_what_the_cubes_show(run: str) -> None:
    app = open_page("routing", region="depth")
    assert [cube["scene"]["shown"] for cube in sent(app)] == [16] * 4  # the face that holds the surface
    app.slider(key="routing_depth").set_value((1, 3)).run()
    assert [cube["scene"]["shown"] for cube in sent(app)] == [48] * 4
    app.button_group(key="routing_region.1").set_value("neighbors").run()
    assert any("Click a cell" in caption.value for caption in app.caption)
    app = open_page("routing", region="neighbors", cell="0")
    shown = {cube["scene"]["shown"] for cube in sent(app)}
    assert shown == {sum(len(cells) for cells in wiring(small_settings(), 0).neighbors.values()) + 1}


def test_what_is_cut_out_on_one_page_is_seen_on_the_other(run: str) -> None:
    app = open_page("routing", region="depth")
    app.switch_page(str(ROOT / "pages" / "lattice.py")).run()
    assert sent(app)[0]["scene"]["shown"] == 64
    app.checkbox(key="lattice_routed").check().run()
    assert app.checkbox(key="lattice_routed").label == "Only the region of Routing (16 cells)"
    assert sent(app)[0]["scene"]["shown"] == 16
    app.button_group(key="lattice_show").set_value("slices").run()
    shown = sent(app)[0]["scene"]["shown"]
    assert shown == 4 + 4 - 1  # two of the slices cross that face
    app.switch_page(str(ROOT / "pages" / "routing.py"))
    app.query_params["region"] = "lattice"
    app.run()
    assert {cube["scene"]["shown"] for cube in sent(app)} == {shown}


def test_experts_are_measured_when_asked_for(run: str) -> None:
    app = open_page("routing")
    before = len(charts(app))
    app.button(key="routing_measure_button").click().run()
    for _ in range(200):
        if len(charts(app)) > before:
            break
        app.run()
    assert not app.exception
    assert len(charts(app)) == before + 3
