"""The cube of the Lattice page as files: a picture for print, and HTML that opens without a server."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Final
from uuid import uuid4

import numpy as np
import streamlit as st

from lab.components.awaited import awaited
from lab.components.cube import reported_camera
from lab.components.tab import tab
from lab.figures.cube.cuts import Cut, lattice_scene
from lab.figures.cube.films import film
from lab.figures.cube.render import scene_png
from lab.figures.cube.scenes import Scene
from lab.figures.cube.viewpoint import Viewpoint
from lab.files.export import film_html
from lab.views.lattice.look import Shown

_PRINT: Final = (2400, 2000)


def offer_files(shown: Shown, scene: Scene, cut: Cut, key: str) -> None:
    """The cube as PNG and as HTML.

    Args:
        shown: the cube.
        scene: of its lattice step.
        cut: how it is cut open.
        key: of its view, whose camera the files take.
    """
    camera, frame = reported_camera(key), shown.frame
    extent = np.asarray(frame.dimensions) + np.asarray(scene.geometry.spacing) * (
        np.asarray(frame.dimensions) - 1
    )
    view = Viewpoint.parse(camera) if camera else Viewpoint.around(extent.tolist())
    with st.popover("Take away", help="The cube as it is shown now, as a file."):
        _file(
            "png",
            "Draw a picture for print (PNG)",
            "Drawn by PyVista on the server from where you look, 2400 by 2000 pixels, on a transparent "
            "ground. The button in the view itself saves what is on the screen.",
            partial(scene_png, scene, view, size=_PRINT, background=None),
            f"cube-step-{frame.step}-{shown.at}.png",
        )
        _file(
            "html",
            "Write an interactive HTML",
            "All lattice steps of this view in one file that can be turned and played in any browser, "
            "without a server and without the internet.",
            partial(_html, shown, cut, camera),
            f"cube-step-{frame.step}.html",
        )


def _file(kind: str, label: str, words: str, work: Callable[[], bytes], name: str) -> None:
    """A button that makes a file of this moment, and then the file."""
    slot = f"lattice_file.{kind}"
    if st.button(label, key=f"{slot}.button", help=words, width="stretch"):
        st.session_state[slot] = (uuid4().hex, name, work)
    if slot not in st.session_state:
        return
    version, name, work = st.session_state[slot]
    answer = awaited(("file", tab(), kind), version, work, name=f"file-{kind}")
    if answer.error:
        st.error(answer.error)
    elif answer.value is None or answer.version != version:
        st.caption("Writing ...")
    else:
        st.download_button(
            f"{name} ({len(answer.value) / 1e6:.1f} MB)",
            answer.value,
            name,
            key=f"{slot}.download",
            type="primary",
            help="Save the file where your browser keeps downloads.",
            on_click="ignore",
            width="stretch",
        )


def _html(shown: Shown, cut: Cut, camera: str | None) -> bytes:
    frame, fields = shown.frame, shown.fields
    whole = film(
        lambda at: lattice_scene(fields[at], cut),
        min(fields),
        max(fields),
        shown.at,
        name="export",
        most=math.inf,
    )
    return film_html(
        whole,
        title=f"Cube at training step {frame.step:,}",
        caption=f"Carrying: {frame.text} Cosine of what goes in and what comes out: {frame.cosine:.3f}.",
        start=camera,
    ).encode()
