"""Two or more sentences compared: cosines in the teacher, in the cube and in what is read out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from cellnet.inspection import Inspection
from lab.figures.layout import Figure, color_scale, trace
from lab.figures.probe.panels import (
    MOST_NUMBERS,
    STUDENT_COLOR,
    TEACHER_COLOR,
    FloatArray,
    Wide,
    axes_of,
    grid,
    side_by_side,
)
from lab.figures.series import Curve, Panel


def state_cosines(states: FloatArray, reference: FloatArray) -> Wide:
    """Cosine between the own parts of sentences, over all cells and channels.

    Args:
        states: (B, T + 1, N, C).
        reference: states of the mean embedding, (T + 1, N, C).

    Returns:
        (T + 1, B, B).
    """
    own = (states.astype(np.float64) - reference).transpose(1, 0, 2, 3)
    return np.stack([cosines(rows.reshape(len(rows), -1)) for rows in own])


def cosines(rows: npt.NDArray[np.floating[Any]]) -> Wide:
    """Cosines between all pairs of rows (B, D), as (B, B); 0 where a row is zero."""
    wide = rows.astype(np.float64)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    unit = np.divide(wide, norms, out=np.zeros_like(wide), where=norms > 0)
    products: Wide = unit @ unit.T
    return products


def pair_panels(inspection: Inspection, states: Wide, first: int, second: int) -> list[Panel]:
    """Return how alike two sentences are to the teacher, in the cube, and in what is read out of it.

    Args:
        inspection: of all sentences.
        states: see `state_cosines`.
        first, second: rows of the two sentences.
    """
    steps = np.arange(len(states))
    pair = [first, second]
    read = [cosines(inspection.readouts[pair, step])[0, 1] for step in steps]
    teacher = np.full(len(steps), cosines(inspection.teacher[pair])[0, 1])
    curves = [
        Curve("teacher", steps, teacher, TEACHER_COLOR, dash="dash", width=1.6),
        Curve("read out", steps, np.array(read), STUDENT_COLOR, dots=True, width=2.2),
        Curve("in the cube", steps, states[:, first, second], "#009E73", dots=True, width=2.2),
    ]
    return [Panel("cosine of the two sentences", curves)]


def matrices_figure(matrices: Mapping[str, Wide], height: int = 300) -> Figure:
    """Cosines between all pairs of sentences (B, B), in one color scale; sentences count from 1."""
    names = [str(number + 1) for number in range(len(next(iter(matrices.values()))))]
    traces = [
        trace(
            "heatmap",
            z=matrix,
            x=names,
            y=names,
            coloraxis="coloraxis",
            texttemplate="%{z:.2f}" if matrix.size <= MOST_NUMBERS else None,
            xgap=1,
            ygap=1,
            hovertemplate=name + ", %{y} and %{x}: %{z:.3f}<extra></extra>",
            **axes_of(place),
        )
        for place, (name, matrix) in enumerate(matrices.items())
    ]
    low = min(0.0, *(float(matrix.min()) for matrix in matrices.values()))
    axis = {"showgrid": False, "type": "category"}
    layout = grid(list(matrices), x=axis, y=axis, gap=0.06, square=True)
    layout["coloraxis"] = {
        "colorscale": color_scale("viridis"),
        "cmin": low,
        "cmax": 1.0,
        "colorbar": {"thickness": 12},
    }
    return side_by_side(traces, layout, height)


def states_figure(states: Mapping[str, FloatArray], height: int = 230) -> Figure:
    """The state vectors (C,) of one cell, channel by channel."""
    traces = [
        trace(
            "scatter",
            y=state,
            name=name,
            mode="lines+markers",
            line={"color": color, "width": 1.6},
            marker={"size": 5},
        )
        for color, (name, state) in zip((TEACHER_COLOR, STUDENT_COLOR), states.items(), strict=False)
    ]
    layout = grid([""], x={"title": {"text": "channel"}, "zeroline": False})
    return side_by_side(traces, layout, height, legend=True)
