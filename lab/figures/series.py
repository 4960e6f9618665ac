"""Data of the live curves: panels of curves with marks, thinned to the width of a screen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.floating] | npt.NDArray[np.integer]
Dash = Literal["solid", "dot", "dash", "dashdot"]


@dataclass(frozen=True)
class Curve:
    """One line: ``x`` and ``y`` are (n,), a missing ``y`` is NaN and leaves a gap.

    ``dots`` shows the points too, for a curve of few points.

    Curves of one name (train, validation) share one entry in the legend and are shown and hidden together.
    """

    name: str
    x: Numbers
    y: Numbers
    color: str
    dash: Dash = "solid"
    width: float = 1.8
    opacity: float = 1.0
    dots: bool = False


@dataclass(frozen=True)
class Panel:
    """One small plot of a few curves over the same steps."""

    title: str
    curves: Sequence[Curve]
    unit: str = ""
    log: bool = False


@dataclass(frozen=True)
class Mark:
    """A change made while training ran, drawn as a numbered vertical line in every panel."""

    x: float
    label: str


def thin(x: Numbers, y: Numbers, limit: int) -> tuple[Numbers, Numbers]:
    """At most ``limit`` points of a curve that keep its shape.

    The first and the last point stay; between them the points are cut into equal runs, of each of which
    the smallest and the largest value stay, so that no peak and no dip is lost. NaN is ignored where a run
    has a number, and stays a gap where it has none.

    Raises:
        ValueError: when the arrays do not match or ``limit`` is below 4.
    """
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"x has shape {x.shape} and y {y.shape}: both must be (n,)")
    if limit < 4:
        raise ValueError(f"limit is {limit}: at least 4 points are needed to keep both ends and extremes")
    if x.size <= limit:
        return x, y
    inner = y[1:-1].astype(np.float64)
    runs = (limit - 2) // 2
    length = -(-inner.size // runs)
    padding = (0, -inner.size % length)
    missing = np.isnan(inner)
    lows = np.pad(np.where(missing, np.inf, inner), padding, constant_values=np.inf).reshape(-1, length)
    highs = np.pad(np.where(missing, -np.inf, inner), padding, constant_values=-np.inf).reshape(-1, length)
    starts = np.arange(lows.shape[0]) * length + 1
    keep = np.concatenate(([0], starts + lows.argmin(axis=1), starts + highs.argmax(axis=1), [x.size - 1]))
    keep = np.unique(keep)
    return x[keep], y[keep]
