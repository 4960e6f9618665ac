"""Numbers of the cells at each lattice step, and how they spread with the depth below the surface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lab.figures.cube import fields
from lab.figures.cube.fields import CellField
from lab.figures.cube.scenes import Dimensions
from lab.figures.layout import Figure, color_scale, trace
from lab.figures.probe.panels import MOST_NUMBERS, FloatArray, Wide, grid, side_by_side

Fields = dict[int, CellField]
"""Cells colored by one number each, by lattice step, all on one ramp; step 0 is what came in."""

DECADES: Final = 4
_END: Final = 99
"""Percentile at the upper end of a ramp, so that a single cell does not take all the contrast."""


def on_one_ramp(
    values: FloatArray,
    dimensions: Dimensions,
    label: str,
    colormap: str,
    *,
    first: int = 0,
    low: float = 0.0,
) -> Fields:
    """Color cells by values (S, N) of the lattice steps ``first`` to ``first`` + S - 1.

    The ramp goes from ``low`` to the 99th percentile over all steps.
    """
    limits = (low, max(low, float(np.percentile(values, _END))))
    return fields.ramps(dimensions, label, values, limits, colormap, first=first)


def decades(shown: Fields) -> Fields:
    """Return the decimal logarithm of values, down to `DECADES` below the largest."""
    values = stacked(shown)
    high = float(values.max())
    if high <= 0:
        return shown
    low = np.log10(high) - DECADES
    logarithms = np.log10(np.maximum(values, 10.0**low)).astype(np.float32)
    first, like = next(iter(shown.items()))
    label = f"log10 of {like.label}"
    return on_one_ramp(logarithms, like.dimensions, label, like.colormap, first=first, low=float(low))


def activity(states: FloatArray, dimensions: Dimensions) -> Fields:
    """Return the root mean square of each cell's state; states are (T + 1, N, C)."""
    return on_one_ramp(fields.activity(states), dimensions, fields.ACTIVITY, "viridis")


def change(states: FloatArray, dimensions: Dimensions) -> Fields:
    """Return the root mean square of what each step changes in each cell, at steps 1..T."""
    values = fields.activity(np.diff(states, axis=0))
    return on_one_ramp(values, dimensions, fields.CHANGE, "magma", first=1)


def own_part(states: FloatArray, reference: FloatArray, dimensions: Dimensions) -> Fields:
    """Return what of each cell's state comes from the sentence: its distance to the states of another run.

    Args:
        states: of the sentence, (T + 1, N, C).
        reference: of the mean embedding of the training, (T + 1, N, C).
        dimensions: cells along x, y, z.
    """
    values = fields.activity(states - reference)
    return on_one_ramp(values, dimensions, "the sentence's own part (rms)", "viridis")


def difference(first: FloatArray, second: FloatArray, dimensions: Dimensions, label: str) -> Fields:
    """Return the distance of each cell's states in two runs (T + 1, N, C)."""
    return on_one_ramp(fields.activity(first - second), dimensions, label, "inferno")


def stacked(shown: Mapping[int, CellField]) -> FloatArray:
    """Return the values of all lattice steps, (S, N)."""
    return np.stack([each.values for each in shown.values()])


def by_depth(values: FloatArray, depths: npt.NDArray[np.int64]) -> Wide:
    """Root mean square over the cells of each depth, (N,): (S, N) becomes (depths, S)."""
    squares = np.square(values.astype(np.float64))
    return np.stack(
        [np.sqrt(squares[:, depths == level].mean(axis=1)) for level in range(depths.max() + 1)]
    )


def depth_figure(
    shown: Fields, depths: npt.NDArray[np.int64], *, log: bool = False, height: int = 250
) -> Figure:
    """Depth below the surface by lattice step: the rms over the cells of that depth.

    Args:
        shown: the cells at each lattice step.
        depths: of the cells, (N,).
        log: whether colors stand for the logarithm; what is zero then has none.
    """
    levels, steps = by_depth(stacked(shown), depths), list(shown)
    with np.errstate(divide="ignore"):
        colors = np.where(levels > 0, np.log10(levels), np.nan) if log else levels
    bar: dict[str, Any] = {"title": {"text": "rms"}, "thickness": 12}
    if log:
        bar |= {"tickprefix": "10<sup>", "ticksuffix": "</sup>", "dtick": 1}
    heatmap = trace(
        "heatmap",
        z=colors,
        x=steps,
        y=np.arange(len(levels)),
        text=[[f"{value:.2g}" for value in row] for row in levels],
        colorscale=color_scale(shown[steps[0]].colormap),
        xgap=1,
        ygap=1,
        texttemplate="%{text}" if levels.size <= MOST_NUMBERS else None,
        colorbar=bar,
        hovertemplate="depth %{y}, step %{x}: %{text}<extra></extra>",
    )
    bare = {"showgrid": False, "zeroline": False}
    layout = grid(
        [""],
        x={"title": {"text": "lattice step"}, "dtick": max(1, len(steps) // 10), **bare},
        y={
            "title": {"text": "depth (cells)"},
            "autorange": "reversed",
            "dtick": max(1, len(levels) // 6),
            **bare,
        },
    )
    return side_by_side([heatmap], layout, height)
