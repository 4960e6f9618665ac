"""Figures of the distance ratios: the neighborhood of a cell, all distances, and the cost of a step."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from cellnet.lattice.distances import distance_table
from cellnet.lattice.geometry import TIERS
from cellnet.settings import LatticeSettings, Settings
from cellnet.student.cost import StepCost, predict_seconds, step_cost
from lab.figures.colors import TIER_COLORS
from lab.figures.cube.scenes import Scene, category_scene
from lab.figures.layout import Figure, Trace, framed, trace
from lab.figures.words import duration
from lab.training import Snapshot

Cell = tuple[int, int, int]
NeighborhoodView = Literal["opened", "neighbors", "cube"]

CHOSEN: Final = 1
KIND_COLORS: Final = {
    "beyond reach": "#a7b1ba",
    "the chosen cell": "#D1126F",
    **TIER_COLORS,
}
"""What a cell is to the chosen one; the place in here is its code."""
VIEWS: Final[dict[NeighborhoodView, str]] = {
    "opened": "Neighbors, cut through",
    "neighbors": "All neighbors",
    "cube": "Whole cube, cut through",
}
MOST_BARS: Final = 400
"""More distances than this are drawn as a histogram with as many bins."""
_FEWEST_STEPS: Final = 3
_STEPS: Final = 20
_BEYOND: Final = 1.25


def neighborhood(lattice: LatticeSettings, cell: Cell) -> npt.NDArray[np.int64]:
    """Return what every cell is to the chosen one, (N,): an index into `KIND_COLORS`."""
    squares = []
    for place, length in zip(cell, lattice.dimensions, strict=True):
        gaps = np.abs(np.arange(length) - place)
        if lattice.boundary == "toroidal":
            gaps = np.minimum(gaps, length - gaps)
        squares.append(gaps**2)
    distance = np.sqrt(
        (squares[0][:, None, None] + squares[1][:, None] + squares[2]).ravel().astype(np.float64)
    )
    bounds = [
        lattice.local_distance_threshold,
        lattice.functional_distance_threshold,
        lattice.distant_distance_threshold,
    ]
    tier = np.searchsorted(bounds, distance, side="left")
    codes = np.where(tier < len(TIERS), tier + CHOSEN + 1, 0)
    return np.where(distance == 0.0, CHOSEN, codes)


def neighborhood_scene(lattice: LatticeSettings, cell: Cell, view: NeighborhoodView) -> Scene:
    """Return the cells around the chosen one, colored by tier; a cut through the chosen cell opens them."""
    codes = neighborhood(lattice, cell)
    visible = np.full(codes.shape, True) if view == "cube" else codes > 0
    if view != "neighbors":
        visible = visible & ~_in_front(lattice.dimensions, cell)
    return category_scene(lattice.dimensions, codes, KIND_COLORS, label="tier", visible=visible)


def _in_front(dimensions: Cell, cell: Cell) -> npt.NDArray[np.bool_]:
    """The cells between the chosen one and the side from which a cube is first looked at."""
    front = np.zeros(dimensions, dtype=np.bool_)
    front[:, : cell[1]] = True
    return front.ravel()


def distance_figure(lattice: LatticeSettings) -> Figure:
    """Neighbors that a cell has on average at each exact distance, over the bands of the three tiers."""
    table = distance_table(lattice)
    bounds = (
        0.0,
        lattice.local_distance_threshold,
        lattice.functional_distance_threshold,
        lattice.distant_distance_threshold,
    )
    end = max(bounds[-1] * _BEYOND, 2.0)
    width = _bar_width(end, len(table.distances[table.band(0.0, end)]))
    bands = list(zip((*TIERS, "not connected"), bounds, (*bounds[1:], end), strict=True))
    return framed(
        [_band_bars(lattice, name, low, high, end, width) for name, low, high in bands],
        height=300,
        legend=True,
        xaxis={"title": "distance between two cells (cells)", "range": [0, end], "zeroline": False},
        yaxis={"title": "neighbors per cell, mean", "rangemode": "tozero"},
        barmode="overlay",
        hoverlabel={"align": "left"},
        shapes=[shape for name, low, high in bands[:-1] for shape in _band_shapes(name, low, high)],
    )


def _band_bars(
    lattice: LatticeSettings, name: str, low: float, high: float, end: float, width: float
) -> Trace:
    distances, displacements, pairs = _bars(lattice, low, high, end)
    return trace(
        "bar",
        x=distances,
        y=pairs / lattice.cell_count,
        width=width,
        marker={"color": KIND_COLORS.get(name, KIND_COLORS["beyond reach"]), "line": {"width": 0}},
        name=name,
        customdata=np.stack([displacements, pairs, np.rint(distances**2)], axis=1),
        hovertemplate="distance %{x:.3f} (square %{customdata[2]:,.0f})<br>%{y:,.2f} neighbors per cell"
        "<br>%{customdata[0]:,.0f} displacements, %{customdata[1]:,.0f} connections"
        "<extra>%{fullData.name}</extra>",
    )


def _band_shapes(tier: str, low: float, high: float) -> list[dict[str, object]]:
    """The band of a tier, and its threshold as a line."""
    color = KIND_COLORS[tier]
    place = {"xref": "x", "yref": "paper", "y0": 0, "y1": 1, "x1": high}
    line = {"color": color, "width": 1.5, "dash": "dot"}
    band = {"type": "rect", "x0": low, "fillcolor": color, "opacity": 0.13, "line": {"width": 0}}
    return [
        {**place, **band, "layer": "below"},
        {**place, "type": "line", "x0": high, "line": line},
    ]


def _bars(
    lattice: LatticeSettings, low: float, high: float, end: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Distances in a band with displacements and pairs; many distances are put together in bins."""
    table = distance_table(lattice)
    band = table.band(low, high)
    distances, displacements, pairs = table.distances[band], table.displacements[band], table.pairs[band]
    if len(table.distances[table.band(0.0, end)]) <= MOST_BARS or not len(distances):
        return distances, displacements, pairs
    bins = np.floor(distances / end * MOST_BARS).astype(np.int64)
    counts = [
        np.bincount(bins, weights=column).astype(np.int64)[np.unique(bins)]
        for column in (displacements, pairs)
    ]
    return (np.unique(bins) + 0.5) * end / MOST_BARS, counts[0], counts[1]


