"""Every page in every state of the training, in Streamlit's own test runner."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from training_data import PATIENCE, made_up_data, small_service, small_settings

from cellnet.errors import DataError
from cellnet.settings import Settings
from cellnet.training import TrainingData
from cellnet.training.data import Progress
from lab.figures.cube.glance import COLORINGS
from lab.presets import FIRST_LIMIT, FIRST_RUN, lab_preset
from lab.server import install_service
from lab.training import Phase, Snapshot, TrainingService

MAIN = Path(__file__).parents[3] / "lab" / "main.py"
Install = Callable[..., TrainingService]


@pytest.fixture
def install(tmp_path: Path) -> Iterator[Install]:
    removals = []

    def make(**arguments: object) -> TrainingService:
        service = small_service(tmp_path, **arguments)
        removals.append(install_service(service))
        return service

    yield make
    for remove in removals:
        remove()


def open_train() -> AppTest:
    app = AppTest.from_file(str(MAIN), default_timeout=60).run()
    assert not app.exception
    return app


def enabled(app: AppTest) -> dict[str, bool]:
    return {button.label: not button.disabled for button in app.button if button.key in BUTTONS}


BUTTONS = ("start", "pause", "step", "stop")


def text(app: AppTest) -> str:
    drawn = [part.proto.body for part in app.get("html")]
    return " ".join(
        [*drawn, *(part.proto.bytes.decode(errors="replace") for part in app.get("bidi_component"))]
    )


def wait(service: TrainingService, condition: Callable[[Snapshot], bool]) -> Snapshot:
    return service.wait_for(condition, PATIENCE)


def test_idle_offers_start_and_the_form(install: Install) -> None:
    install(draft=lab_preset(FIRST_RUN))
    app = open_train()
    assert enabled(app) == {"Start": True, "Pause": False, "Step": False, "Stop": False}
    assert not app.code
    app.session_state["toml_shown"] = True
    assert "[lattice]" in app.run().code[0].value
    assert "Idle" in text(app)
    assert any(f"{FIRST_LIMIT:,} of the about" in caption.value for caption in app.caption)
    assert app.number_input(key="next.0.data.limit").value == FIRST_LIMIT
    assert len(app.get("bidi_component")) == 3


def test_a_preset_fills_the_form_and_a_bad_value_keeps_start_from_starting(install: Install) -> None:
    service = install()
    app = open_train()
    app.button_group(key="preset").set_value("seed").run()
    assert service.draft == lab_preset("seed")
    assert any("local tier is empty" in info.value for info in app.info)
    app.slider(key="next.1.lattice.local_distance_ratio").set_value(0.9).run()
    assert "must not decrease" in app.error[0].value
    app.button(key="start").click().run()
    assert service.snapshot().phase is Phase.IDLE
    assert "cannot be used" in app.warning[0].value


def test_what_was_typed_right_before_start_counts(install: Install) -> None:
    """The browser may send a field and the button after it in one message."""
    service = install()
    app = open_train()
    app.number_input(key="next.0.training.max_steps").set_value(2)
    app.button(key="start").click().run()
    assert wait(service, lambda seen: seen.phase is Phase.FINISHED).step == 2
    app.run()
    assert app.number_input(key="next.1.training.max_steps").value == 2
    app.slider(key="next.0.lattice.local_distance_ratio").set_value(0.99)
    app.button(key="start").click().run()
    assert "cannot be used" in app.warning[0].value
    assert service.snapshot().phase is Phase.FINISHED


def test_start_pause_turn_step_resume_stop(install: Install) -> None:
    service = install()
    app = open_train()
    app.button(key="start").click().run()
    wait(service, lambda seen: seen.step > 2)
    app.run()
    assert enabled(app) == {"Start": False, "Pause": True, "Step": True, "Stop": True}
    app.button(key="pause").click().run()
    paused = wait(service, lambda seen: seen.phase is Phase.PAUSED)
    app.run()
    assert "Paused" in text(app)
    assert enabled(app) == {"Start": False, "Resume": True, "Step": True, "Stop": True}
    app.slider(key="live.0.lattice.local_distance_ratio").set_value(0.3).run()
    assert service.snapshot().settings.lattice.local_distance_ratio == 0.3  # type: ignore[union-attr]
    assert any("local tier is empty" in info.value for info in app.info)
    assert "From the next batch on: Local ratio 0.3" in text(app)
    app.slider(key="live.0.lattice.local_distance_ratio").set_value(0.95).run()
    assert "must not decrease" in app.error[0].value
    assert service.snapshot().settings.lattice.local_distance_ratio == 0.3  # type: ignore[union-attr]
    app.slider(key="live.0.lattice.local_distance_ratio").set_value(0.3).run()
    app.button(key="step").click().run()
    wait(service, lambda seen: seen.phase is Phase.PAUSED and seen.step == paused.step + 1)
    app.run()
    assert "From the next batch on" not in text(app)
    app.button(key="pause").click().run()
    wait(service, lambda seen: seen.step > paused.step + 3)
    app.run().button(key="stop").click().run()
    wait(service, lambda seen: seen.phase is Phase.STOPPED)
    app.run()
    assert not app.exception
    assert enabled(app) == {"Start": True, "Pause": False, "Step": False, "Stop": False}
    assert 'href="/checkpoints/' in text(app)


def test_a_checkpoint_is_saved_while_paused_and_what_goes_wrong_is_said(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = install()
    service.start(small_settings())
    wait(service, lambda seen: seen.step > 2)
    service.pause()
    step = wait(service, lambda seen: seen.phase is Phase.PAUSED).step
    app = open_train()
    assert "Download checkpoint" not in text(app)
    app.button(key="save").click().run()
    wait(service, lambda seen: seen.checkpoint is not None)
    service.ask(lambda _: None).result(PATIENCE)  # the order before it is done then
    app.run()
    assert f"Download checkpoint (step {step:,}" in text(app)

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("cellnet.training.state.save_checkpoint", full)
    app.button(key="save").click().run()
    service.ask(lambda _: None).result(PATIENCE)
    app.run()
    assert any("not saved: No space left" in error.value for error in app.error)
    assert service.snapshot().phase is Phase.PAUSED


def test_a_second_tab_sees_the_same_training_and_follows_the_first(install: Install) -> None:
    service = install()
    first = open_train()
    first.button(key="start").click().run()
    wait(service, lambda seen: seen.step > 2)
    first.run()
    second = open_train()
    assert enabled(second)["Stop"]
    first.number_input(key="live.0.loss.diversity").set_value(0.7).run()
    second.run()
    assert second.number_input(key="live.1.loss.diversity").value == 0.7
    wait(service, lambda seen: len(seen.changes) == 1)


@pytest.mark.parametrize("coloring", ["change", "channel", "expert"])
def test_every_coloring_of_the_cube(install: Install, coloring: str) -> None:
    service = install()
    service.start(small_settings(max_steps=3))
    wait(service, lambda seen: seen.phase is Phase.FINISHED)
    app = open_train()
    app.button_group(key="coloring").set_value(coloring).run()
    app.selectbox(key="view").set_value("layers").run()
    assert not app.exception


def test_curves_are_drawn_as_the_address_says_and_can_be_taken_away(install: Install) -> None:
    service = install()
    app = open_train()
    assert not app.get("download_button")[1:]
    service.start(small_settings(max_steps=3))
    wait(service, lambda seen: seen.phase is Phase.FINISHED)
    app = AppTest.from_file(str(MAIN), default_timeout=60)
    app.query_params.update(smoothing="30", window="50", coloring=COLORINGS["change"], view="layers")
    app.run().run()
    assert not app.exception
    assert app.slider(key="smoothing").value == 30
    assert app.button_group(key="window").value == "50"
    assert app.session_state["curves_shown"] == {"smoothing": 30, "window": 50}
    assert (app.button_group(key="coloring").value, app.selectbox(key="view").value) == ("change", "layers")
    labels = [button.label for button in app.get("download_button")]
    assert labels[:3] == ["Curves as CSV", "Figure as SVG", "Figure as PNG"]


def test_a_failure_is_shown_and_start_is_offered_again(install: Install) -> None:
    def prepare(settings: Settings, *, progress: Progress, should_stop: Callable[[], bool]) -> TrainingData:
        raise DataError("no file at sentences.txt")

    service = install(prepare=prepare)
    app = open_train()
    app.button(key="start").click().run()
    wait(service, lambda seen: seen.phase is Phase.FAILED)
    app.run()
    assert "Failed" in text(app)
    assert app.error[0].value == "no file at sentences.txt"
    assert enabled(app)["Start"]


def test_without_a_server_the_page_says_how_to_start_one() -> None:
    app = AppTest.from_file(str(MAIN), default_timeout=60).run()
    assert "streamlit run streamlit_app.py" in app.exception[0].message


def test_made_up_data_are_what_the_service_trains_on(install: Install) -> None:
    service = install(prepare=made_up_data)
    service.start(small_settings(max_steps=1))
    assert wait(service, lambda seen: seen.phase is Phase.FINISHED).train_sentences == 64
