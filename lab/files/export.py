"""A film as one HTML file that opens without a server: the lab's own 3D view and what it is to draw."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Final

from lab.assets import FILES
from lab.components.cube import cube_message
from lab.figures.cube.films import Film
from lab.figures.markup import markup

_TEMPLATE: Final = Path(__file__).with_name("templates") / "film.html"


def film_html(film: Film, *, title: str, caption: str, start: str | None = None) -> str:
    """A page with a view that can be turned and played.

    Nothing in it asks another machine for anything.

    Args:
        film: what to show.
        title, caption: plain text.
        start: where the camera stands, see `lab.components.cube.cube`.
    """
    message = cube_message(
        film,
        seq=0,
        stream="export",
        height=600,
        label=title,
        selected=None,
        camera="export",
        start=start,
        reports_camera=False,
        report=None,
        empty="",
    )
    return markup(
        _TEMPLATE.read_text(encoding="utf-8"),
        title=title,
        caption=caption,
        message=b64encode(message).decode(),
        source=FILES["cube.js"].read_text(encoding="utf-8"),
    )
