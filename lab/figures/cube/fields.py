"""Colors of cells: one value, color or kind for each cell of a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from lab.figures.cube.scenes import Dimensions
from lab.training import CubeFrame

Floats = npt.NDArray[np.float32]
Coloring = Literal["activity", "channel", "components", "change", "agreement", "expert"]
COLORINGS: Final[dict[Coloring, str]] = {
    "activity": "Activity",
    "channel": "Channel",
    "components": "Components",
    "change": "Change",
    "agreement": "Agreement",
    "expert": "Expert",
}
COLORING_HELP: Final = (
    "Activity: root mean square of a cell's state. Channel: one number of the state. Components: the first "
    "three principal components of all states as red, green and blue. Change: rms of what the lattice step "
    "changed. Agreement: mean cosine of a cell's states between held-out sentences; 1 means that the cell "
    "answers all of them alike. Expert: the one with the largest weight in the step."
)
ACTIVITY: Final = "activity (rms of the state)"
CHANGE: Final = "change in this step (rms)"
_DIVERGING: Final = "berlin"
_ENDS: Final = (1, 99)
"""Percentiles at the ends of a ramp, so that a single cell does not take all the contrast."""


@dataclass(frozen=True)
class CellField:
    """One color for each of N cells, before anything is cut away.

    Attributes:
        dimensions: cells along x, y, z.
        label: what the colors mean.
        values: (N,) numbers: what is colored, or beside ``rgb`` and ``codes`` what a threshold acts on.
        limits: of the values at the ends of the ramp.
        colormap: of the ramp.
        rgb: (N, 3) in [0, 1], instead of a ramp.
        codes: (N,) index of an expert, instead of a ramp.
    """

    dimensions: Dimensions
    label: str
    values: Floats
    limits: tuple[float, float]
    colormap: str = "viridis"
    rgb: Floats | None = None
    codes: npt.NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Components:
    """Three directions in the space of the states.

    Attributes:
        mean: (C,), of the states it was fitted on.
        basis: (C, 3), orthonormal.
        spread: (3,), half the distance between the 1st and 99th percentile of each score.
        explained: share of the variance that the three explain together.
    """

    mean: Floats
    basis: Floats
    spread: Floats
    explained: float

    def colors(self, states: Floats) -> Floats:
        """Scores of states (N, C) as (N, 3) in [0, 1]; the mean is gray."""
        scores = (states - self.mean) @ self.basis / self.spread
        colors: Floats = np.clip(0.5 + 0.5 * scores, 0, 1).astype(np.float32)
        return colors


def fit_components(states: Floats, like: Components | None = None) -> Components:
    """First three principal components of states (..., C), C >= 3.

    Principal components have no sign, and equal ones no order, so that colors would jump from one picture
    to the next. With ``like`` the basis is turned within its own span to be as near as possible to the
    earlier one (orthogonal Procrustes), so that a color keeps its meaning while the cube learns.
    """
    rows = states.reshape(-1, states.shape[-1])
    if rows.shape[1] < 3:
        raise ValueError(f"states of {rows.shape[1]} channels have no three principal components")
    mean = rows.mean(axis=0)
    covariance = rows.T @ rows / np.float32(len(rows)) - np.outer(mean, mean)
    variances, vectors = np.linalg.eigh(covariance.astype(np.float64))
    basis = vectors[:, :-4:-1]
    largest = np.take_along_axis(basis, np.abs(basis).argmax(axis=0)[None], axis=0)
    basis = basis * np.sign(largest)
    if like is not None and like.basis.shape == basis.shape:
        left, _, right = np.linalg.svd(basis.T @ like.basis)
        basis = basis @ (left @ right)
    scores = (rows - mean) @ basis
    low, high = np.percentile(scores, _ENDS, axis=0)
    spread = np.maximum(np.maximum(np.abs(low), np.abs(high)), np.finfo(np.float32).tiny)
    total = float(variances.clip(0).sum())
    explained = float(variances[-3:].clip(0).sum()) / total if total > 0 else 0.0
    return Components(
        mean.astype(np.float32), basis.astype(np.float32), spread.astype(np.float32), explained
    )


def activity(states: Floats) -> Floats:
    """Root mean square over channels, (..., C) to (...)."""
    squares: Floats = np.einsum("...c,...c->...", states, states)
    return np.asarray(np.sqrt(squares / states.shape[-1]), dtype=np.float32)


def agreement(states: Floats) -> Floats:
    """Return how alike cells answer different sentences: states (B, N, C) to (N,), each in [-1, 1].

    The mean cosine between a cell's states of two different sentences, over all B (B - 1) pairs. With unit
    vectors u_b it is (|sum u_b|^2 - B) / (B (B - 1)), so that no pair is formed. A state of zero counts as
    agreeing with none.

    Raises:
        ValueError: for fewer than two sentences.
    """
    count = len(states)
    if count < 2:
        raise ValueError("agreement needs at least two sentences")
    norms = np.linalg.norm(states, axis=-1, keepdims=True)
    units = np.divide(states, norms, out=np.zeros_like(states), where=norms > 0)
    total = units.sum(axis=0)
    nonzero = (norms[..., 0] > 0).sum(axis=0)
    mean = (np.square(total).sum(axis=-1) - nonzero) / (count * (count - 1))
    return np.asarray(np.clip(mean, -1, 1), dtype=np.float32)


def first_step(coloring: Coloring) -> int:
    """First lattice step that a coloring has: a change and a gate there are from step 1 on."""
    return int(coloring in ("change", "expert"))


def cell_fields(
    frame: CubeFrame,
    coloring: Coloring,
    *,
    channel: int = 0,
    components: Components | None = None,
    agreements: Floats | None = None,
) -> dict[int, CellField]:
    """Color the cells of a frame after each lattice step that the coloring has, from `first_step` to T.

    The ends of a ramp are the same for all lattice steps: the 1st and the 99th percentile.

    Args:
        frame: the picture; step 0 is the state in which the sentence came in.
        coloring: what to color by.
        channel: for the coloring by one channel.
        components: for the coloring by principal components.
        agreements: for the coloring by agreement, (T + 1, N), see `agreement`.

    Raises:
        ValueError: if what the coloring needs is missing.
    """
    match coloring:
        case "activity":
            return _activities(frame)
        case "channel":
            values = frame.states[:, :, channel]
            end = max(map(abs, _limits(values)))
            return ramps(frame.dimensions, f"channel {channel}", values, (-end, end), _DIVERGING)
        case "change":
            values = activity(np.diff(frame.states, axis=0))
            return ramps(frame.dimensions, CHANGE, values, _limits(values), "magma", first=1)
        case "components":
            if components is None:
                raise ValueError("coloring by components needs the components")
            label = f"first three components ({components.explained:.0%} of the variance)"
            return {
                at: replace(each, label=label, rgb=components.colors(frame.states[at]))
                for at, each in _activities(frame).items()
            }
        case "agreement":
            if agreements is None:
                raise ValueError("coloring by agreement needs the agreements")
            label = "agreement between sentences (cosine)"
            return ramps(frame.dimensions, label, agreements, _limits(agreements), "cividis")
        case "expert":
            codes, plain = frame.gate.argmax(axis=-1), _activities(frame)
            return {
                at: replace(plain[at], label="expert with the largest weight", codes=each)
                for at, each in enumerate(codes, start=1)
            }


def _activities(frame: CubeFrame) -> dict[int, CellField]:
    norms = activity(frame.states)
    return ramps(frame.dimensions, ACTIVITY, norms, _limits(norms))


def ramps(
    dimensions: Dimensions,
    label: str,
    values: Floats,
    limits: tuple[float, float],
    colormap: str = "viridis",
    *,
    first: int = 0,
) -> dict[int, CellField]:
    """Color cells by values (S, N) of the lattice steps ``first`` to ``first`` + S - 1, all on one ramp."""
    return {
        at: CellField(dimensions, label, each, limits, colormap)
        for at, each in enumerate(values, start=first)
    }


def common_limits(cubes: Sequence[Mapping[int, CellField]]) -> list[dict[int, CellField]]:
    """The lattice steps that all cubes have, on one ramp, so that equal colors mean equal values."""
    limits = [each.limits for fields in cubes for each in fields.values()]
    both = min(low for low, _ in limits), max(high for _, high in limits)
    steps = sorted(set.intersection(*(set(fields) for fields in cubes)))
    return [{at: replace(fields[at], limits=both) for at in steps} for fields in cubes]


def differences(left: Mapping[int, CellField], right: Mapping[int, CellField]) -> dict[int, CellField]:
    """Subtract the left cubes from the right ones, at each number that both have.

    The ramp diverges from zero in its middle; its ends are the same for all numbers. Where cells are
    colored by components or experts, which cannot be subtracted, it is their activity.

    Raises:
        ValueError: if the cubes are not of one size.
    """
    values_at = {}
    for at in left.keys() & right.keys():
        if left[at].dimensions != right[at].dimensions:
            raise ValueError("cubes of different sizes have no difference")
        values_at[at] = right[at].values - left[at].values
    end = max(map(abs, _limits(np.stack(list(values_at.values())))))
    return {at: _difference(left[at], values, end) for at, values in values_at.items()}


def _difference(like: CellField, values: Floats, end: float) -> CellField:
    label = like.label if like.rgb is None and like.codes is None else ACTIVITY
    return CellField(like.dimensions, f"right minus left: {label}", values, (-end, end), _DIVERGING)


def _limits(values: Floats) -> tuple[float, float]:
    low, high = (float(end) for end in np.percentile(values, _ENDS))
    return low, high
