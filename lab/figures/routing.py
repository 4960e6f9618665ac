"""The weights of the experts: in the cube, in the triangle or as bars, over the steps and the training."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from cellnet.inspection.similarity import ExpertMeasures
from cellnet.student.experts import EXPERTS
from lab.figures.colors import EXPERT_COLORS, hex_to_rgb
from lab.figures.cube.fields import Floats
from lab.figures.cube.scenes import BoolArray, Scene, category_scene, scalar_scene
from lab.figures.cube.wiring import position_of
from lab.figures.layout import PAPER, Figure, Trace, color_scale, framed, trace
from lab.training import CubeFrame
from lab.training.frames import FrameSummary

Overview = Literal["expert", "entropy"]
OVERVIEWS: Final[dict[Overview, str]] = {"expert": "Dominant expert", "entropy": "Entropy"}
MAX_POINTS: Final = 1500
"""Cells in the triangle: more would be neither told apart nor drawn quickly."""
_LIGHT: Final = (238, 241, 244)
_HEIGHT: Final = 270


def gate_entropy(gate: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Entropy of gate weights (..., E) over that of an even mixture: 0 for one expert, 1 for all alike."""
    weights = gate.astype(np.float64)
    logs = np.log(np.maximum(weights, np.finfo(np.float64).tiny))
    entropy: npt.NDArray[np.float64] = -(weights * logs).sum(axis=-1) / math.log(gate.shape[-1])
    return entropy


def overview_scene(frame: CubeFrame, at: int, overview: Overview, visible: BoolArray) -> Scene:
    """The dominant expert of each cell in lattice step ``at`` (1..T), or the entropy of its gate."""
    gate = frame.gate[at - 1]
    if overview == "entropy":
        return scalar_scene(
            frame.dimensions,
            gate_entropy(gate),
            label="entropy of the gate",
            colormap="cividis",
            limits=(0.0, 1.0),
            visible=visible,
        )
    return category_scene(
        frame.dimensions,
        gate.argmax(axis=-1),
        EXPERT_COLORS,
        label="expert with the largest weight",
        visible=visible,
    )


def weight_scene(frame: CubeFrame, at: int, expert: str, visible: BoolArray, most: float) -> Scene:
    """The weight of an expert in lattice step ``at`` (1..T), on a ramp from 0 to ``most``."""
    scene = scalar_scene(
        frame.dimensions,
        frame.gate[at - 1, :, list(EXPERTS).index(expert)],
        label=f"weight of {expert}",
        limits=(0.0, most),
        visible=visible,
    )
    return replace(scene, table=expert_ramp(expert))


def largest_weight(frame: CubeFrame) -> float:
    """Upper end of the ramps of all experts in all lattice steps: the 99th percentile of the weights."""
    return float(np.percentile(frame.gate, 99))


def expert_ramp(expert: str) -> npt.NDArray[np.uint8]:
    """256 colors from nearly white to the color of an expert, (256, 3)."""
    share = np.linspace(0, 1, 256)[:, None]
    mixed = (1 - share) * np.asarray(_LIGHT) + share * np.asarray(hex_to_rgb(EXPERT_COLORS[expert]))
    ramp: npt.NDArray[np.uint8] = np.rint(mixed).astype(np.uint8)
    return ramp


