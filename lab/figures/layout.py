"""The frame that charts with axes share: clear paper, narrow margins, a legend above."""

from __future__ import annotations

from typing import Any, Final

import plotly.graph_objects as go

PAPER: Final = "rgba(0,0,0,0)"
"""The page shows through, in its own theme."""


def frame(*, height: int, legend: bool) -> dict[str, Any]:
    """Return the layout that gives a chart its size and frame, for a figure put together at once.

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


def finished(figure: go.Figure, *, height: int, legend: bool) -> go.Figure:
    """Give a chart its size and frame (see `frame`), and return it; it is changed in place."""
    figure.update_layout(frame(height=height, legend=legend))
    figure.update_xaxes(automargin=True)
    figure.update_yaxes(automargin=True)
    return figure
