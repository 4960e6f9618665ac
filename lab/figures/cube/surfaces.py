"""Surfaces of equal value through the cube, made by PyVista and drawn in the browser."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyvista as pv

from lab.figures.cube.scenes import Dimensions, FloatArray, Mesh, digest

MAX_TRIANGLES = 200_000
"""More than this make a browser stutter, so that they are refused."""


def isosurface(dimensions: Dimensions, values: FloatArray, level: float) -> Mesh:
    """The surface on which a field has the value ``level``, closed at the faces of the cube.

    The field is linear between the centers of neighboring cells, and below the level outside the cube.

    Args:
        dimensions: cells along x, y, z.
        values: (N,), one number per cell.
        level: what the surface runs at; cells of at least this value are inside.

    Raises:
        ValueError: if the values do not fit, or the surface has more than `MAX_TRIANGLES`.
    """
    if values.shape != (int(np.prod(dimensions)),):
        raise ValueError(f"values have shape {values.shape} and do not fit {dimensions} cells")
    outside = min(float(values.min()), level) - max(abs(level), 1.0)
    field = np.pad(values.reshape(dimensions), 1, constant_values=outside)
    grid = pv.ImageData(dimensions=field.shape, origin=(-0.5, -0.5, -0.5))
    grid.point_data["value"] = field.ravel(order="F")
    surface = grid.contour([level], scalars="value", compute_normals=True)
    count = surface.n_cells
    if count > MAX_TRIANGLES:
        raise ValueError(
            f"this surface has {count:,} triangles and a browser is given at most {MAX_TRIANGLES:,}: move "
            "the level toward the end of the ramp"
        )
    points = np.clip(surface.points, 0, dimensions).astype(np.float32).reshape(-1, 3)
    triangles = np.asarray(surface.faces, dtype=np.uint32).reshape(-1, 4)[:, 1:] if count else _none()
    normals = surface.point_data["Normals"] if count else np.zeros((0, 3))
    middles = points[triangles].mean(axis=1) if count else np.zeros((0, 3))
    places = np.minimum(middles.astype(np.int64), np.asarray(dimensions) - 1)
    cells = np.ravel_multi_index(tuple(places.T), dimensions).astype(np.uint32)
    triangles = np.ascontiguousarray(triangles)
    return Mesh(
        dimensions=dimensions,
        points=points,
        normals=np.ascontiguousarray(normals, dtype=np.float32).reshape(-1, 3),
        triangles=triangles,
        cells=cells,
        shown=int((values >= level).sum()),
        key=digest(("surface", dimensions), points, triangles),
    )


def _none() -> npt.NDArray[np.uint32]:
    return np.zeros((0, 3), dtype=np.uint32)
