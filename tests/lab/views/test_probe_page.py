"""The Probe page with made-up trainings and embeddings, in Streamlit's own test runner."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from lattice_page import charts, sent
from streamlit.testing.v1 import AppTest
from training_data import PATIENCE, MadeUpTeacher, small_service, small_settings

from cellnet.errors import TeacherError
from cellnet.inspection import FloatArray
from cellnet.settings import Settings
from lab.server import install_service
from lab.sources.students import StudentShelf
from lab.training import Phase, TrainingService

MAIN = Path(__file__).parents[3] / "lab" / "main.py"
SENTENCES = "A first sentence.\nAnother one."
Install = Callable[..., TrainingService]


@pytest.fixture
def install(tmp_path: Path) -> Iterator[Install]:
    removals = []

    def make(embed: Callable[[Settings, Sequence[str]], FloatArray] | None = None) -> TrainingService:
        service = small_service(tmp_path)
        shelf = StudentShelf(service, embed=embed or MadeUpTeacher())
        removals.append(install_service(service, shelf))
        return service

    yield make
    for remove in removals:
        remove()


def trained(service: TrainingService, steps: int = 6) -> str:
    service.start(small_settings(max_steps=steps, checkpoint_every=3, keep_checkpoints=9))
    run = service.wait_for(lambda seen: seen.phase is Phase.FINISHED, PATIENCE).run_id
    assert run is not None
    return run


def open_probe(**query: str) -> AppTest:
    app = AppTest.from_file(str(MAIN), default_timeout=60)
    app.query_params.update(query)
    app.switch_page("../pages/probe.py")
    return app.run()


def shown(app: AppTest) -> str:
    return " ".join(part.proto.body for part in app.get("html"))


def named(widgets: Sequence[Any], label: str) -> Any:
    """The widget with a label; the keys of those that the page sets, too, are numbered."""
    [found] = [widget for widget in widgets if widget.label == label]
    return found


def test_without_a_student_the_page_says_what_to_do(install: Install) -> None:
    install()
    app = open_probe()
    assert not app.exception
    assert "start a training on the page Train" in app.error[0].value


def test_a_sentence_is_carried(install: Install) -> None:
    trained(install())
    app = open_probe(probe_text=SENTENCES)
    assert not app.exception
    assert app.text_area[0].value == SENTENCES
    assert "A first sentence." in shown(app)
    assert len(charts(app)) == 5


def test_sections_show_what_they_promise(install: Install) -> None:
    trained(install())
    app = open_probe(probe_text=SENTENCES)
    app.button_group(key="probe_section").set_value("Compare").run()
    assert not app.exception
    assert "cosine to the teacher" in shown(app)
    assert len(sent(app)) == 3
    named(app.button_group, "Second").set_value(1).run()
    assert any("same sentence" in info.value for info in app.info)
    app.button_group(key="probe_section").set_value("Intervene").run()
    assert not app.exception
    assert any("Nothing is damaged yet" in info.value for info in app.info)


def test_a_link_names_the_cell_whose_states_are_compared(install: Install) -> None:
    trained(install())
    app = open_probe(probe_text=SENTENCES, probe_section="Compare", cell="6")
    assert not app.exception
    assert any("States of cell (0, 1, 2)" in caption.value for caption in app.caption)
    assert app.query_params["cell"] == "6"


def intervene(install: Install) -> AppTest:
    trained(install())
    app = open_probe(probe_text=SENTENCES, probe_section="Intervene")
    assert not app.exception
    return app


def test_damage_is_done_shown_and_taken_back(install: Install) -> None:
    app = intervene(install)
    named(app.button_group, "Lesion").set_value("box").run()
    assert not app.exception
    assert any("8 of 64 cells" in caption.value for caption in app.caption)
    assert "healed" in shown(app)
    assert "explained variance of 16 held-out" in shown(app)
    assert "intact" in shown(app)
    named(app.button_group, "Lesion").set_value("random").run()
    app.slider(key="probe_share").set_value(50).run()
    assert any("32 of 64 cells" in caption.value for caption in app.caption)
    named(app.button_group, "Silence an expert").set_value(["local"]).run()
    named(app.slider, "Noise").set_value(0.5).run()
    app.slider(key="probe_when").set_value((1, 2)).run()
    assert not app.exception
    app.button(key="probe_reset").click().run()
    assert not app.exception
    assert any("Nothing is damaged yet" in info.value for info in app.info)
    assert named(app.button_group, "Lesion").value is None
    assert named(app.slider, "Noise").value == 0.0


def test_a_link_brings_the_damage_and_nothing_is_ever_written_into_a_widget(install: Install) -> None:
    trained(install())
    app = open_probe(
        probe_text=SENTENCES,
        probe_section="Intervene",
        probe_damaged="2",
        probe_lesion="layer",
        probe_silence="local,distant",
        probe_cut="nonsense",
        probe_noise="0.75",
    )
    assert not app.exception
    assert named(app.button_group, "Sentence").value == 2
    assert named(app.button_group, "Lesion").value == "layer"
    assert named(app.button_group, "Silence an expert").value == ["local", "distant"]
    assert named(app.button_group, "Cut a tier").value == []
    assert named(app.slider, "Noise").value == 0.75
    app.button(key="probe_reset").click().run()
    named(app.selectbox, "From the data (16 held-out sentences first)").select_index(0).run()
    assert named(app.slider, "Noise").value == 0.0
    drawn = [*app.text_area, *app.slider, *app.selectbox, *app.button_group]
    assert not any(widget.proto.set_value for widget in drawn)


def test_damage_is_still_there_when_one_comes_back_to_the_section(install: Install) -> None:
    app = intervene(install)
    named(app.button_group, "Lesion").set_value("layer").run()
    app.button_group(key="probe_section").set_value("Sentence").run()
    app.button_group(key="probe_section").set_value("Intervene").run()
    assert named(app.button_group, "Lesion").value == "layer"
    assert any("16 of 64 cells" in caption.value for caption in app.caption)


def test_costs_are_measured_when_asked(install: Install) -> None:
    app = intervene(install)
    assert any("Not measured yet" in caption.value for caption in app.caption)
    app.button(key="probe_sweep").click().run()
    assert not app.exception
    assert len(charts(app)) == 1


def test_sentences_come_from_the_data(install: Install) -> None:
    service = install()
    trained(service)
    app = open_probe(probe_text="One of my own.")
    held_out = service.data_of(small_settings()).validation_texts  # type: ignore[union-attr]
    named(app.selectbox, "From the data (16 held-out sentences first)").set_value(held_out[3]).run()
    assert app.text_area[0].value == f"One of my own.\n{held_out[3]}"
    app.button(key="probe_only_random").click().run()
    assert app.text_area[0].value in held_out
    assert not app.exception
    app.text_area[0].set_value(" \n ").run()
    assert any("Type a sentence" in info.value for info in app.info)
    app.text_area[0].set_value("\n".join(map(str, range(20)))).run()
    assert any("first 12 of 20" in warning.value for warning in app.warning)


def test_a_link_opens_a_checkpoint_and_a_wrong_one_says_so(install: Install) -> None:
    run = trained(install())
    app = open_probe(run=run, step="3")
    assert not app.exception
    assert named(app.selectbox, "Checkpoint").value == 3
    assert "<small>training step</small>3<" in shown(app)
    app = open_probe(run=run, step="5")
    assert "no checkpoint of step 5" in app.error[0].value
    named(app.selectbox, "Checkpoint").set_value(6).run()
    assert not app.error
    app = open_probe(run="gone")
    assert "no run 'gone'" in app.error[0].value
    named(app.selectbox, "Student").set_value(run).run()
    assert not app.error
    assert app.query_params["run"] in (run, [run])


def test_another_run_begins_with_its_own_best_checkpoint(install: Install) -> None:
    service = install()
    first = trained(service)
    second = trained(service, steps=5)
    app = open_probe(run=first[:-2], step="6")
    assert named(app.selectbox, "Student").value == first
    named(app.selectbox, "Student").set_value(second).run()
    assert not app.error
    assert named(app.selectbox, "Checkpoint").value in (3, 5)
    assert app.query_params["step"] in ("3", ["3"], "5", ["5"])
    named(app.selectbox, "Student").set_value("live").run()
    assert not app.error
    assert "step" not in app.query_params


def test_sentences_of_a_stored_run_are_read_when_asked(install: Install) -> None:
    run = trained(install())
    install()
    app = open_probe(run=run, probe_text="Mine.")
    assert not app.exception
    app.button(key="probe_read_nearest").click().run()
    assert not app.exception
    assert "to the student&#39;s reconstruction" in shown(app)


def test_a_missing_teacher_is_said(install: Install) -> None:
    def missing(settings: Settings, texts: Sequence[str]) -> FloatArray:
        raise TeacherError("there is no teacher; install it")

    trained(install(missing))
    app = open_probe(probe_text="New words.")
    assert app.error[0].value == "there is no teacher; install it"
    assert not app.exception


def test_the_live_student_stays_until_it_is_refreshed(install: Install) -> None:
    service = install()
    service.start(small_settings())
    service.wait_for(lambda seen: seen.step > 2, PATIENCE)
    app = open_probe(probe_text="Mine.")
    first = app.session_state["probe_live"].step
    service.wait_for(lambda seen: seen.step > first + 1, PATIENCE)
    app.run()
    assert app.session_state["probe_live"].step == first
    app.button(key="probe_refresh").click().run()
    assert app.session_state["probe_live"].step > first
    assert not app.exception
