"""Figures as files: curves and the cube drawn by matplotlib, as SVG or PNG, on white."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any, Final, Literal

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lab.figures.colors import EXPERT_COLORS, hex_to_rgb
from lab.figures.series import Mark, Panel, thin

Kind = Literal["svg", "png"]
MIME: Final[dict[Kind, str]] = {"svg": "image/svg+xml", "png": "image/png"}
_POINTS: Final = 2000
_DOTS: Final = 80
_PANEL: Final = (3.7, 2.4)
_LINE: Final = 0.14
_LINES: Final = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}
_STYLE: Final[Any] = {
    "font.size": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8a949e",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#e3e8ec",
    "svg.fonttype": "none",
    # Equal figures give equal files.
    "svg.hashsalt": "cellnet",
}


def panels_image(
    panels: Sequence[Panel],
    kind: Kind,
    *,
    x_title: str = "step",
    marks: Sequence[Mark] = (),
    columns: int = 3,
) -> bytes:
    """Panels of curves as a file, with one legend; marks are dotted lines, numbered and listed below.

    Raises:
        ValueError: if there is no panel.
    """
    if not panels:
        raise ValueError("there is no curve to draw: choose a metric that the runs have")
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    with mpl.rc_context(_STYLE):
        height = rows * _PANEL[1] + 0.5 + _LINE * len(marks)
        figure = Figure((columns * _PANEL[0], height), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False).flat
        for axes, panel in zip(grid, panels, strict=False):
            _draw(axes, panel, marks)
            axes.set_xlabel(x_title)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        handles = {
            line.get_label(): line for axes in grid for line in axes.get_lines() if line.get_alpha() == 1.0
        }
        figure.legend(
            handles.values(),
            [str(label) for label in handles],
            loc="outside upper left",
            ncols=min(4, len(handles)),
            frameon=False,
        )
        lines = [f"{place}  {x_title} {mark.x:g}: {mark.label}" for place, mark in enumerate(marks, 1)]
        figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=7)
        return _saved(figure, kind)


def _draw(axes: Axes, panel: Panel, marks: Sequence[Mark]) -> None:
    for curve in panel.curves:
        x, y = thin(curve.x, curve.y, _POINTS)
        axes.plot(
            x,
            y,
            _LINES[curve.dash],
            label=curve.name,
            color=curve.color,
            linewidth=0.75 * curve.width,
            alpha=curve.opacity,
            marker="o" if curve.dots and len(x) <= _DOTS else None,
            markersize=2.6,
        )
    for place, mark in enumerate(marks, 1):
        axes.axvline(mark.x, color="#17212b", linewidth=0.6, linestyle=":", alpha=0.6)
        axes.annotate(str(place), (mark.x, 1), xycoords=("data", "axes fraction"), va="top", fontsize=6)
    if panel.log:
        axes.set_yscale("log")
    unit = f" ({panel.unit})" if panel.unit else ""
    axes.set_title(panel.title + unit, loc="left", fontsize=9, fontweight="bold")


def cube_image(
    states: npt.NDArray[np.float32],
    gate: npt.NDArray[np.float32],
    dimensions: tuple[int, int, int],
    kind: Kind = "png",
) -> bytes:
    """Three slices through the middle of a cube: activity as it enters and at the end, and the experts.

    Args:
        states: (T + 1, N, C), before the first and after each lattice step.
        gate: (T, N, E), weight of each expert, in the order of the table.
        dimensions: cells along x, y, z.
        kind: of file.
    """
    activity = np.sqrt(np.square(states).mean(axis=-1))
    low, high = (float(end) for end in np.percentile(activity, (1, 99)))
    experts = np.array([hex_to_rgb(color) for color in EXPERT_COLORS.values()], dtype=np.float32) / 255
    rows: list[tuple[str, npt.NDArray[np.float32]]] = [
        ("activity, entering", activity[0]),
        (f"activity, step {len(gate)}", activity[-1]),
        ("weight of the experts", np.clip(gate[-1] @ experts, 0, 1)),
    ]
    with mpl.rc_context({**_STYLE, "axes.grid": False}):
        figure = Figure((7.6, 7.2), layout="constrained")
        grid = figure.subplots(3, 3)
        picture: Any = None
        for line, (label, values) in zip(grid, rows, strict=True):
            cube = values.reshape(*dimensions, *values.shape[1:])
            for axes, (name, part) in zip(line, _slices(cube).items(), strict=True):
                shown = axes.imshow(part, origin="lower", vmin=low, vmax=high, cmap="viridis")
                axes.set_title(name, fontsize=8)
                axes.set_xticks([])
                axes.set_yticks([])
                picture = picture or shown
            line[0].set_ylabel(label)
        figure.colorbar(picture, ax=grid[:2], shrink=0.7, label="activity (rms of the state)")
        handles = [
            Line2D([], [], marker="s", linestyle="", color=color) for color in EXPERT_COLORS.values()
        ]
        figure.legend(
            handles,
            list(EXPERT_COLORS),
            loc="outside lower center",
            ncols=len(EXPERT_COLORS),
            frameon=False,
        )
        return _saved(figure, kind)


def _slices(cube: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
    """The middle slice across each axis, rows upward."""
    x, y, z = (edge // 2 for edge in cube.shape[:3])
    across = {f"x = {x}": cube[x], f"y = {y}": cube[:, y], f"z = {z}": cube[:, :, z]}
    return {name: np.swapaxes(part, 0, 1) for name, part in across.items()}


def _saved(figure: Figure, kind: Kind) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format=kind, dpi=160, metadata={"Date": None} if kind == "svg" else None)
    return buffer.getvalue()
