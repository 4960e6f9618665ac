"""Cuts through the cube: the colored cells that are left become a scene."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from lab.figures.colors import EXPERT_COLORS, color_table, hex_to_rgb
from lab.figures.cube.fields import CellField
from lab.figures.cube.scenes import (
    BoolArray,
    ClipBox,
    Dimensions,
    Legend,
    Scene,
    Spacing,
    category_scene,
    cell_count,
    quantize,
    rgb_scene,
    scalar_scene,
    visible_cells,
)
from lab.figures.cube.surfaces import isosurface

Show = Literal["whole", "layers", "slices", "box", "threshold", "surface", "volume"]
SHOWS: Final[dict[Show, str]] = {
    "whole": "Whole",
    "layers": "Layers",
    "slices": "Slices",
    "box": "Clip box",
    "threshold": "Threshold",
    "surface": "Surface",
    "volume": "Volume",
}


View = Literal["whole", "cut open", "layers"]
VIEWS: Final[tuple[View, ...]] = ("whole", "cut open", "layers")
"""The few ways to cut the cube that a glance needs."""


@dataclass(frozen=True)
class Cut:
    """The cells to show.

    Attributes:
        show: the way to cut.
        gap: room between layers, in cell edges.
        axis: along which layers stand apart: 0, 1, 2 for x, y, z.
        planes: cells of the slices across x, y and z; None for no slice.
        box: first and last cell along each axis.
        share: part of the ramp to show, from 0 to 1.
        level: where on the ramp a surface runs, from 0 to 1.
        only: cells to show at most; None for all.
    """

    show: Show = "whole"
    gap: float = 1.2
    axis: int = 2
    planes: tuple[int | None, int | None, int | None] = (None, None, None)
    box: ClipBox | None = None
    share: tuple[float, float] = (0.0, 1.0)
    level: float = 0.7
    only: tuple[int, ...] | None = None

    @classmethod
    def at_a_glance(cls, view: View, dimensions: Dimensions) -> Cut:
        """The whole cube, its half with the higher y, or its layers apart."""
        if view == "cut open":
            x, y, z = dimensions
            return cls("box", box=((0, x - 1), (y // 2, y - 1), (0, z - 1)))
        return cls(view)

    def narrowed(self, only: tuple[int, ...] | None) -> Cut:
        """The same cut with at most these of its cells."""
        if only is None or self.only is None:
            return replace(self, only=self.only if only is None else only)
        return replace(self, only=tuple(sorted(set(self.only) & set(only))))


def shown_cells(cells: CellField, cut: Cut) -> BoolArray:
    """Return for each of N cells whether a cut leaves it, (N,) bool."""
    shape = cells.dimensions
    threshold = None
    if cut.show == "threshold":
        low, high = cells.limits
        # The ends of the ramp stand for everything beyond them.
        first, last = (low + share * (high - low) for share in cut.share)
        threshold = (
            -np.inf if cut.share[0] <= 0 else first,
            np.inf if cut.share[1] >= 1 else last,
        )
    visible = visible_cells(
        shape, cells.values, threshold=threshold, clip=cut.box if cut.show == "box" else None
    )
    if cut.show == "slices":
        visible = np.zeros(cell_count(shape), dtype=np.bool_)
        solid = visible.reshape(shape)
        for axis, place in enumerate(cut.planes):
            if place is not None:
                np.moveaxis(solid, axis, 0)[place] = True
    if cut.only is not None:
        chosen = np.zeros_like(visible)
        chosen[list(cut.only)] = True
        visible = visible & chosen
    return visible


def lattice_scene(cells: CellField, cut: Cut) -> Scene:
    """Colored cells, cut open; or a surface of equal values, colored by the cells at it."""
    if cut.show == "surface":
        return _surface_scene(cells, cut.level)
    visible = shown_cells(cells, cut)
    explode: Spacing | float = 0.0
    if cut.show == "layers":
        gaps = [0.0, 0.0, 0.0]
        gaps[cut.axis] = cut.gap
        explode = (gaps[0], gaps[1], gaps[2])
    if cells.rgb is not None:
        return rgb_scene(cells.dimensions, cells.rgb, label=cells.label, visible=visible, explode=explode)
    if cells.codes is not None:
        return category_scene(
            cells.dimensions,
            cells.codes,
            EXPERT_COLORS,
            label=cells.label,
            visible=visible,
            explode=explode,
        )
    return scalar_scene(
        cells.dimensions,
        cells.values,
        label=cells.label,
        colormap=cells.colormap,
        limits=cells.limits,
        visible=visible,
        explode=explode,
    )


def _surface_scene(cells: CellField, share: float) -> Scene:
    low, high = cells.limits
    level = low + share * (high - low)
    mesh = isosurface(cells.dimensions, cells.values, level)
    if cells.rgb is not None:
        colors = np.rint(cells.rgb[mesh.cells] * 255).astype(np.uint8)
        return Scene(mesh, colors, Legend("rgb", cells.label))
    if cells.codes is not None:
        table = np.array([hex_to_rgb(color) for color in EXPERT_COLORS.values()], dtype=np.uint8)
        legend = Legend("categories", cells.label, names=tuple(EXPERT_COLORS))
        return Scene(mesh, cells.codes[mesh.cells].astype(np.uint8), legend, table)
    return Scene(
        mesh,
        quantize(cells.values[mesh.cells], low, high),
        Legend("ramp", cells.label, low=low, high=high),
        color_table(cells.colormap),
    )
