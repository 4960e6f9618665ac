"""The cube of cells in 3D, live: one WebGL view per key that is mounted once and then only fed."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import streamlit as st

from lab.assets import loader
from lab.components.feeds import FEEDS, Feed, Newer
from lab.components.payload import SERVER, pack
from lab.components.reports import REPORTS, Check
from lab.figures.colors import hex_to_rgb
from lab.figures.cube.films import Film
from lab.figures.cube.scenes import Scene
from lab.figures.cube.viewpoint import Viewpoint

EMPTY: Final = "No data yet. Start a training to see the cube."
CONTROLS: Final = 38
"""Height of the controls of a film, in pixels, which is part of that of the view."""


@dataclass(frozen=True)
class Ring:
    """An outline of cells.

    Attributes:
        name: of the cells.
        color: ``"#rrggbb"``.
        cells: their linear indices.
    """

    name: str
    color: str
    cells: npt.NDArray[np.int64]


_LONGEST_CAMERA: Final = 400
"""Characters of nine numbers; they go into the page's address."""

_component = st.components.v2.component("cellnet_cube", js=loader("cube.js"))


def cube(
    scene: Scene | Film | None,
    *,
    key: str,
    seq: int,
    stream: str = "",
    height: int = 480,
    label: str = "Cube of cells",
    selected: int | None = None,
    rings: Sequence[Ring] = (),
    camera: str | None = None,
    start: str | None = None,
    reports_camera: bool = False,
    empty: str = EMPTY,
    newer: Newer | None = None,
) -> int | None:
    """Show a scene in the fragment being drawn and return the cell that was clicked last, or None.

    Args:
        scene: what to draw; a film comes with controls to play it; None shows ``empty`` instead.
        key: identity of the view; one key is one mounted view.
        seq: number of the frame. A frame whose number is not above the last one drawn is dropped, unless
            its scene has another ``stream``, so that unchanged data costs no drawing.
        stream: what the numbers count, such as a run and its coloring; when it changes, any ``seq`` is new.
        height: in pixels.
        label: what the picture shows, for the image's description.
        selected: cell to outline, such as one named in the page's address; a click moves the outline.
        rings: cells to outline in colors, such as those that the selected one sees.
        camera: views of one camera name turn together and remember one position; the key if left out.
        start: where the camera stands, as `reported_camera` gives it; each new one is obeyed once.
        reports_camera: whether the fragment is run anew when the camera was turned and rests.
        empty: what to say, and what to do, when there is no scene.
        newer: what the scene becomes by itself.
    """
    message = partial(
        cube_message,
        stream=stream,
        height=height,
        selected=selected,
        rings=rings,
        camera=camera or key,
        start=start,
        reports_camera=reports_camera,
        empty=empty,
    )
    feed = None
    if newer:
        feed = FEEDS.set(key, Feed(newer.version, lambda held: message(**newer.shown(), held=held)))
    report = REPORTS.expect(key, _CHECKS)
    reports = reported(key)
    held = reports.get("geometry", "")
    _component(key=key, data=message(scene, seq=seq, label=label, held=held, feed=feed, report=report))
    return None if scene is None else reports.get("picked")


def _is_number(value: object) -> bool:
    return type(value) is int and value >= 0


def _is_camera(value: object) -> bool:
    try:
        return isinstance(value, str) and len(value) < _LONGEST_CAMERA and bool(Viewpoint.parse(value))
    except ValueError:
        return False


_CHECKS: Final[dict[str, Check]] = {
    "picked": lambda value: value is None or _is_number(value),
    "geometry": lambda value: isinstance(value, str),
    "camera": _is_camera,
    "number": _is_number,
}


def reported(key: str) -> dict[str, Any]:
    """Return what a view reported since it was mounted.

    Returns:
        ``picked``, the cell that was clicked last, or None for a click beside all cells; ``number``, that
        of its film which was chosen last, or at which it was paused; ``camera``, see `reported_camera`.
        What has not happened yet is missing.
    """
    return REPORTS.values(key)


def reported_camera(key: str) -> str | None:
    """Return the camera of a view that reports it: position, focal point and up, nine numbers."""
    return reported(key).get("camera")


def cube_message(
    scene: Scene | Film | None,
    *,
    seq: int,
    stream: str,
    held: str = "",
    rings: Sequence[Ring] = (),
    **about: Any,
) -> bytes:
    """Return the message with which the browser draws a scene, or a film.

    Args:
        scene: what to draw.
        seq, stream: see `cube`.
        held: keys of the geometries that the browser has already, with spaces between them.
        rings: see `cube`.
        about: further entries of the header.
    """
    header: dict[str, Any] = {
        "seq": seq,
        "stream": f"{SERVER}/{stream}",
        "sent": time.time() * 1000.0,
        "scene": None,
        "film": None,
        "rings": [{"name": ring.name, "color": hex_to_rgb(ring.color)} for ring in rings],
        **about,
    }
    arrays: dict[str, Any] = {
        f"ring{place}": ring.cells.astype(np.uint32) for place, ring in enumerate(rings)
    }
    known = set(held.split())
    others: dict[int, Scene] = {}
    if isinstance(scene, Film):
        others = {number: each for number, each in scene.scenes.items() if number != scene.at}
        header["film"] = {
            "first": scene.first,
            "last": scene.last,
            "at": scene.at,
            "name": scene.name,
            "word": scene.word,
            "others": {str(number): _outline(each) for number, each in others.items()},
        }
    shown = scene.scene if isinstance(scene, Film) else scene
    if shown is not None:
        header["scene"] = {**_outline(shown), "legend": {**vars(shown.legend)}}
        arrays |= _arrays(shown, known)
        if shown.table is not None:
            arrays["table"] = shown.table
    for number, each in others.items():
        arrays |= {f"{number}.{name}": array for name, array in _arrays(each, known).items()}
    return pack(header, arrays)


def _outline(scene: Scene) -> dict[str, Any]:
    geometry = scene.geometry
    return {
        "geometry": geometry.key,
        "dimensions": geometry.dimensions,
        "spacing": geometry.spacing,
        "shown": geometry.shown,
    }


def _arrays(scene: Scene, known: set[str]) -> dict[str, Any]:
    """Colors of a scene, and its faces unless they are known; they are known from then on."""
    geometry = scene.geometry
    faces = {} if geometry.key in known else geometry.arrays()
    known.add(geometry.key)
    return {"colors": scene.colors, **faces}
