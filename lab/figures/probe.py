"""What a student does with sentences, as figures and scenes: from inspections and plain arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from cellnet.decoder import Match
from cellnet.inspection import Inspection
from cellnet.inspection.repair import Repair, cell_difference
from lab.figures.cube.scenes import Dimensions, Scene, scalar_scene
from lab.figures.layout import Figure, color_scale, frame
from lab.figures.series import Curve, Panel

FloatArray = npt.NDArray[np.float32]
Wide = npt.NDArray[np.float64]
View = Literal["whole", "cut open", "layers"]

TEACHER_COLOR: Final = "#0072B2"
STUDENT_COLOR: Final = "#D55E00"
INTACT_COLOR: Final = "#0072B2"
DAMAGED_COLOR: Final = "#D55E00"
PART_COLORS: Final = {"lesion": "#CC79A7", "near": "#E69F00", "far": "#56B4E9"}
"""Where the distance to the intact run is measured; the colors go with Okabe and Ito's palette."""
VIEWS: Final[tuple[View, ...]] = ("whole", "cut open", "layers")
DECADES: Final = 4
_LAYER_GAP: Final = (0.0, 0.0, 1.2)
_MOST_NUMBERS: Final = 120
"""A map of more numbers than this shows colors alone."""
_FAINT: Final = 0.35
_GRAY: Final = "#7A7A7A"


# Numbers.


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


def by_depth(values: FloatArray, depths: npt.NDArray[np.int64]) -> Wide:
    """Root mean square over the cells of each depth, (N,): (S, N) becomes (depths, S)."""
    squares = np.square(values.astype(np.float64))
    return np.stack(
        [np.sqrt(squares[:, depths == level].mean(axis=1)) for level in range(depths.max() + 1)]
    )


@dataclass(frozen=True)
class CellValues:
    """One number per cell at each of several lattice steps.

    Attributes:
        values: (S, N).
        first: lattice step of the first row; 0 is the state in which the sentence came in.
        label: what the number is.
        colormap: for scenes and heatmaps.
        low: the number that the darkest color stands for.
    """

    values: FloatArray
    first: int
    label: str
    colormap: str
    low: float = 0.0

    @property
    def last(self) -> int:
        """Lattice step of the last row."""
        return self.first + len(self.values) - 1


def decades(shown: CellValues) -> CellValues:
    """The decimal logarithm of values, down to `DECADES` below the largest."""
    high = float(shown.values.max())
    if high <= 0:
        return shown
    low = np.log10(high) - DECADES
    values = np.log10(np.maximum(shown.values, 10.0**low)).astype(np.float32)
    return replace(shown, values=values, label=f"log10 of {shown.label}", low=float(low))


def activity(states: FloatArray) -> CellValues:
    """Root mean square of each cell's state; states are (T + 1, N, C)."""
    return CellValues(_rms(states), 0, "activity (rms of the state)", "viridis")


def change(states: FloatArray) -> CellValues:
    """Root mean square of what each step changes in each cell, at steps 1..T."""
    return CellValues(_rms(np.diff(states, axis=0)), 1, "change in this step (rms)", "magma")


def own_part(states: FloatArray, reference: FloatArray) -> CellValues:
    """What of each cell's state comes from the sentence: its distance to the states of another run.

    Args:
        states: of the sentence, (T + 1, N, C).
        reference: of the mean embedding of the training, (T + 1, N, C).
    """
    return CellValues(_rms(states - reference), 0, "the sentence's own part (rms)", "viridis")


def difference(first: FloatArray, second: FloatArray, label: str) -> CellValues:
    """Distance of each cell's states in two runs (T + 1, N, C)."""
    return CellValues(cell_difference(first, second), 0, label, "inferno")


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


@dataclass(frozen=True)
class Neighbor:
    """A sentence near an embedding.

    Attributes:
        text: the sentence.
        cosine: with the embedding.
        rank: 1 for the nearest.
        other_rank: its rank in the list it is compared with, or None if it is not in there.
    """

    text: str
    cosine: float
    rank: int
    other_rank: int | None


