"""The Lattice page in Streamlit's own test runner."""

import pytest
from lattice_page import open_page, sent, text, train
from training_data import small_settings

from lab.figures.colors import EXPERT_COLORS, hex_to_rgb
from lab.figures.cube.wiring import wiring
from lab.sources.pictures import NEWEST
from lab.sources.students import LIVE
from lab.training import TrainingService


@pytest.fixture
def run(service: TrainingService) -> str:
    return train(service)


def test_before_the_first_training_the_page_says_what_to_do(service: TrainingService) -> None:
    app = open_page("lattice")
    assert "Start a training" in app.info[0].value
    assert not sent(app)


@pytest.mark.parametrize(
    ("coloring", "label"),
    [
        ("Activity", "activity (rms of the state)"),
        ("Channel", "channel 0"),
        ("Components", "first three components"),
        ("Change", "change in this step (rms)"),
        ("Expert", "expert with the largest weight"),
    ],
)
def test_every_coloring(run: str, coloring: str, label: str) -> None:
    (cube,) = sent(open_page("lattice", lattice_coloring=coloring))
    assert cube["scene"]["legend"]["label"].startswith(label)
    assert cube["scene"]["shown"] == 64


def test_agreement_is_computed_beside_the_page(run: str) -> None:
    app = open_page("lattice", lattice_coloring="Agreement")
    for _ in range(200):
        if sent(app)[0]["scene"]:
            break
        app.run()
    legend = sent(app)[0]["scene"]["legend"]
    assert legend["label"] == "agreement between sentences (cosine)"
    assert -1 <= legend["low"] < legend["high"] <= 1


@pytest.mark.parametrize(
    ("show", "address", "cells"),
    [
        ("Layers", {}, 64),
        ("Slices", {}, 64 - 27),
        ("Slices", {"lattice_slice_x": "-1", "lattice_slice_y": "-1"}, 16),
        ("Clip box", {}, 32),
        ("Threshold", {"lattice_share": ["0", "100"]}, 64),
    ],
)
def test_every_cut(run: str, show: str, address: dict[str, str], cells: int) -> None:
    (cube,) = sent(open_page("lattice", lattice_show=show, **address))
    assert cube["scene"]["shown"] == cells


def test_a_surface_is_sent_as_triangles(run: str) -> None:
    (cube,) = sent(open_page("lattice", lattice_show="Surface", lattice_level="50"))
    arrays = cube["arrays"]
    assert {"points", "normals", "triangles", "cells", "colors"} <= set(arrays)
    assert arrays["triangles"]["length"] == 3 * arrays["cells"]["length"] > 0


def test_two_lattice_steps_share_ramp_and_camera_and_scrub(run: str) -> None:
    app = open_page("lattice", lattice_beside="lattice step")
    left, right = sent(app)
    assert left["camera"] == right["camera"] == "lattice"
    assert left["scene"]["legend"] == right["scene"]["legend"]
    assert (left["film"]["at"], right["film"]["at"]) == (3, 0)
    assert left["film"]["name"] != right["film"]["name"]


def test_the_steps_of_a_forward_pass_are_a_film_that_both_cubes_play_together(run: str) -> None:
    app = open_page("lattice", lattice_beside="sentence", lattice_step="1")
    left, right = (cube["film"] for cube in sent(app))
    assert left["name"] == right["name"]
    assert (left["first"], left["last"], left["at"]) == (0, 3, 1)
    assert set(left["others"]) == {"0", "2", "3"}
    assert app.query_params["lattice_step"] in ("1", ["1"])
    (change,) = sent(open_page("lattice", lattice_coloring="Change", lattice_step="0"))
    assert (change["film"]["first"], change["film"]["at"]) == (1, 1)


def test_so_are_they_on_the_train_page(run: str) -> None:
    app = open_page("train", lattice_step="2")
    [cube] = sent(app)
    assert (cube["film"]["first"], cube["film"]["last"], cube["film"]["at"]) == (0, 3, 2)
    assert set(cube["film"]["others"]) == {"0", "1", "3"}
    app.button_group(key="coloring").set_value("expert").run()
    assert sent(app)[0]["film"]["first"] == 1


def test_a_fog_has_a_slider_for_the_lattice_step(run: str) -> None:
    app = open_page("lattice", lattice_show="Volume", lattice_step="2")
    (slider,) = (each for each in app.slider if each.label == "Lattice step")
    assert slider.value == 2
    slider.set_value(1).run()
    assert app.query_params["lattice_step"] in ("1", ["1"])


