"""Scenes for the 3D view: the exposed faces of the visible cells, or a surface through them, in colors.

Everything here is a pure function of plain values. Cells are numbered as everywhere in cellnet, cell
(x, y, z) being ``(x * Y + y) * Z + z``. Only faces that can be seen are drawn: a face between two visible
cells is left out unless the cells stand apart (``explode``), so that a full 37^3 cube costs 8,214 faces
and not 303,918.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from lab.figures.colors import color_table, hex_to_rgb

Dimensions = tuple[int, int, int]
Spacing = tuple[float, float, float]
ClipBox = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.floating]
ByteArray = npt.NDArray[np.uint8]

MAX_FACES: Final = 400_000
"""More faces than this make a browser stutter, so that building them is refused."""


@dataclass(frozen=True)
class Geometry:
    """Faces to draw.

    Attributes:
        dimensions: cells along x, y, z.
        spacing: empty room between neighboring cells along x, y, z, in cell edges.
        cells: (F,) uint32, the cell that each face belongs to.
        sides: (F,) uint8, the side of the cell: 0 to 5 for -x, +x, -y, +y, -z, +z.
        shown: how many cells are visible.
        key: digest of all of the above; equal keys mean equal geometry.
    """

    dimensions: Dimensions
    spacing: Spacing
    cells: npt.NDArray[np.uint32]
    sides: ByteArray
    shown: int
    key: str

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays of the faces for the browser, by name."""
        return {"cells": self.cells, "sides": self.sides}