def neighbors(matches: Sequence[Match], others: Sequence[Match]) -> list[Neighbor]:
    """The matches, with the rank that each has among the others."""
    ranks = {match.index: rank for rank, match in enumerate(others, start=1)}
    return [
        Neighbor(match.text, match.score, rank, ranks.get(match.index))
        for rank, match in enumerate(matches, start=1)
    ]


# Scenes.


def cell_scene(shown: CellValues, dimensions: Dimensions, at: int, view: View) -> Scene:
    """The cube at lattice step ``at``; the ramp ends at the 99th percentile over all steps."""
    high = float(np.percentile(shown.values, 99))
    x, y, z = dimensions
    return scalar_scene(
        dimensions,
        shown.values[at - shown.first],
        label=shown.label,
        colormap=shown.colormap,
        limits=(shown.low, max(shown.low, high)),
        clip=((0, x - 1), (y // 2, y - 1), (0, z - 1)) if view == "cut open" else None,
        explode=_LAYER_GAP if view == "layers" else 0.0,
    )


# Curves.


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
        STUDENT_COLOR if stands_out else _GRAY,
        width=2.2 if stands_out else 1.0,
        opacity=1.0 if stands_out else _FAINT,
        dots=stands_out,
    )


def pair_panels(inspection: Inspection, states: Wide, first: int, second: int) -> list[Panel]:
    """How alike two sentences are to the teacher, in the cube, and in what is read out of it.

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


def damage_panels(intact: Inspection, damaged: Inspection, repair: Repair, row: int) -> list[Panel]:
    """Cosine after each lattice step with and without damage, and how far the two runs are apart."""
    steps = np.arange(intact.cosine.shape[1])
    apart = [Curve("whole cube", steps, repair.total[row], _GRAY, dots=True, width=2.4)]
    for name, color in PART_COLORS.items():
        part: Wide | None = getattr(repair, name)
        if part is not None:
            label = {"lesion": "the lesion", "near": "next to it", "far": "all other cells"}[name]
            apart.append(Curve(label, steps, part[row], color, dots=True, width=1.6))
    return [
        Panel(
            "cosine with the teacher",
            [
                Curve("damaged", steps, damaged.cosine[row], DAMAGED_COLOR, dots=True, width=3.0),
                Curve("intact", steps, intact.cosine[row], INTACT_COLOR, dash="dash", width=1.8),
            ],
        ),
        Panel("distance to the intact run", apart),
    ]


# Figures.


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
                {
                    "type": "scatter",
                    "x": curve.x,
                    "y": curve.y,
                    "name": curve.name,
                    "mode": "lines+markers" if curve.dots else "lines",
                    "line": {"color": curve.color, "width": curve.width, "dash": curve.dash},
                    "opacity": curve.opacity,
                    "legendgroup": curve.name,
                    "showlegend": curve.name not in named,
                    **_axes(place),
                }
            )
            named.add(curve.name)
    layout = _grid(
        [panel.title for panel in panels],
        x={"title": {"text": x_title}, "dtick": _tick(panels), "zeroline": False},
        gap=0.11,
    )
    if shaded is not None:
        box = {"x0": shaded[0], "x1": shaded[1], "y0": 0, "y1": 1, "fillcolor": _GRAY, "opacity": 0.16}
        layout["shapes"] = [
            {
                "type": "rect",
                **box,
                "line": {"width": 0},
                "xref": _axes(place)["xaxis"],
                "yref": f"{_axes(place)['yaxis']} domain",
            }
            for place in range(len(panels))
        ]
    return _figure(traces, layout, height, legend=len(named) > 1)


def scatter_figure(teacher: FloatArray, answer: FloatArray, height: int = 330) -> Figure:
    """The student's value of every dimension over the teacher's; on the line they are equal."""
    end = float(max(np.abs(teacher).max(), np.abs(answer).max())) * 1.05
    line = {
        "type": "scatter",
        "x": [-end, end],
        "y": [-end, end],
        "mode": "lines",
        "line": {"color": _GRAY, "width": 1, "dash": "dot"},
        "hoverinfo": "skip",
    }
    dots = {
        "type": "scatter",
        "x": teacher,
        "y": answer,
        "mode": "markers",
        "marker": {"color": STUDENT_COLOR, "size": 4.5, "opacity": 0.55},
        "customdata": np.arange(len(teacher)),
        "hovertemplate": "dimension %{customdata}<br>teacher %{x:.4f}<br>student %{y:.4f}<extra></extra>",
    }
    same = {"range": [-end, end], "zeroline": False, "constrain": "domain"}
    layout = _grid(
        [""],
        x={"title": {"text": "teacher"}, **same},
        y={"title": {"text": "student"}, "scaleanchor": "x", **same},
    )
    return _figure([line, dots], layout, height)


def strips_figure(teacher: FloatArray, answer: FloatArray, dark: bool, height: int = 150) -> Figure:
    """The two embeddings as strips, dimension by dimension, and their difference, in one color scale."""
    rows = np.stack([answer - teacher, answer, teacher])
    strips = {
        "type": "heatmap",
        "z": rows,
        "y": ["difference", "student", "teacher"],
        "coloraxis": "coloraxis",
        "ygap": 3,
        "hovertemplate": "%{y}, dimension %{x}: %{z:.4f}<extra></extra>",
    }
    layout = _grid(
        [""],
        x={"title": {"text": "dimension"}, "showgrid": False, "zeroline": False},
        y={"showgrid": False},
    )
    return _figure([strips], layout | _centered(rows, dark), height)


def surfaces_figure(surfaces: Mapping[str, FloatArray], dark: bool, height: int = 250) -> Figure:
    """Surfaces (n, n) side by side, in one color scale."""
    traces = [
        {
            "type": "heatmap",
            "z": surface,
            "coloraxis": "coloraxis",
            "xgap": 1,
            "ygap": 1,
            "hovertemplate": name + " (%{x}, %{y}): %{z:.3f}<extra></extra>",
            **_axes(place),
        }
        for place, (name, surface) in enumerate(surfaces.items())
    ]
    bare = {"showticklabels": False, "ticks": "", "showgrid": False, "zeroline": False}
    layout = _grid(list(surfaces), x=bare, y=bare, gap=0.04, square=True)
    return _figure(traces, layout | _centered(np.stack(list(surfaces.values())), dark), height)


def depth_figure(
    shown: CellValues, depths: npt.NDArray[np.int64], *, log: bool = False, height: int = 250
) -> Figure:
    """Depth below the surface by lattice step: the rms over the cells of that depth.

    Args:
        shown: one number per cell and step.
        depths: of the cells, (N,).
        log: whether colors stand for the logarithm; what is zero then has none.
    """
    grid = by_depth(shown.values, depths)
    with np.errstate(divide="ignore"):
        colors = np.where(grid > 0, np.log10(grid), np.nan) if log else grid
    bar: dict[str, Any] = {"title": {"text": "rms"}, "thickness": 12}
    if log:
        bar |= {"tickprefix": "10<sup>", "ticksuffix": "</sup>", "dtick": 1}
    heatmap = {
        "type": "heatmap",
        "z": colors,
        "x": np.arange(shown.first, shown.last + 1),
        "y": np.arange(len(grid)),
        "text": [[f"{value:.2g}" for value in row] for row in grid],
        "colorscale": color_scale(shown.colormap),
        "xgap": 1,
        "ygap": 1,
        "texttemplate": "%{text}" if grid.size <= _MOST_NUMBERS else None,
        "colorbar": bar,
        "hovertemplate": "depth %{y}, step %{x}: %{text}<extra></extra>",
    }
    bare = {"showgrid": False, "zeroline": False}
    layout = _grid(
        [""],
        x={"title": {"text": "lattice step"}, "dtick": max(1, len(shown.values) // 10), **bare},
        y={
            "title": {"text": "depth (cells)"},
            "autorange": "reversed",
            "dtick": max(1, len(grid) // 6),
            **bare,
        },
    )
    return _figure([heatmap], layout, height)


def matrices_figure(matrices: Mapping[str, Wide], height: int = 300) -> Figure:
    """Cosines between all pairs of sentences (B, B), in one color scale; sentences count from 1."""
    names = [str(number + 1) for number in range(len(next(iter(matrices.values()))))]
    traces = [
        {
            "type": "heatmap",
            "z": matrix,
            "x": names,
            "y": names,
            "coloraxis": "coloraxis",
            "texttemplate": "%{z:.2f}" if matrix.size <= _MOST_NUMBERS else None,
            "xgap": 1,
            "ygap": 1,
            "hovertemplate": name + ", %{y} and %{x}: %{z:.3f}<extra></extra>",
            **_axes(place),
        }
        for place, (name, matrix) in enumerate(matrices.items())
    ]
    low = min(0.0, *(float(matrix.min()) for matrix in matrices.values()))
    axis = {"showgrid": False, "type": "category"}
    layout = _grid(list(matrices), x=axis, y=axis, gap=0.06, square=True)
    layout["coloraxis"] = {
        "colorscale": color_scale("viridis"),
        "cmin": low,
        "cmax": 1.0,
        "colorbar": {"thickness": 12},
    }
    return _figure(traces, layout, height)


def states_figure(states: Mapping[str, FloatArray], height: int = 230) -> Figure:
    """The state vectors (C,) of one cell, channel by channel."""
    traces = [
        {
            "type": "scatter",
            "y": state,
            "name": name,
            "mode": "lines+markers",
            "line": {"color": color, "width": 1.6},
            "marker": {"size": 5},
        }
        for color, (name, state) in zip((TEACHER_COLOR, STUDENT_COLOR), states.items(), strict=False)
    ]
    layout = _grid([""], x={"title": {"text": "channel"}, "zeroline": False})
    return _figure(traces, layout, height, legend=True)


def costs_figure(costs: Mapping[str, float], colors: Mapping[str, str], height: int = 330) -> Figure:
    """Lost explained variance of each damage as bars.

    Args:
        costs: by the name of the damage.
        colors: of the bars, by the last word of the name; gray for all others.
    """
    names = list(costs)[::-1]
    bars = {
        "type": "bar",
        "x": [costs[name] for name in names],
        "y": names,
        "orientation": "h",
        "marker": {"color": [colors.get(name.split()[-1], _GRAY) for name in names]},
        "text": [f"{costs[name]:+.3f}" for name in names],
        "textposition": "outside",
        "cliponaxis": False,
        "hovertemplate": "%{y}: %{x:.4f}<extra></extra>",
    }
    layout = _grid(
        [""],
        x={"title": {"text": "explained variance lost"}, "zeroline": True, "rangemode": "tozero"},
        y={"ticksuffix": "  "},
    )
    return _figure([bars], layout, height, right=60)


def _rms(states: FloatArray) -> FloatArray:
    root: FloatArray = np.sqrt(np.square(states).mean(axis=-1))
    return root


def _tick(panels: Sequence[Panel]) -> int:
    last = max(float(np.max(curve.x)) for panel in panels for curve in panel.curves)
    return max(1, round(last / 10))


def _centered(values: FloatArray, dark: bool) -> dict[str, Any]:
    """A diverging color scale around zero; its middle is about as bright as the page."""
    end = float(np.abs(values).max()) or 1.0
    scale = color_scale("berlin" if dark else "RdBu_r")
    return {"coloraxis": {"colorscale": scale, "cmin": -end, "cmax": end, "colorbar": {"thickness": 12}}}


def _axes(place: int) -> dict[str, str]:
    """Names of the axes of a panel, for a trace."""
    number = "" if place == 0 else str(place + 1)
    return {"xaxis": f"x{number}", "yaxis": f"y{number}"}


def _grid(
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
        axes, start = _axes(place), place * (width + gap)
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


def _figure(
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
