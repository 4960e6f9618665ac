"""The frame that charts with axes share: clear paper, narrow margins, a legend above."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import plotly.graph_objects as go
from plotly.basedatatypes import BaseTraceType

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
    traces: Sequence[BaseTraceType],
    *,
    height: int,
    legend: bool,
    xaxis: Mapping[str, Any],
    yaxis: Mapping[str, Any],
    **layout: Any,
) -> go.Figure:
    """Put a chart with axes together.

    At once: one that grows part by part takes Plotly ten times as long, and a control waits for it.

    Args:
        traces: what it shows.
        height, legend: see `frame`.
        xaxis, yaxis: what the axes are, besides wide enough for their labels.
        layout: what else belongs to it, such as shapes.
    """
    axes = {"xaxis": {"automargin": True, **xaxis}, "yaxis": {"automargin": True, **yaxis}}
    return go.Figure(list(traces), frame(height=height, legend=legend) | axes | layout)
