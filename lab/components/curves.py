"""Curves that grow while one zooms: small multiples in one Plotly figure that is only ever updated."""

import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import streamlit as st

from lab.assets import loader
from lab.components.feeds import FEEDS, Feed, Newer
from lab.components.payload import SERVER, pack
from lab.figures.series import Mark, Numbers, Panel, thin

EMPTY: Final = "No data yet. Start a training to see its curves."

_component = st.components.v2.component(
    "cellnet_curves", js=loader("curves.js", "plotly.js"), isolate_styles=False
)


def curves(
    panels: Sequence[Panel],
    *,
    key: str,
    seq: int,
    stream: str = "",
    marks: Sequence[Mark] = (),
    columns: int = 3,
    panel_height: int = 210,
    x_title: str = "step",
    label: str = "Training curves",
    limit: int = 1000,
    growing: bool = False,
    empty: str = EMPTY,
    newer: Newer | None = None,
) -> None:
    """Show panels of curves; zoom, hidden curves and the log switch stay as the reader left them.

    Args:
        panels: the small plots, in reading order; all share the zoom along x.
        key: identity of the figure; one key is one mounted figure.
        seq: number of the frame; one that is not above the last one drawn is dropped.
        stream: what the numbers count, such as a run; when it changes, any ``seq`` is new.
        marks: live changes, drawn as numbered lines and listed below the figure.
        columns: panels side by side where the page is wide enough.
        panel_height: in pixels.
        label: what the figure shows, for its description.
        limit: points per curve that are sent at most, see :func:`lab.figures.series.thin`.
        growing: whether to leave some room beyond the ends of the curves. As long as they stay inside, new
            points cost the browser a tenth of what they cost otherwise.
        empty: what to say, and what to do, when there is no point to draw.
        newer: what panels, number and marks become by themselves.
    """
    message = partial(
        _message,
        key=key,
        stream=stream,
        columns=columns,
        panel_height=panel_height,
        x_title=x_title,
        label=label,
        limit=limit,
        growing=growing,
        empty=empty,
    )
    feed = FEEDS.set(key, Feed(newer.version, lambda _: message(**newer.shown()))) if newer else None
    _component(key=key, data=message(panels, seq=seq, marks=marks, feed=feed))


def _message(
    panels: Sequence[Panel],
    *,
    seq: int,
    marks: Sequence[Mark],
    key: str,
    stream: str,
    columns: int,
    panel_height: int,
    x_title: str,
    label: str,
    limit: int,
    growing: bool,
    empty: str,
    feed: dict[str, str] | None = None,
) -> bytes:
    arrays: dict[str, npt.NDArray[Any]] = {}
    described: list[dict[str, Any]] = []
    for number, panel in enumerate(panels):
        lines: list[dict[str, Any]] = []
        for place, curve in enumerate(panel.curves):
            x, y = thin(curve.x, curve.y, limit)
            arrays[f"x{number}.{place}"] = _steps(x)
            arrays[f"y{number}.{place}"] = y.astype(np.float32)
            lines.append(
                {
                    "name": curve.name,
                    "color": curve.color,
                    "dash": curve.dash,
                    "width": curve.width,
                    "opacity": curve.opacity,
                    "dots": curve.dots,
                }
            )
        described.append({"title": panel.title, "unit": panel.unit, "log": panel.log, "curves": lines})
    header = {
        "seq": seq,
        "stream": f"{SERVER}/{stream}",
        "sent": time.time() * 1000.0,
        "key": key,
        "label": label,
        "columns": columns,
        "panelHeight": panel_height,
        "xTitle": x_title,
        "growing": growing,
        "empty": empty,
        "feed": feed,
        "panels": described,
        "marks": [{"x": mark.x, "label": mark.label} for mark in marks],
    }
    return pack(header, arrays)


def _steps(x: Numbers) -> npt.NDArray[np.float32] | npt.NDArray[np.float64]:
    """Half the bytes where nothing is lost, which holds for step numbers below 2^24."""
    narrow = x.astype(np.float32)
    return narrow if np.array_equal(narrow, x) else x.astype(np.float64)
