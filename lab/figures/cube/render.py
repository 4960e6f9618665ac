"""Pictures that PyVista draws on the server: volumes, and scenes as large as one likes.

VTK allows a plotter in one thread only, and without the libraries it needs it ends the whole process. So
all drawing is done in one thread, by plotters that live for one picture, after a trial in another process.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from io import BytesIO
from typing import Any, Final, TypeVar

import matplotlib as mpl
import numpy as np
import pyvista as pv
from PIL import Image

from cellnet.errors import CellnetError
from lab.figures.cube.fields import CellField
from lab.figures.cube.scenes import Geometry, Mesh, Scene, face_corners
from lab.figures.cube.viewpoint import ANGLE, Viewpoint

Result = TypeVar("Result")
_TRIAL: Final = (
    "import pyvista as pv; p = pv.Plotter(off_screen=True, window_size=(32, 32)); p.add_mesh(pv.Sphere()); "
    "assert p.screenshot(return_img=True).std() > 0"
)
_PATIENCE: Final = 120.0
_thread: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="cellnet-render")


class RenderError(CellnetError):
    """The server cannot draw pictures."""


@lru_cache(maxsize=1)
def check_rendering() -> None:
    """Try to draw, in a process of its own, once.

    Raises:
        RenderError: if that fails, saying what to install.
    """
    trial = subprocess.run(  # noqa: S603
        [sys.executable, "-c", _TRIAL], capture_output=True, text=True, timeout=_PATIENCE, check=False
    )
    if trial.returncode:
        said = trial.stderr.strip().splitlines()[-1:] or [f"it ended with {trial.returncode}"]
        raise RenderError(
            f"PyVista cannot draw on this machine ({said[0]}). Install OpenGL libraries, on Debian libgl1 "
            "and libegl1, or libosmesa6 with VTK_DEFAULT_OPENGL_WINDOW=vtkOSOpenGLRenderWindow, and start "
            "the lab again. The 3D views in the browser do not need them."
        )


def volume_png(
    field: CellField, view: Viewpoint, *, size: tuple[int, int], background: str, opacity: float
) -> bytes:
    """The cube as a glowing fog: the nearer a cell is to the upper end of its ramp, the more opaque.

    Args:
        field: with values.
        view: where to look from.
        size: width and height in pixels.
        background: color.
        opacity: of the upper end, 0 to 1.

    Raises:
        RenderError: see `check_rendering`.
    """

    def draw(plotter: Any) -> None:
        grid = pv.ImageData(dimensions=np.add(field.dimensions, 1))
        grid.cell_data["value"] = field.values.reshape(field.dimensions).ravel(order="F")
        smooth = grid.cell_data_to_point_data()
        plotter.add_volume(
            smooth,
            scalars="value",
            cmap=mpl.colormaps[field.colormap],
            clim=field.limits,
            opacity=(np.linspace(0, 1, 9) ** 2 * opacity * 255).tolist(),
            show_scalar_bar=False,
            shade=False,
        )
        outline = pv.Box((0, field.dimensions[0], 0, field.dimensions[1], 0, field.dimensions[2]))
        plotter.add_mesh(outline, style="wireframe", color="gray", line_width=1)

    return _picture(draw, view, size, background)


def scene_png(scene: Scene, view: Viewpoint, *, size: tuple[int, int], background: str | None) -> bytes:
    """A scene in any size, for print; without a background it is transparent.

    Raises:
        RenderError: see `check_rendering`.
    """
    surface = scene_mesh(scene)

    def draw(plotter: Any) -> None:
        plotter.add_mesh(
            surface,
            scalars="rgb",
            rgb=True,
            show_edges=isinstance(scene.geometry, Geometry),
            edge_color="#20262c",
            smooth_shading=False,
            ambient=0.45,
            diffuse=0.6,
        )

    return _picture(draw, view, size, background)


def scene_mesh(scene: Scene) -> pv.PolyData:
    """A scene as a PyVista surface with one color per face, ``rgb`` (F, 3) uint8."""
    geometry = scene.geometry
    if isinstance(geometry, Mesh):
        points, corners = geometry.points, geometry.triangles.astype(np.int64)
    else:
        points = face_corners(geometry).reshape(-1, 3)
        corners = np.arange(len(points)).reshape(-1, 4)
    faces = np.hstack([np.full((len(corners), 1), corners.shape[1]), corners])
    surface = pv.PolyData(points, faces=faces.ravel())
    surface.cell_data["rgb"] = scene.colors if scene.table is None else scene.table[scene.colors]
    return surface


def _picture(
    draw: Callable[[Any], None],
    view: Viewpoint,
    size: tuple[int, int],
    background: str | None,
) -> bytes:
    check_rendering()

    def work() -> Any:
        plotter: Any = pv.Plotter(off_screen=True, window_size=list(size))
        try:
            if background is not None:
                plotter.set_background(background)
            draw(plotter)
            plotter.camera.view_angle = ANGLE
            plotter.camera.focal_point = view.focal_point
            plotter.camera.position = view.position
            plotter.camera.up = view.up
            plotter.reset_camera_clipping_range()
            return plotter.screenshot(return_img=True, transparent_background=background is None)
        finally:
            plotter.close()

    pixels = _thread.submit(work).result(_PATIENCE)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
