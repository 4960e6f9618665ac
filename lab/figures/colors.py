"""Colors of the lab: perceptually uniform ramps for numbers, color-blind-safe palettes for names."""

from functools import lru_cache
from typing import Final

import matplotlib as mpl
import numpy as np
import numpy.typing as npt

COLORMAPS: Final = ("viridis", "cividis", "magma", "inferno", "plasma", "berlin", "vanimo", "RdBu_r")
"""Ramps that a scene may use; the last three are diverging, for values around zero."""

EXPERT_COLORS: Final = {"local": "#0072B2", "functional": "#E69F00", "distant": "#009E73"}
"""One color per expert and tier, the same in every figure (Okabe and Ito, 2008)."""

SPLIT_COLORS: Final = {"train": "#0072B2", "validation": "#D55E00"}
"""One color per data split, the same in every curve."""


@lru_cache(maxsize=16)
def color_table(name: str) -> npt.NDArray[np.uint8]:
    """The 256 colors of a ramp as (256, 3) uint8, read-only."""
    if name not in COLORMAPS:
        raise ValueError(f"unknown colormap {name!r}: use one of {', '.join(COLORMAPS)}")
    rgba = mpl.colormaps[name].resampled(256)(np.arange(256), bytes=True)
    table = np.ascontiguousarray(rgba[:, :3])
    table.setflags(write=False)
    return table


def hex_to_rgb(color: str) -> tuple[int, int, int]:
    """``"#0072B2"`` as ``(0, 114, 178)``."""
    digits = color.removeprefix("#")
    if len(digits) != 6:
        raise ValueError(f"{color!r} is not a color: write six hexadecimal digits, as in '#0072B2'")
    return int(digits[0:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)
