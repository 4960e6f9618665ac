"""The cubes of the Lattice page as a fog: pictures that the server draws."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from lab.components.awaited import awaited
from lab.components.tab import tab
from lab.figures import inline
from lab.figures.cube.render import volume_png
from lab.figures.cube.viewpoint import Viewpoint
from lab.views.lattice.look import Look, Shown


def fog(views: Sequence[Shown], look: Look, height: int) -> None:
    """Draw the cubes beside each other; the last picture stays until the next is there."""
    azimuth, elevation, density = _choose_fog()
    background = "#0e141a" if st.context.theme.type == "dark" else "#ffffff"
    size = (1000 if len(views) == 1 else 640, height * 5 // 4)
    for side, (shown, column) in enumerate(zip(views, st.columns(len(views), gap="small"), strict=True)):
        cells = shown.fields[shown.at]
        view = Viewpoint.around(cells.dimensions, azimuth, elevation)
        work = partial(volume_png, cells, view, size=size, background=background, opacity=density)
        version = (shown.name(look), shown.frame.number, view, size, background, density)
        answer = awaited(("volume", tab(), side), version, work, name=f"volume-{side}")
        with column:
            if answer.error:
                st.error(answer.error)
            elif answer.value is None:
                st.caption("The server draws the picture ...")
            else:
                st.image(answer.value, caption=None, width="stretch")
                st.html(inline.ramp(cells.label, cells.limits, cells.colormap))
            shown.caption()


def _choose_fog() -> tuple[float, float, float]:
    """Azimuth and elevation of the eye, in degrees, and how opaque the upper end of the ramp is."""
    around, up, dense = st.columns(3)
    azimuth = around.slider(
        "Turn (degrees)", -180, 180, -56, key="lattice_azimuth", help="Around z.", bind="query-params"
    )
    elevation = up.slider(
        "Tilt (degrees)",
        -89,
        89,
        26,
        key="lattice_elevation",
        help="Up from the floor.",
        bind="query-params",
    )
    density = dense.slider(
        "Density (%)",
        5,
        100,
        60,
        key="lattice_density",
        help="How opaque the upper end of the ramp is.",
        bind="query-params",
    )
    return azimuth, elevation, density / 100
