"""The cube of cells in 3D, live: one WebGL view per key that is mounted once and then only fed."""

import time
from typing import Any, Final

import streamlit as st

from lab.assets import loader
from lab.components.payload import SERVER, pack
from lab.scenes import Scene

EMPTY: Final = "No data yet. Start a training to see the cube."

_component = st.components.v2.component("cellnet_cube", js=loader("cube.js"))


def cube(
    scene: Scene | None,
    *,
    key: str,
    seq: int,
    stream: str = "",
    height: int = 480,
    label: str = "Cube of cells",
    selected: int | None = None,
    camera: str | None = None,
    start: str | None = None,
    reports_camera: bool = False,
    empty: str = EMPTY,
) -> int | None:
    """Show a scene and return the cell that was clicked last, or None.

    Args:
        scene: what to draw; None shows ``empty`` instead.
        key: identity of the view; one key is one mounted view.
        seq: number of the frame. A frame whose number is not above the last one drawn is dropped, unless
            its scene has another ``stream``, so that unchanged data costs no drawing.
        stream: what the numbers count, such as a run and its coloring; when it changes, any ``seq`` is new.
        height: in pixels.
        label: what the picture shows, for the image's description.
        selected: cell to outline, such as one named in the page's address; a click moves the outline.
        camera: views of one camera name turn together and remember one position; the key if left out.
        start: where the camera stands, as `reported_camera` gives it; each new one is obeyed once.
        reports_camera: whether the page is run anew when the camera was turned and rests.
        empty: what to say, and what to do, when there is no scene.
    """
    state: dict[str, Any] = dict(st.session_state.get(key) or {})
    message = cube_message(
        scene,
        seq=seq,
        stream=stream,
        height=height,
        label=label,
        selected=selected,
        camera=camera or key,
        start=start,
        reports=reports_camera,
        empty=empty,
        held=str(state.get("geometry", "")),
    )
    result = _component(
        key=key,
        data=message,
        on_picked_change=_nothing,
        on_geometry_change=_nothing,
        on_camera_change=_nothing,
    )
    picked = result.get("picked")
    return None if picked is None or scene is None else int(picked)


def reported_camera(key: str) -> str | None:
    """Where the camera of a view that reports it stands: position, focal point and up, nine numbers."""
    state = st.session_state.get(key)
    return None if state is None else dict(state).get("camera")


def cube_message(scene: Scene | None, *, seq: int, stream: str, held: str = "", **about: Any) -> bytes:
    """What the browser is sent to draw a scene.

    Args:
        scene: what to draw.
        seq, stream: see `cube`.
        held: key of the geometry that the browser has already.
        about: further entries of the header.
    """
    header: dict[str, Any] = {
        "seq": seq,
        "stream": f"{SERVER}/{stream}",
        "sent": time.time() * 1000.0,
        "scene": None,
        **about,
    }
    arrays: dict[str, Any] = {}
    if scene is not None:
        geometry, legend = scene.geometry, scene.legend
        header["scene"] = {
            "geometry": geometry.key,
            "dimensions": geometry.dimensions,
            "spacing": geometry.spacing,
            "shown": geometry.shown,
            "legend": {**vars(legend)},
        }
        arrays["colors"] = scene.colors
        if scene.table is not None:
            arrays["table"] = scene.table
        if held != geometry.key:
            arrays |= geometry.arrays()
    return pack(header, arrays)


def _nothing() -> None:
    """Streamlit keeps a state value only if it has a callback."""