def sampled_cells(count: int, region: BoolArray | None = None) -> npt.NDArray[np.int64]:
    """At most `MAX_POINTS` of ``count`` cells, always the same ones; those of a region first.

    Args:
        count: N.
        region: (N,) bool; at least half of the points are of it, if it has as many.
    """
    order = np.random.default_rng(0).permutation(count)
    if count <= MAX_POINTS:
        return np.sort(order)
    if region is None:
        return np.sort(order[:MAX_POINTS])
    inside, outside = order[region[order]], order[~region[order]]
    kept = max(MAX_POINTS // 2, MAX_POINTS - len(outside))
    taken = inside[:kept]
    return np.sort(np.concatenate([taken, outside[: MAX_POINTS - len(taken)]]))


def ternary_figure(
    frame: CubeFrame,
    at: int,
    cells: npt.NDArray[np.int64],
    depths: npt.NDArray[np.int64],
    region: BoolArray | None,
    chosen: int | None = None,
) -> Figure:
    """The gates of some cells in a triangle whose corners are the three experts.

    The triangle is drawn on plain axes: in Plotly's own ternary plots nothing can be chosen by Streamlit.

    Args:
        frame: the picture.
        at: lattice step, 1..T.
        cells: the cells to draw, (M,), which are the ids of the points.
        depths: how far below the surface each of the N cells is, (N,).
        region: (N,) bool, cells that stand out; without one all do.
        chosen: a cell to mark.
    """
    gate = frame.gate[at - 1]
    deepest = max(1, int(depths.max()))
    places = in_triangle(gate[cells])
    traces = [
        trace(
            "scatter",
            x=places[:, 0],
            y=places[:, 1],
            ids=[str(cell) for cell in cells.tolist()],
            mode="markers",
            marker={
                "color": depths[cells],
                "colorscale": color_scale("viridis"),
                "cmin": 0,
                "cmax": deepest,
                "size": 6,
                "opacity": 0.75 if region is None else np.where(region[cells], 0.9, 0.12),
                "colorbar": {
                    "title": {"text": "depth<br>(cells)", "side": "top"},
                    "thickness": 10,
                    "len": 0.5,
                    "y": 0.55,
                    "tickvals": list(range(0, deepest + 1, 1 + deepest // 8)),
                },
            },
            selected={"marker": {"opacity": 0.95}},
            unselected={"marker": {"opacity": 0.12}},
            customdata=[
                (f"{cell} at {position_of(int(cell), frame.dimensions)}", *weights)
                for cell, weights in zip(cells.tolist(), gate[cells].round(3).tolist(), strict=True)
            ],
            hovertemplate="cell %{customdata[0]}<br>"
            + ", ".join(f"{name} %{{customdata[{place}]}}" for place, name in enumerate(EXPERTS, start=1))
            + "<extra></extra>",
        )
    ]
    if chosen is not None and chosen < len(gate):
        (place,) = in_triangle(gate[chosen : chosen + 1])
        ring = {"symbol": "circle-open", "size": 15, "color": "#D55E00", "line": {"width": 2.5}}
        traces.append(
            trace("scatter", x=place[:1], y=place[1:], mode="markers", marker=ring, hoverinfo="skip")
        )
    return {
        "data": traces,
        "layout": {
            "shapes": [_triangle_line(ends) for ends in _triangle_lines()],
            "annotations": [
                {
                    "x": corner[0],
                    "y": corner[1],
                    "yshift": shift,
                    "text": f"<b>{name}</b>",
                    "showarrow": False,
                    "font": {"color": EXPERT_COLORS[name], "size": 14},
                }
                for name, corner, shift in zip(EXPERTS, in_triangle(np.eye(3)), (14, -14, -14), strict=True)
            ],
            "xaxis": {"visible": False, "range": [-0.08, 1.08]},
            "yaxis": {"visible": False, "range": [-0.09, 0.95], "scaleanchor": "x"},
            "height": 430,
            "margin": {"l": 0, "r": 0, "t": 8, "b": 0},
            "paper_bgcolor": PAPER,
            "plot_bgcolor": PAPER,
            "dragmode": "lasso",
            "clickmode": "event+select",
            "uirevision": f"{frame.step} {at} {len(cells)}",
            "showlegend": False,
        },
    }


def mixture_bars(frame: CubeFrame, at: int, region: BoolArray | None, chosen: int | None = None) -> Figure:
    """Mean weight of each expert in lattice step ``at`` (1..T): what stands for the triangle of three.

    Args:
        frame: the picture.
        at: lattice step, 1..T.
        region: (N,) bool; its mean is drawn beside that of all cells.
        chosen: a cell whose own weights are drawn beside them.
    """
    gate = frame.gate[at - 1]
    groups = {"all cells": gate.mean(axis=0)}
    if region is not None and region.any():
        groups["region"] = gate[region].mean(axis=0)
    if chosen is not None and chosen < len(gate):
        groups[f"cell {position_of(chosen, frame.dimensions)}"] = gate[chosen]
    bars = [
        trace(
            "bar",
            x=list(groups),
            y=[float(weights[place]) for weights in groups.values()],
            name=name,
            marker={"color": color},
            hovertemplate="%{x}: %{y:.3f}",
        )
        for place, (name, color) in enumerate(EXPERT_COLORS.items())
    ]
    return framed(
        bars,
        height=430,
        legend=True,
        xaxis={},
        yaxis={"title": "mean weight", "rangemode": "tozero"},
        barmode="group",
    )


def _triangle_line(ends: npt.NDArray[np.float64]) -> dict[str, object]:
    """A line between two mixtures, (2, 3)."""
    return {
        "type": "line",
        "layer": "below",
        "line": {"color": "rgba(128,140,152,.35)", "width": 1},
        **dict(zip(("x0", "y0", "x1", "y1"), in_triangle(ends).ravel().tolist(), strict=True)),
    }


def in_triangle(weights: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Weights (M, 3) as places (M, 2) in a triangle: the first on top, the second left, the third right."""
    corners = np.array([[0.5, math.sqrt(3) / 2], [0.0, 0.0], [1.0, 0.0]])
    places: npt.NDArray[np.float64] = weights.astype(np.float64) @ corners
    return places


def _triangle_lines() -> Iterator[npt.NDArray[np.float64]]:
    """Weights (2, 3) at the ends of the lines on which one weight is 0, 0.2, ... 0.8."""
    for share in np.arange(0, 1, 0.2):
        for place in range(3):
            ends = np.zeros((2, 3))
            ends[:, place] = share
            ends[0, (place + 1) % 3] = ends[1, (place + 2) % 3] = 1 - share
            yield ends


def usage_over_training(summaries: Sequence[FrameSummary], at: int) -> Figure:
    """Mean weight of each expert in lattice step ``at`` over the kept steps of a training."""
    steps = [summary.step for summary in summaries]
    traces = [
        trace(
            "scatter",
            x=steps,
            y=[summary.gate_mean[at - 1][place] for summary in summaries],
            name=name,
            stackgroup="gate",
            mode="lines",
            line={"width": 0.6, "color": color},
            fillcolor=color,
            hovertemplate="%{y:.3f}",
        )
        for place, (name, color) in enumerate(EXPERT_COLORS.items())
    ]
    return framed(
        traces,
        height=_HEIGHT,
        legend=True,
        xaxis={"title": "training step"},
        yaxis={"title": "mean weight", "range": [0, 1]},
        hovermode="x unified",
    )


def entropy_over_training(summaries: Sequence[FrameSummary]) -> Figure:
    """Mean entropy of the gate over the kept steps of a training, one line per lattice step."""
    count = len(summaries[0].gate_entropy) if summaries else 0
    traces = [
        trace(
            "scatter",
            x=[summary.step for summary in summaries],
            y=[summary.gate_entropy[step] for summary in summaries],
            name=f"step {step + 1}",
            mode="lines",
            line={"width": 1.6, "color": f"rgba(0, 114, 178, {0.3 + 0.7 * step / max(1, count - 1):.2f})"},
            hovertemplate="%{y:.3f}",
        )
        for step in range(count)
    ]
    return framed(
        traces,
        height=_HEIGHT,
        legend=True,
        xaxis={"title": "training step"},
        yaxis={"title": "entropy (1: even)"},
        hovermode="x unified",
    )


def entropy_per_step(gate: Floats, region: BoolArray | None = None) -> Figure:
    """The spread of entropy over cells in each lattice step: median, middle half, 5 to 95 percent.

    Args:
        gate: (T, N, E).
        region: (N,) bool; its median is drawn beside that of all cells.
    """
    entropy = gate_entropy(gate)
    low, first, middle, third, high = np.percentile(entropy, (5, 25, 50, 75, 95), axis=1)
    steps = list(range(1, len(gate) + 1))
    traces = [
        *_spread(steps, low, high, 0.16, "5 to 95 %"),
        *_spread(steps, first, third, 0.3, "middle half"),
    ]
    lines = {"median": (middle, "#0072B2", "solid")}
    if region is not None and region.any():
        lines["median of the region"] = (np.median(entropy[:, region], axis=1), "#D55E00", "dash")
    for name, (values, color, dash) in lines.items():
        traces.append(
            trace(
                "scatter",
                x=steps,
                y=values,
                name=name,
                mode="lines+markers",
                line={"color": color, "dash": dash, "width": 2},
                hovertemplate="%{y:.3f}",
            )
        )
    return framed(
        traces,
        height=390,
        legend=True,
        xaxis={"title": "lattice step", "dtick": 1},
        yaxis={"title": "entropy (1: even)", "range": [0, 1.02]},
    )


def _spread(
    steps: list[int], bottom: npt.NDArray[np.float64], top: npt.NDArray[np.float64], alpha: float, name: str
) -> list[Trace]:
    """A band between two lines."""
    edge = {"x": steps, "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    fill = {"fill": "tonexty", "fillcolor": f"rgba(0, 114, 178, {alpha})", "name": name}
    return [trace("scatter", y=top, showlegend=False, **edge), trace("scatter", y=bottom, **edge, **fill)]


def similarity_figure(measures: ExpertMeasures, at: int) -> Figure:
    """Linear CKA between what the experts propose in lattice step ``at`` (1..T)."""
    matrix = measures.similarity[at - 1]
    text = [["–" if np.isnan(value) else f"{value:.2f}" for value in row] for row in matrix]  # noqa: RUF001
    heat = trace(
        "heatmap",
        z=matrix,
        x=list(EXPERTS),
        y=list(EXPERTS),
        text=text,
        texttemplate="%{text}",
        colorscale=color_scale("cividis"),
        zmin=0,
        zmax=1,
        colorbar={"title": {"text": "CKA"}, "thickness": 10},
        hovertemplate="%{y} and %{x}: %{z:.3f}<extra></extra>",
    )
    return framed([heat], height=_HEIGHT, legend=False, xaxis={}, yaxis={"autorange": "reversed"})


def norms_figure(measures: ExpertMeasures) -> Figure:
    """Rms of what each expert proposes in each lattice step."""
    traces = [
        trace(
            "scatter",
            x=list(range(1, len(measures.output_norms) + 1)),
            y=measures.output_norms[:, place],
            name=name,
            mode="lines+markers",
            line={"color": color, "width": 2},
            hovertemplate="%{y:.3g}",
        )
        for place, (name, color) in enumerate(EXPERT_COLORS.items())
    ]
    return framed(
        traces,
        height=_HEIGHT,
        legend=True,
        xaxis={"title": "lattice step", "dtick": 1},
        yaxis={"title": "proposed change (rms)", "rangemode": "tozero"},
    )


def ablation_figure(costs: Mapping[str, float]) -> Figure:
    """The cost of silencing each expert, in explained variance."""
    bars = trace(
        "bar",
        x=list(costs),
        y=list(costs.values()),
        marker={"color": [EXPERT_COLORS[name] for name in costs]},
        text=[f"{cost:.3f}" for cost in costs.values()],
        textposition="auto",
        hovertemplate="%{x} silenced: explained variance falls by %{y:.4f}<extra></extra>",
    )
    return framed(
        [bars], height=_HEIGHT, legend=False, xaxis={}, yaxis={"title": "loss of explained variance"}
    )


def region_usage(gate: Floats, region: BoolArray) -> tuple[Floats, Floats]:
    """Mean gate in each lattice step of all cells and of a region, (T, E) both; even for no cell."""
    inside = gate[:, region]
    count = gate.shape[-1]
    mean = inside.mean(axis=1) if region.any() else np.full((len(gate), count), 1 / count)
    return gate.mean(axis=1), mean.astype(np.float32)
