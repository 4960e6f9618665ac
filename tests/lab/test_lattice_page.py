"""The Lattice page in Streamlit's own test runner."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest
from training_data import PATIENCE, small_service, small_settings

from lab.server import install_service
from lab.training import Phase, TrainingService

MAIN = Path(__file__).parents[2] / "lab" / "main.py"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[TrainingService]:
    service = small_service(tmp_path)
    remove = install_service(service)
    yield service
    remove()


@pytest.fixture
def trained(service: TrainingService) -> TrainingService:
    service.start(small_settings(max_steps=12))
    service.wait_for(lambda seen: seen.phase is Phase.FINISHED, PATIENCE)
    return service


def open_page(**address: str) -> AppTest:
    app = AppTest.from_file(str(MAIN), default_timeout=60)
    app.query_params.update(address)
    app.switch_page(str(MAIN.parents[1] / "pages" / "lattice.py")).run()
    assert not app.exception
    return app


def sent(app: AppTest) -> list[dict[str, Any]]:
    """The headers that the cubes were sent."""
    messages = [part.proto.bytes for part in app.get("bidi_component")]
    headers = []
    for message in messages:
        (length,) = struct.unpack_from("<I", message)
        headers.append(json.loads(message[4 : 4 + length]))
    return headers


def test_before_the_first_training_the_page_says_what_to_do(service: TrainingService) -> None:
    app = open_page()
    assert "Start a training" in app.info[0].value


def test_whole(trained: TrainingService) -> None:
    app = open_page()
    assert sent(app)[0]["scene"]["shown"] == 64
