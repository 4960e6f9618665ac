"""The viewpoint of a cube, as the browser reports it and as the address of a page holds it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

ANGLE: Final = 22.0
"""Between the lower and the upper edge of the picture, in degrees."""
_MARGIN: Final = 1.12


@dataclass(frozen=True)
class Viewpoint:
    """A viewpoint.

    Attributes:
        position, focal_point: in cell edges.
        up: direction.
    """

    position: tuple[float, float, float]
    focal_point: tuple[float, float, float]
    up: tuple[float, float, float] = (0.0, 0.0, 1.0)

    @classmethod
    def around(cls, extent: Sequence[float], azimuth: float = -56.0, elevation: float = -26.0) -> Viewpoint:
        """Look at the middle of a box from an angle around z and one up from the floor, in degrees.

        By default from below, where the face z = 0 is, on which presets put the surface.
        """
        around, up = math.radians(azimuth), math.radians(elevation)
        toward = (math.cos(up) * math.cos(around), math.cos(up) * math.sin(around), math.sin(up))
        distance = math.hypot(*extent) / 2 / math.sin(math.radians(ANGLE / 2)) * _MARGIN
        x, y, z = (length / 2 + part * distance for length, part in zip(extent, toward, strict=True))
        a, b, c = (length / 2 for length in extent)
        return cls((x, y, z), (a, b, c))

    @classmethod
    def parse(cls, text: str) -> Viewpoint:
        """Nine numbers as `lab.components.cube.reported_camera` gives them.

        Raises:
            ValueError: if they are none.
        """
        numbers = [float(part) for part in text.split(",")]
        if len(numbers) != 9 or not all(map(math.isfinite, numbers)):
            raise ValueError(f"{text!r} is no camera; it takes nine numbers")
        a, b, c, d, e, f, g, h, i = numbers
        return cls((a, b, c), (d, e, f), (g, h, i))
