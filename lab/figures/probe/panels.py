"""Charts of the Probe page as a whole: panels side by side, with the axes and legends that they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lab.figures.layout import Figure, color_scale, frame, trace
from lab.figures.series import Panel

FloatArray = npt.NDArray[np.float32]
Wide = npt.NDArray[np.float64]

TEACHER_COLOR: Final = "#0072B2"
STUDENT_COLOR: Final = "#D55E00"
GRAY: Final = "#7A7A7A"
MOST_NUMBERS: Final = 120
"""A map of more numbers than this shows colors alone."""


def lines_figure(
    panels: Sequence[Panel],
    *,
    x_title: str = "lattice step",
    height: int = 240,
    shaded: tuple[float, float] | None = None,
) -> Figure:
    """Panels side by side over lattice steps.

    Args:
        shaded: from which step to which one something was done to the cube.
    """
    traces: list[dict[str, Any]] = []
    named: set[str] = set()
    for place, panel in enumerate(panels):
        for curve in panel.curves:
            traces.append(
                trace(
                    "scatter",
                    x=curve.x,
                    y=curve.y,
                    name=curve.name,
                    mode="lines+markers" if curve.dots else "lines",
                    line={"color": curve.color, "width": curve.width, "dash": curve.dash},
                    opacity=curve.opacity,
                    legendgroup=curve.name,
                    showlegend=curve.name not in named,
                    **axes_of(place),
                )
            )
            named.add(curve.name)
    layout = grid(
        [panel.title for panel in panels],
        x={"title": {"text": x_title}, "dtick": _tick(panels), "zeroline": False},
        gap=0.11,
    )
    if shaded is not None:
        box = {"x0": shaded[0], "x1": shaded[1], "y0": 0, "y1": 1, "fillcolor": GRAY, "opacity": 0.16}
        layout["shapes"] = [
            {
                "type": "rect",
                **box,
                "line": {"width": 0},
                "xref": axes_of(place)["xaxis"],
                "yref": f"{axes_of(place)['yaxis']} domain",
            }
            for place in range(len(panels))
        ]
    return side_by_side(traces, layout, height, legend=len(named) > 1)


def _tick(panels: Sequence[Panel]) -> int:
    last = max(float(np.max(curve.x)) for panel in panels for curve in panel.curves)
    return max(1, round(last / 10))


def diverging(values: FloatArray, dark: bool) -> dict[str, Any]:
    """A diverging color scale around zero; its middle is about as bright as the page."""
    end = float(np.abs(values).max()) or 1.0
    scale = color_scale("berlin" if dark else "RdBu_r")
    return {"coloraxis": {"colorscale": scale, "cmin": -end, "cmax": end, "colorbar": {"thickness": 12}}}


def axes_of(place: int) -> dict[str, str]:
    """Names of the axes of a panel, for a trace."""
    number = "" if place == 0 else str(place + 1)
    return {"xaxis": f"x{number}", "yaxis": f"y{number}"}


def grid(
    titles: Sequence[str],
    *,
    x: Mapping[str, Any] | None = None,
    y: Mapping[str, Any] | None = None,
    gap: float = 0.0,
    square: bool = False,
) -> dict[str, Any]:
    """Layout of panels side by side; plain, since building it step by step takes Plotly far longer.

    Args:
        titles: of the panels; empty for none.
        x, y: what all axes have in common.
        gap: between panels, as a share of the width.
        square: whether both axes have one scale, and the second runs downward, as in a matrix.
    """
    width = (1.0 - gap * (len(titles) - 1)) / len(titles)
    layout: dict[str, Any] = {"annotations": []}
    for place, title in enumerate(titles):
        axes, start = axes_of(place), place * (width + gap)
        matrix = {"scaleanchor": axes["xaxis"], "autorange": "reversed"} if square else {}
        fit = {"constrain": "domain"} if square else {}
        layout[axes["xaxis"].replace("x", "xaxis")] = {
            "domain": [start, start + width],
            "anchor": axes["yaxis"],
            "automargin": True,
            **fit,
            **(x or {}),
        }
        layout[axes["yaxis"].replace("y", "yaxis")] = {
            "anchor": axes["xaxis"],
            "automargin": True,
            **fit,
            **matrix,
            **(y or {}),
        }
        if title:
            layout["annotations"].append(
                {
                    "text": title,
                    "x": start + width / 2,
                    "y": 1.0,
                    "xref": "paper",
                    "yref": "paper",
                    "xanchor": "center",
                    "yanchor": "bottom",
                    "showarrow": False,
                    "font": {"size": 13},
                }
            )
    return layout


def side_by_side(
    traces: Sequence[dict[str, Any]],
    layout: dict[str, Any],
    height: int,
    *,
    legend: bool = False,
    right: int = 8,
) -> Figure:
    titled = bool(layout["annotations"])
    own = {
        "margin": {"l": 8, "r": right, "t": 34 * legend + 26 * titled + 6, "b": 8},
        "legend": {"orientation": "h", "x": 0, "y": 1.0 + 46 / height, "yanchor": "bottom"},
    }
    return {"data": list(traces), "layout": layout | frame(height=height, legend=legend) | own}
