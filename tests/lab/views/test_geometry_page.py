"""The Geometry page in Streamlit's own test runner."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from training_data import PATIENCE, small_service, small_settings

from cellnet.settings import preset
from lab.presets import FIRST_RUN, lab_preset
from lab.server import install_service
from lab.training import TrainingService
from lab.views.geometry.planner import from_link, to_link

ROOT = Path(__file__).parents[3]
LOCAL = "geometry.0.lattice.local_distance_ratio"
FILLED = "geometry.2.lattice.local_distance_ratio"
"""The third widget of the ratio, after a preset and a button that filled an empty tier."""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[TrainingService]:
    service = small_service(tmp_path, draft=lab_preset(FIRST_RUN))
    remove = install_service(service)
    yield service
    remove()


def open_geometry(**parameters: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "lab" / "main.py"), default_timeout=60).run()
    app.switch_page(str(ROOT / "pages" / "geometry.py"))
    for name, value in parameters.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def tables(app: AppTest) -> str:
    return " ".join(part.proto.body for part in app.get("html"))


def test_it_begins_with_the_next_run_and_says_why_nothing_can_be_applied(service: TrainingService) -> None:
    app = open_geometry()
    assert app.slider(key=LOCAL).value == 0.6
    assert app.button(key="geometry_apply").disabled
    assert app.button(key="geometry_next").disabled
    assert any("no training is running" in caption.value for caption in app.caption)
    assert any("6 local, 20 functional and 30 distant" in caption.value for caption in app.caption)
    assert not app.button(key="geometry_calibrate").disabled
    assert app.query_params["size"] == "8x8x8"
    assert app.query_params["cell"] == "4-4-4"


def test_an_empty_tier_is_filled_by_its_button_and_used_for_the_next_run(service: TrainingService) -> None:
    app = open_geometry()
    app.button_group(key="geometry_preset").set_value("large").run()
    assert any("local tier is empty" in info.value for info in app.info)
    assert "20,078,056" in tables(app)
    app.button(key="geometry_fill_local").click().run()
    assert app.slider(key=FILLED).value == 0.1352
    assert not app.info
    app.button(key="geometry_next").click().run()
    assert service.draft.lattice.dimensions == (37, 37, 37)
    assert service.draft.lattice.local_distance_ratio == 0.1352
    assert service.draft.data == lab_preset(FIRST_RUN).data
    assert "Local ratio 0.1352" in app.success[0].value
    app.switch_page(str(ROOT / "pages" / "train.py")).run()
    assert app.slider(key="next.1.lattice.local_distance_ratio").value == 0.1352
    app.switch_page(str(ROOT / "pages" / "geometry.py")).run()
    assert app.slider(key=FILLED).value == 0.1352


def test_what_is_impossible_is_said_at_its_field(service: TrainingService) -> None:
    app = open_geometry()
    app.slider(key=LOCAL).set_value(0.9).run()
    assert "must not decrease" in app.error[0].value
    app.slider(key=LOCAL).set_value(0.5).run()
    app.number_input(key="geometry.0.lattice.dimensions.x").set_value(2).run()
    assert "between 3 and 128" in app.error[0].value
    assert not app.exception


def test_a_link_shows_the_same_geometry_and_a_broken_one_is_said(service: TrainingService) -> None:
    link = to_link(preset("large"))
    app = open_geometry(**link, cell="1-2-3")
    assert app.number_input(key="geometry.0.lattice.dimensions.z").value == 37
    assert [app.number_input(key=f"geometry_cell_{axis}.1").value for axis in "xyz"] == [1, 2, 3]
    assert from_link(link) == (
        {f"lattice.{name}": value for name, value in preset("large").lattice if name in KEPT},
        {},
    )
    for broken in ({"size": "8x8"}, {"size": "ax8x8"}, {"radius": "nan"}, {"boundary": "<b>"}):
        app = open_geometry(**broken)
        assert "cannot be used" in app.warning[0].value
        assert app.slider(key=LOCAL).value == 0.6
    app = open_geometry(cell="99-0-0")
    assert app.number_input(key="geometry_cell_x.1").value == 7


KEPT = (
    "dimensions",
    "boundary",
    "adaptive_radius_ratio",
    "local_distance_ratio",
    "functional_distance_ratio",
    "distant_distance_ratio",
)


def test_ratios_are_applied_to_the_running_training(service: TrainingService) -> None:
    service.start(small_settings())
    service.wait_for(lambda seen: seen.step > 4, PATIENCE)
    app = open_geometry()
    assert app.number_input(key="geometry.0.lattice.dimensions.x").value == 4
    assert any("it has this geometry already" in caption.value for caption in app.caption)
    assert any("the running training" in caption.value for caption in app.caption)
    assert "time of a step" in tables(app)
    app.slider(key=LOCAL).set_value(0.5).run()
    app.button(key="geometry_apply").click().run()
    change = service.wait_for(lambda seen: len(seen.changes) == 1, PATIENCE).changes[0]
    assert (change.key, change.new) == ("lattice.local_distance_ratio", 0.5)
    app.number_input(key="geometry.0.lattice.dimensions.x").set_value(5).run()
    assert app.button(key="geometry_apply").disabled
    assert any("4x4x4 cells, which is fixed" in caption.value for caption in app.caption)


def test_step_time_is_measured_when_asked(service: TrainingService) -> None:
    service.draft = small_settings()
    app = open_geometry()
    assert "time of a step" not in tables(app)
    app.button(key="geometry_calibrate").click().run()
    assert not app.exception
    assert "time of a step" in tables(app)
    assert any("a calibration on" in caption.value for caption in app.caption)
