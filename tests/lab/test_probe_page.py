"""The Probe page with made-up trainings and embeddings, in Streamlit's own test runner."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from test_students import MadeUpTeacher
from training_data import PATIENCE, small_service, small_settings

from cellnet.inspection import FloatArray
from cellnet.settings import Settings
from lab.server import install_service
from lab.students import StudentShelf
from lab.training import Phase, TrainingService

MAIN = Path(__file__).parents[2] / "lab" / "main.py"
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


def test_without_a_student_the_page_says_what_to_do(install: Install) -> None:
    install()
    app = open_probe()
    assert not app.exception
    assert "start a training on the page Train" in app.error[0].value


def test_a_sentence_is_carried(install: Install) -> None:
    trained(install())
    app = open_probe(probe_text=SENTENCES)
    assert not app.exception
    assert app.text_area(key="probe_text").value == SENTENCES
    assert "A first sentence." in shown(app)
    assert len(app.get("plotly_chart")) == 5
