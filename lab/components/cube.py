"""The cube of cells in 3D, live: one WebGL view per key that is mounted once and then only fed."""

import time
from typing import Any, Final

import numpy as np
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
        empty: what to say, and what to do, when there is no scene.
    """
    state: dict[str, Any] = dict(st.session_state.get(key) or {})
    header: dict[str, Any] = {
        "seq": seq,
        "stream": f"{SERVER}/{stream}",
        "sent": time.time() * 1000.0,
        "height": height,
        "label": label,
        "selected": selected,
        "camera": camera or key,
        "empty": empty,
        "scene": None,
    }
    arrays = {}
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
        if state.get("geometry") != geometry.key:
            arrays["cells"] = geometry.cells.astype(np.uint32, copy=False)
            arrays["sides"] = geometry.sides
    result = _component(
        key=key,
        data=pack(header, arrays),
        on_picked_change=_nothing,
        on_geometry_change=_nothing,
    )
    picked = result.get("picked")
    return None if picked is None or scene is None else int(picked)


def _nothing() -> None:
    """Streamlit keeps a state value only if it has a callback."""
