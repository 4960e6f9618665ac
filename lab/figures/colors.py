"""Colors of the lab: perceptually uniform ramps for numbers, color-blind-safe palettes for names."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

import matplotlib as mpl
import numpy as np
import numpy.typing as npt

from cellnet.student.experts import EXPERTS

COLORMAPS: Final = ("viridis", "cividis", "magma", "inferno", "plasma", "berlin", "vanimo", "RdBu_r")
"""Ramps that a scene may use; the last three are diverging, for values around zero."""

TIER_COLORS: Final = {"local": "#0072B2", "functional": "#E69F00", "distant": "#009E73"}
"""One color per tier, the same in every figure (Okabe and Ito, 2008)."""

_PALETTE: Final = (*TIER_COLORS.values(), "#CC79A7", "#56B4E9", "#F0E442", "#D55E00")


class _ExpertColors(Mapping[str, str]):
    """The palette's colors for the experts of the table, in its order; after seven they repeat."""

    def __getitem__(self, name: str) -> str:
        if name not in EXPERTS:
            raise KeyError(name)
        return _PALETTE[list(EXPERTS).index(name) % len(_PALETTE)]

    def __iter__(self) -> Iterator[str]:
        return iter(EXPERTS)

    def __len__(self) -> int:
        return len(EXPERTS)


EXPERT_COLORS: Final[Mapping[str, str]] = _ExpertColors()
"""One color per expert, the same in every figure."""

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