@pytest.mark.parametrize(
    ("kind", "step"), [("lattice step", "3"), ("lattice step", "0"), ("sentence", "3")]
)
def test_a_third_cube_shows_the_difference(run: str, kind: str, step: str) -> None:
    app = open_page(
        "lattice",
        lattice_beside=kind,
        lattice_subtracts="true",
        lattice_coloring="Channel",
        lattice_step=step,
    )
    left, _, third = sent(app)
    assert third["camera"] == left["camera"]
    legend = third["scene"]["legend"]
    assert legend["label"] == "right minus left: channel 0"
    assert legend["low"] == -legend["high"]
    assert (third["film"] is None) == (kind == "lattice step")


def test_a_cell_shows_its_state_gate_and_neighbors(service: TrainingService, run: str) -> None:
    app = open_page("lattice", cell="21")
    frame = service.snapshot().frame
    assert frame is not None
    said = text(app)
    assert "<b>(1, 1, 1)</b> 1 below the surface" in said
    value = float(frame.states[-1, 21, 5])
    assert f"channel 5: {value:.4g}" in said
    assert f"local: {float(frame.gate[0, 21, 0]):.1%}" in said
    wired = wiring(small_settings(), 21).neighbors
    (cube,) = sent(app)
    assert [ring["name"] for ring in cube["rings"]] == [f"{tier} neighbor" for tier in wired]
    assert cube["rings"][1]["color"] == list(hex_to_rgb(EXPERT_COLORS["functional"]))
    lengths = [cube["arrays"][f"ring{place}"]["length"] for place in range(3)]
    assert lengths == [len(cells) for cells in wired.values()]
    app.checkbox(key="lattice_outline").uncheck().run()
    assert not sent(app)[0]["rings"]
    app.checkbox(key="lattice_only_neighbors").check().run()
    assert 1 < sent(app)[0]["scene"]["shown"] < 64
    app.number_input(key="cube_cell.1").set_value(0).run()
    assert "<b>(0, 0, 0)</b> on the surface" in text(app)
    assert sent(app)[0]["selected"] == 0
    (linked,) = sent(open_page("lattice", cell="21", lattice_only_neighbors="true"))
    assert linked["scene"]["shown"] == 1 + sum(lengths)


def test_kept_steps_of_a_run_can_be_scrubbed_and_are_in_the_address(
    service: TrainingService, run: str
) -> None:
    steps = service.frames(run).steps()
    app = open_page("lattice", run=run, step=str(steps[0]))
    assert f"training step {steps[0]}" in sent(app)[0]["label"]
    app.select_slider(key="cube_step.1").set_value(steps[-1]).run()
    assert f"training step {steps[-1]}" in sent(app)[0]["label"]
    assert app.query_params["step"] in (str(steps[-1]), [str(steps[-1])])
    assert app.query_params["run"] in (run, [run])


def test_a_sentence_of_ones_own_goes_through_the_student(service: TrainingService, run: str) -> None:
    held_out = "Sentence number 70 of a set that nobody has ever written down."
    app = open_page("lattice", run=LIVE, text=held_out)
    for _ in range(200):
        if sent(app)[0]["scene"]:
            break
        app.run()
    assert held_out in text(app)
    assert app.query_params["text"] in (held_out, [held_out])


def test_the_training_plays_from_its_start_and_ends_at_the_newest(
    service: TrainingService, run: str
) -> None:
    steps = service.frames(run).steps()
    app = open_page("lattice", run=run)
    app.toggle(key="cube_play_training").set_value(True).run()
    seen = []
    for _ in range(len(steps) + 1):
        (slider,) = app.select_slider
        assert not slider.proto.set_value
        seen.append(slider.value)
        app.run()
    assert seen == [*steps, NEWEST]
    app.toggle(key="cube_play_training").set_value(False).run()
    assert app.query_params["step"] in (str(steps[0]), [str(steps[0])])


def test_a_run_without_pictures_says_what_to_do(service: TrainingService, run: str) -> None:
    for path in service.frames(run).folder.iterdir():
        path.unlink()
    (cube,) = sent(open_page("lattice", run=run))
    assert cube["scene"] is None
    assert "Type or choose a sentence" in cube["empty"]


@pytest.mark.parametrize("page", ["lattice", "routing", "geometry"])
def test_a_link_says_where_to_look_from(run: str, page: str) -> None:
    camera = "1,2,3,4,5,6,0,0,1"
    first, *others = sent(open_page(page, camera=camera))
    assert first["start"] == camera
    assert first["reports_camera"]
    assert not any(cube["start"] or cube["reports_camera"] for cube in others)
    app = open_page(page, camera="up,there")
    assert "It takes nine numbers" in app.warning[0].value
    assert sent(app)[0]["start"] is None