@dataclass(frozen=True)
class Mesh:
    """Triangles to draw.

    Attributes:
        dimensions: cells along x, y, z.
        points: (V, 3) float32, in cell edges; cell (0, 0, 0) fills [0, 1]^3.
        normals: (V, 3) float32, of unit length.
        triangles: (F, 3) uint32, indices of points.
        cells: (F,) uint32, the cell nearest to each triangle.
        shown: how many cells are inside.
        key: digest of all of the above; equal keys mean equal geometry.
    """

    dimensions: Dimensions
    points: npt.NDArray[np.float32]
    normals: npt.NDArray[np.float32]
    triangles: npt.NDArray[np.uint32]
    cells: npt.NDArray[np.uint32]
    shown: int
    key: str
    spacing: Spacing = (0.0, 0.0, 0.0)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays of the triangles for the browser, by name."""
        return {
            "cells": self.cells,
            "points": self.points,
            "normals": self.normals,
            "triangles": self.triangles,
        }


@dataclass(frozen=True)
class Legend:
    """A legend of colors; ``ramp`` has limits, ``categories`` names, ``rgb`` neither."""

    kind: Literal["ramp", "categories", "rgb"]
    label: str
    unit: str = ""
    low: float = 0.0
    high: float = 0.0
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scene:
    """One picture: ``colors`` is (F,) uint8 into ``table`` (n, 3), or (F, 3) uint8 RGB without a table."""

    geometry: Geometry | Mesh
    colors: ByteArray
    legend: Legend
    table: ByteArray | None = field(default=None)


def cell_count(dimensions: Dimensions) -> int:
    """Number of cells in a cube of these dimensions."""
    x, y, z = dimensions
    if min(dimensions) < 1:
        raise ValueError(f"dimensions are {x} x {y} x {z}: every one must be at least 1")
    return x * y * z


def visible_cells(
    dimensions: Dimensions,
    values: FloatArray | None = None,
    *,
    threshold: tuple[float, float] | None = None,
    clip: ClipBox | None = None,
) -> BoolArray:
    """Return the cells to draw, as (N,) bool: value inside ``threshold`` (both ends included) and position
    inside ``clip``, given as ``((x0, x1), (y0, y1), (z0, z1))`` in cells, both ends included.
    """
    visible = np.ones(dimensions, dtype=np.bool_)
    if clip is not None:
        visible[:] = False
        for axis, (low, high) in zip("xyz", clip, strict=True):
            if low < 0 or high < low:
                raise ValueError(f"clip box from {low} to {high} along {axis}: write 0 <= first <= last")
        (x0, x1), (y0, y1), (z0, z1) = clip
        visible[x0 : x1 + 1, y0 : y1 + 1, z0 : z1 + 1] = True
    flat: BoolArray = visible.reshape(cell_count(dimensions))
    if threshold is not None:
        if values is None:
            raise ValueError("a threshold needs the value of every cell: pass values as well")
        flat = flat & (values >= threshold[0]) & (values <= threshold[1])
    return flat


def build_geometry(
    dimensions: Dimensions, visible: BoolArray | None = None, *, explode: float | Spacing = 0.0
) -> Geometry:
    """Exposed faces of the visible cells.

    Args:
        dimensions: cells along x, y, z.
        visible: (N,) bool; all cells when left out.
        explode: room between neighbors in cell edges, for all axes or per axis. ``(0, 0, 1)`` pulls the
            cube apart into layers along z; faces between cells that stand apart are drawn as well.

    Raises:
        ValueError: on a wrong shape, or when more than ``MAX_FACES`` faces would be drawn.
    """
    count = cell_count(dimensions)
    if visible is None:
        visible = np.ones(count, dtype=np.bool_)
    if visible.shape != (count,):
        raise ValueError(f"visible has shape {visible.shape}: {count} cells need shape ({count},)")
    spacing: Spacing = (explode, explode, explode) if isinstance(explode, int | float) else explode
    if min(spacing) < 0:
        raise ValueError(f"explode is {spacing}: the room between cells cannot be negative")
    solid = visible.reshape(dimensions)
    cells: list[npt.NDArray[np.uint32]] = []
    sides: list[ByteArray] = []
    for axis in range(3):
        exposed = _exposed(solid, axis, apart=spacing[axis] > 0)
        for end, mask in enumerate(exposed):
            index = np.flatnonzero(mask).astype(np.uint32)
            cells.append(index)
            sides.append(np.full(index.size, 2 * axis + end, dtype=np.uint8))
    faces = sum(index.size for index in cells)
    if faces > MAX_FACES:
        raise ValueError(
            f"this view needs {faces:,} faces and a browser is given at most {MAX_FACES:,}: explode along "
            "one axis only, or show fewer cells with a threshold or a clip box"
        )
    all_cells, all_sides = np.concatenate(cells), np.concatenate(sides)
    return Geometry(
        dimensions=dimensions,
        spacing=spacing,
        cells=all_cells,
        sides=all_sides,
        shown=int(visible.sum()),
        key=digest((dimensions, spacing), all_cells, all_sides),
    )


def scalar_scene(
    dimensions: Dimensions,
    values: FloatArray,
    *,
    label: str,
    unit: str = "",
    colormap: str = "viridis",
    limits: tuple[float, float] | None = None,
    threshold: tuple[float, float] | None = None,
    clip: ClipBox | None = None,
    visible: BoolArray | None = None,
    explode: float | Spacing = 0.0,
) -> Scene:
    """Cells colored by one number each.

    Args:
        values: (N,) finite numbers.
        label: what the number is, for the legend.
        limits: values at the two ends of the ramp; the smallest and largest value when left out.
        threshold, clip: see :func:`visible_cells`.
        visible: (N,) bool, cells to draw at most.
        explode: see :func:`build_geometry`.
    """
    values = _finite(values, (cell_count(dimensions),), label)
    low, high = limits if limits is not None else (float(values.min()), float(values.max()))
    if high < low:
        raise ValueError(f"limits of {label!r} go from {low} to {high}: the first must not be the larger")
    inside = visible_cells(dimensions, values, threshold=threshold, clip=clip)
    geometry = build_geometry(dimensions, inside if visible is None else inside & visible, explode=explode)
    return Scene(
        geometry=geometry,
        colors=quantize(values, low, high)[geometry.cells],
        table=color_table(colormap),
        legend=Legend(kind="ramp", label=label, unit=unit, low=low, high=high),
    )


def rgb_scene(
    dimensions: Dimensions,
    rgb: FloatArray,
    *,
    label: str,
    visible: BoolArray | None = None,
    explode: float | Spacing = 0.0,
) -> Scene:
    """Cells colored directly; ``rgb`` is (N, 3) with every channel in [0, 1]."""
    rgb = _finite(rgb, (cell_count(dimensions), 3), label)
    geometry = build_geometry(dimensions, visible, explode=explode)
    colors = np.rint(np.clip(rgb, 0.0, 1.0) * 255).astype(np.uint8)
    return Scene(geometry=geometry, colors=colors[geometry.cells], legend=Legend(kind="rgb", label=label))


def category_scene(
    dimensions: Dimensions,
    codes: npt.NDArray[np.integer],
    colors: Mapping[str, str],
    *,
    label: str,
    visible: BoolArray | None = None,
    explode: float | Spacing = 0.0,
) -> Scene:
    """Cells colored by kind: ``codes`` is (N,), an index into ``colors`` (name -> ``"#rrggbb"``)."""
    count = cell_count(dimensions)
    if codes.shape != (count,):
        raise ValueError(f"{label!r} has shape {codes.shape}: {count} cells need shape ({count},)")
    if codes.min() < 0 or codes.max() >= len(colors):
        raise ValueError(f"{label!r} has codes {codes.min()} to {codes.max()} for {len(colors)} colors")
    geometry = build_geometry(dimensions, visible, explode=explode)
    return Scene(
        geometry=geometry,
        colors=codes.astype(np.uint8)[geometry.cells],
        table=np.array([hex_to_rgb(color) for color in colors.values()], dtype=np.uint8),
        legend=Legend(kind="categories", label=label, names=tuple(colors)),
    )


def quantize(values: FloatArray, low: float, high: float) -> ByteArray:
    """Values as 0 to 255 between two limits; values beyond them take the color of the nearer end."""
    if high == low:
        return np.full(values.shape, 128, dtype=np.uint8)
    share = (np.clip(values, low, high).astype(np.float64) - low) / (high - low)
    return np.rint(share * 255).astype(np.uint8)


def face_corners(geometry: Geometry) -> npt.NDArray[np.float32]:
    """Corner positions of every face, (F, 4, 3), counter-clockwise from outside, in cell edges.

    Cell (0, 0, 0) without room between cells fills [0, 1]^3.
    """
    origin = np.stack(np.unravel_index(geometry.cells, geometry.dimensions), axis=1)
    position = origin * (1.0 + np.asarray(geometry.spacing))
    corners = position[:, None, :] + np.asarray(_SIDE_CORNERS)[geometry.sides]
    return np.asarray(corners, dtype=np.float32)


_SIDE_CORNERS: Final[Sequence[Sequence[Sequence[int]]]] = (
    ((0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 1, 0)),
    ((1, 0, 0), (1, 1, 0), (1, 1, 1), (1, 0, 1)),
    ((0, 0, 0), (1, 0, 0), (1, 0, 1), (0, 0, 1)),
    ((0, 1, 0), (0, 1, 1), (1, 1, 1), (1, 1, 0)),
    ((0, 0, 0), (0, 1, 0), (1, 1, 0), (1, 0, 0)),
    ((0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)),
)


def _exposed(solid: BoolArray, axis: int, *, apart: bool) -> tuple[BoolArray, BoolArray]:
    """Cells whose lower, and whose upper, side along an axis can be seen."""
    if apart:
        return solid, solid
    lower, upper = solid.copy(), solid.copy()
    line = np.moveaxis(solid, axis, 0)
    np.moveaxis(lower, axis, 0)[1:] &= ~line[:-1]
    np.moveaxis(upper, axis, 0)[:-1] &= ~line[1:]
    return lower, upper


def _finite(values: FloatArray, shape: tuple[int, ...], label: str) -> FloatArray:
    if values.shape != shape:
        raise ValueError(f"{label!r} has shape {values.shape}: these dimensions need shape {shape}")
    bad = np.flatnonzero(~np.isfinite(values).reshape(shape[0], -1).all(axis=1))
    if bad.size:
        raise ValueError(f"{label!r} is not a finite number in {bad.size} cells, first in cell {bad[0]}")
    return values


def digest(about: object, *arrays: npt.NDArray[Any]) -> str:
    """Short digest of arrays and of what they are about."""
    total = hashlib.blake2b(repr(about).encode(), digest_size=8)
    for array in arrays:
        total.update(array.tobytes())
    return total.hexdigest()
