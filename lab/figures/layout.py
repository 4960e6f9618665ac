"""The layout that charts share: plain dictionaries, clear paper, narrow margins, a legend above.

Charts are what plotly.js reads, as plain dictionaries. Plotly's own classes take ten times as long and
more, while whoever pressed a control waits; in the tests they check every chart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from lab.figures.colors import color_table

Trace = dict[str, Any]
"""One of the things that a chart shows, with its ``type``."""
Figure = dict[str, Any]
"""A chart: ``data``, a list of traces, and ``layout``."""

PAPER: Final = "rgba(0,0,0,0)"
"""The page shows through, in its own theme."""


def frame(*, height: int, legend: bool) -> dict[str, Any]:
    """Return the layout that gives a chart its size and frame.

    Args:
        height: in pixels.
        legend: whether there is one.
    """
    return {
        "height": height,
        "margin": {"l": 8, "r": 8, "t": 34 if legend else 10, "b": 8},
        "showlegend": legend,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "paper_bgcolor": PAPER,
        "plot_bgcolor": PAPER,
    }


def framed(
    traces: Sequence[Trace],
    *,
    height: int,
    legend: bool,
    xaxis: Mapping[str, Any],
    yaxis: Mapping[str, Any],
    **layout: Any,
) -> Figure:
    """Put a chart with axes together.

    Args:
        traces: what it shows.
        height, legend: see `frame`.
        xaxis, yaxis: what the axes are, besides wide enough for their labels; a ``title`` is its text.
        layout: what else belongs to it, such as shapes.
    """
    axes = {"xaxis": _axis(**xaxis), "yaxis": _axis(**yaxis)}
    return {"data": list(traces), "layout": frame(height=height, legend=legend) | axes | layout}


def _axis(title: str = "", **own: Any) -> dict[str, Any]:
    return {"automargin": True, **({"title": {"text": title}} if title else {}), **own}


def trace(kind: str, **properties: Any) -> Trace:
    """A trace of that ``type``."""
    return {"type": kind, **properties}


def color_scale(name: str) -> list[tuple[float, str]]:
    """A ramp of the lab, see `lab.figures.colors.COLORMAPS`, for Plotly."""
    table = color_table(name)[::15]
    return [
        (place / (len(table) - 1), f"rgb({red}, {green}, {blue})")
        for place, (red, green, blue) in enumerate(table)
    ]
