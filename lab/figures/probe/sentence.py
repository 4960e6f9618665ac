"""One sentence on its way through a student: embedding, surface and step by step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from cellnet.inspection import Inspection
from lab.figures.layout import Figure, trace
from lab.figures.probe.panels import (
    GRAY,
    STUDENT_COLOR,
    FloatArray,
    Wide,
    axes_of,
    diverging,
    grid,
    side_by_side,
)
from lab.figures.series import Curve, Panel

_FAINT: Final = 0.35


def explained_share(teacher: FloatArray, answer: FloatArray, mean: FloatArray) -> Wide:
    """Share of each sentence's squared distance from the training mean that the answer explains.

    Args:
        teacher: embeddings, (..., D).
        answer: reconstructions, (..., D).
        mean: of the training embeddings, (D,).

    Returns:
        1 - |answer - teacher|^2 / |teacher - mean|^2, (...); 1 is perfect, 0 as good as the mean.
    """
    wide = teacher.astype(np.float64)
    error = np.square(answer - wide).sum(axis=-1)
    share: Wide = 1.0 - error / np.square(wide - mean).sum(axis=-1)
    return share


def step_panels(inspection: Inspection, chosen: int) -> list[Panel]:
    """Cosine after each lattice step and relative change in it; the chosen sentence stands out."""
    count, steps = inspection.relative_change.shape
    order = [*(row for row in range(count) if row != chosen), chosen]
    after, within = np.arange(steps + 1), np.arange(1, steps + 1)
    return [
        Panel(
            "cosine with the teacher", [_of_many(row, chosen, after, inspection.cosine) for row in order]
        ),
        Panel(
            "relative change in the step",
            [_of_many(row, chosen, within, inspection.relative_change) for row in order],
        ),
    ]


def _of_many(row: int, chosen: int, x: npt.NDArray[np.int64], values: FloatArray) -> Curve:
    stands_out = row == chosen
    return Curve(
        "this sentence" if stands_out else "the others",
        x,
        values[row],
        STUDENT_COLOR if stands_out else GRAY,
        width=2.2 if stands_out else 1.0,
        opacity=1.0 if stands_out else _FAINT,
        dots=stands_out,
    )


def scatter_figure(teacher: FloatArray, answer: FloatArray, height: int = 330) -> Figure:
    """The student's value of every dimension over the teacher's; on the line they are equal."""
    end = float(max(np.abs(teacher).max(), np.abs(answer).max())) * 1.05
    line = trace(
        "scatter",
        x=[-end, end],
        y=[-end, end],
        mode="lines",
        line={"color": GRAY, "width": 1, "dash": "dot"},
        hoverinfo="skip",
    )
    dots = trace(
        "scatter",
        x=teacher,
        y=answer,
        mode="markers",
        marker={"color": STUDENT_COLOR, "size": 4.5, "opacity": 0.55},
        customdata=np.arange(len(teacher)),
        hovertemplate="dimension %{customdata}<br>teacher %{x:.4f}<br>student %{y:.4f}<extra></extra>",
    )
    same = {"range": [-end, end], "zeroline": False, "constrain": "domain"}
    layout = grid(
        [""],
        x={"title": {"text": "teacher"}, **same},
        y={"title": {"text": "student"}, "scaleanchor": "x", **same},
    )
    return side_by_side([line, dots], layout, height)


def strips_figure(teacher: FloatArray, answer: FloatArray, dark: bool, height: int = 150) -> Figure:
    """The two embeddings as strips, dimension by dimension, and their difference, in one color scale."""
    rows = np.stack([answer - teacher, answer, teacher])
    strips = trace(
        "heatmap",
        z=rows,
        y=["difference", "student", "teacher"],
        coloraxis="coloraxis",
        ygap=3,
        hovertemplate="%{y}, dimension %{x}: %{z:.4f}<extra></extra>",
    )
    layout = grid(
        [""],
        x={"title": {"text": "dimension"}, "showgrid": False, "zeroline": False},
        y={"showgrid": False},
    )
    return side_by_side([strips], layout | diverging(rows, dark), height)


def surfaces_figure(surfaces: Mapping[str, FloatArray], dark: bool, height: int = 250) -> Figure:
    """Surfaces (n, n) side by side, in one color scale."""
    traces = [
        trace(
            "heatmap",
            z=surface,
            coloraxis="coloraxis",
            xgap=1,
            ygap=1,
            hovertemplate=name + " (%{x}, %{y}): %{z:.3f}<extra></extra>",
            **axes_of(place),
        )
        for place, (name, surface) in enumerate(surfaces.items())
    ]
    bare = {"showticklabels": False, "ticks": "", "showgrid": False, "zeroline": False}
    layout = grid(list(surfaces), x=bare, y=bare, gap=0.04, square=True)
    return side_by_side(traces, layout | diverging(np.stack(list(surfaces.values())), dark), height)
