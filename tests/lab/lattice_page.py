"""The pages that show the cube, opened in Streamlit's own test runner; what they send to the browser."""

import json
import struct
from pathlib import Path
from typing import Any

from plotly_figures import validated
from streamlit.testing.v1 import AppTest
from training_data import PATIENCE, small_settings

from lab.training import Phase, TrainingService

ROOT = Path(__file__).parents[2]


def train(service: TrainingService, steps: int = 12) -> str:
    """A small run to its end; returns its id."""
    service.start(small_settings(max_steps=steps))
    return str(service.wait_for(lambda seen: seen.phase is Phase.FINISHED, PATIENCE).run_id)


def open_page(page: str, **address: str) -> AppTest:
    """A page of the lab under an address such as ``run=live``."""
    app = AppTest.from_file(str(ROOT / "lab" / "main.py"), default_timeout=60)
    app.switch_page(str(ROOT / "pages" / f"{page}.py"))
    for name, value in address.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def sent(app: AppTest) -> list[dict[str, Any]]:
    """The headers that the cubes were sent."""
    headers = [sent_header(part.proto.bytes) for part in app.get("bidi_component")]
    return [header for header in headers if "scene" in header]


def charts(app: AppTest) -> list[dict[str, Any]]:
    """The headers that the charts were sent, with figures that Plotly understands."""
    headers = [sent_header(part.proto.bytes) for part in app.get("bidi_component")]
    found = [header for header in headers if "figure" in header]
    for header in found:
        validated(json.loads(header["figure"]))
    return found


def sent_header(message: bytes) -> dict[str, Any]:
    """The header of a message to a component."""
    (length,) = struct.unpack_from("<I", message)
    header: dict[str, Any] = json.loads(message[4 : 4 + length])
    return header


def text(app: AppTest) -> str:
    """All that the page says in HTML."""
    return " ".join(part.proto.body for part in app.get("html"))