def _bar_width(end: float, count: int) -> float:
    return end / MOST_BARS if count > MOST_BARS else min(0.05, 0.4 * end / max(count, 8))


@dataclass(frozen=True)
class MeasuredStep:
    """The measured time of a training step, with its settings and its source."""

    settings: Settings
    seconds: float
    source: str


def measured_step(snapshot: Snapshot) -> MeasuredStep | None:
    """Return the median of the newest steps of a training; None before there are a few."""
    if snapshot.settings is None or len(snapshot.train) < _FEWEST_STEPS:
        return None
    seconds = median(snapshot.train.column("seconds")[-_STEPS:].tolist())
    training = "the running training" if snapshot.phase.is_training else "the last training"
    return MeasuredStep(snapshot.settings, seconds, f"{training} (run {snapshot.run_id})")


@dataclass(frozen=True)
class Plan:
    """The cost of a training; ``seconds`` is None while nothing was measured on its device."""

    cost: StepCost
    seconds: float | None


def plan(settings: Settings, measured: MeasuredStep | None) -> Plan:
    """Count the cost of a step and scale a measured time, if it is of the same device and precision."""
    fits = measured is not None and machine(measured.settings) == machine(settings)
    return Plan(
        step_cost(settings),
        predict_seconds(settings, measured.settings, measured.seconds) if measured and fits else None,
    )


def machine(settings: Settings) -> tuple[str, int, str]:
    """The settings that two measured times must share to be compared: device, threads and precision."""
    return settings.device.device, settings.device.threads, settings.training.precision


def cost_rows(settings: Settings, planned: Plan, before: Settings, now: Plan) -> list[list[str]]:
    """Names, planned values and those of now, for a table."""

    def row(name: str, new: float, old: float, text: str) -> list[str]:
        return [name, text, _times(new / old) if old and new != old else ""]

    rows = [
        row(
            "cells",
            settings.lattice.cell_count,
            before.lattice.cell_count,
            f"{settings.lattice.cell_count:,}",
        ),
        row("connections", planned.cost.connections, now.cost.connections, f"{planned.cost.connections:,}"),
        row("parameters", planned.cost.parameters, now.cost.parameters, f"{planned.cost.parameters:,}"),
    ]
    for name, attribute in (
        ("memory, estimated", "memory_bytes"),
        ("… weights and optimizer", "weight_bytes"),
        ("… kept for the backward pass", "activation_bytes"),
        ("… lists of neighbors", "index_bytes"),
    ):
        new, old = getattr(planned.cost, attribute), getattr(now.cost, attribute)
        rows.append(row(name, new, old, bytes_text(new)))
    if planned.seconds is not None:
        old_seconds = now.seconds if now.seconds is not None else 0.0
        rows.append(
            row("time of a step, estimated", planned.seconds, old_seconds, seconds_text(planned.seconds))
        )
        steps = settings.training.max_steps
        rows.append(
            [f"time of {steps:,} steps", duration(planned.seconds * steps), ""],
        )
    return rows


def _times(ratio: float) -> str:
    return f"{ratio:.3g} times" if ratio < 1000 else f"{ratio:,.0f} times"


def bytes_text(count: float) -> str:
    """``1_500_000`` as ``1.5 MB``."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB" if count < 1000 else f"{count:,.0f} GB"


def seconds_text(seconds: float) -> str:
    """Milliseconds below a second, else seconds."""
    if seconds < 1.0:
        return f"{1000 * seconds:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 100 else duration(seconds)


def size_text(dimensions: Cell) -> str:
    """``(8, 8, 8)`` as ``8x8x8``."""
    return "x".join(map(str, dimensions))
