"""From snapshots and settings to what is drawn: panels, marks, scenes, and figures in words.

Everything here is a pure function of plain values.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from cellnet.lattice.geometry import GeometryReport, geometry_report
from cellnet.losses import LOSS_NAMES
from cellnet.runs import ChangeRecord
from cellnet.settings import Settings, flat_fields
from lab.colors import EXPERT_COLORS, SPLIT_COLORS
from lab.scenes import ClipBox, Scene, Spacing, category_scene, scalar_scene, visible_cells
from lab.series import Curve, Mark, Panel
from lab.training import CubeFrame, Rows, Snapshot

Coloring = Literal["activity", "change", "channel", "expert"]
View = Literal["whole", "cut open", "layers"]
COLORINGS: Final[dict[Coloring, str]] = {
    "activity": "Activity",
    "change": "Change",
    "channel": "Channel",
    "expert": "Expert",
}
VIEWS: Final[tuple[View, ...]] = ("whole", "cut open", "layers")
PCA_COLOR: Final = "#7A7A7A"
_LAYER_GAP: Final[Spacing] = (0.0, 0.0, 1.2)
_LABELS: Final = {name: str(field.title) for name, field in flat_fields()}


def loss_panels(snapshot: Snapshot, smoothing: int) -> list[Panel]:
    """The total, the gain over PCA and the learning rate, then the six losses."""
    train, validation = snapshot.train, snapshot.validation
    rate = Curve("train", train.steps, train.column("learning_rate"), SPLIT_COLORS["train"])
    return [
        _loss_panel("total", train, validation, smoothing),
        _explained_panel(validation, snapshot.pca),
        Panel("learning rate", (rate,)),
        *(_loss_panel(name, train, validation, smoothing) for name in LOSS_NAMES),
    ]


def trailing_mean(values: npt.NDArray[np.float64], window: int) -> npt.NDArray[np.float64]:
    """The mean of each value and the ``window - 1`` before it, of fewer at the beginning; (n,) both."""
    if window < 1:
        raise ValueError(f"window is {window}: at least 1 value is needed for a mean")
    sums = np.concatenate(([0.0], np.cumsum(values)))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    mean: npt.NDArray[np.float64] = (sums[ends] - sums[starts]) / (ends - starts)
    return mean


def _loss_panel(name: str, train: Rows, validation: Rows, smoothing: int) -> Panel:
    raw = train.column(name)
    curves = [Curve("train", train.steps, raw, SPLIT_COLORS["train"], width=1.2)]
    if smoothing > 1:
        smooth = trailing_mean(raw, smoothing)
        curves = [
            Curve("train", train.steps, raw, SPLIT_COLORS["train"], width=1.0, opacity=0.42),
            Curve("train, smoothed", train.steps, smooth, SPLIT_COLORS["train"], width=2.0),
        ]
    curves.append(
        Curve(
            "validation", validation.steps, validation.column(name), SPLIT_COLORS["validation"], dots=True
        )
    )
    return Panel(name.replace("_", " "), tuple(curves))


def _explained_panel(validation: Rows, pca: float | None) -> Panel:
    explained = validation.column("explained_variance")
    curves = [Curve("validation", validation.steps, explained, SPLIT_COLORS["validation"], dots=True)]
    if pca is not None:
        ends = np.array([0, validation.steps[-1] if len(validation) else 1])
        curves.append(Curve("PCA", ends, np.full(2, pca), PCA_COLOR, dash="dash", width=1.4))
    return Panel("explained variance", tuple(curves))


def change_marks(changes: Sequence[ChangeRecord]) -> list[Mark]:
    """One mark per step at which something changed."""
    labels: dict[int, list[str]] = {}
    for change in changes:
        text = f"{_LABELS[change.key]} {change.old:g} \u2192 {change.new:g}"
        labels.setdefault(change.step, []).append(text)
    return [Mark(step, ", ".join(texts)) for step, texts in labels.items()]


def cube_scene(frame: CubeFrame, coloring: Coloring, at: int, channel: int, view: View) -> Scene:
    """The cube after lattice step ``at``; the ends of a ramp are the same for all steps of the frame.

    A ramp goes from the 1st to the 99th percentile, so that a single cell does not take all the contrast.

    Args:
        coloring: activity (root mean square of a cell's state), change in the step, one channel, or the
            expert with the largest weight in the step.
        at: 0 is the state in which the sentence came in; change and expert need at least 1.
        channel: for the coloring by one channel.
        view: the whole cube, its half, or its layers apart.
    """
    dimensions = frame.dimensions
    explode: Spacing | float = _LAYER_GAP if view == "layers" else 0.0
    clip = _half(dimensions) if view == "cut open" else None
    if coloring == "expert":
        visible = visible_cells(dimensions, clip=clip)
        codes = frame.gate[at - 1].argmax(axis=-1)
        label = "expert with the largest weight"
        return category_scene(
            dimensions, codes, EXPERT_COLORS, label=label, visible=visible, explode=explode
        )
    values, label, colormap = _values(frame.states, coloring, channel)
    shown = values[at - 1] if coloring == "change" else values[at]
    low, high = (float(end) for end in np.percentile(values, (1, 99)))
    if coloring == "channel":
        low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
    return scalar_scene(
        dimensions, shown, label=label, colormap=colormap, limits=(low, high), clip=clip, explode=explode
    )


def _values(
    states: npt.NDArray[np.float32], coloring: Coloring, channel: int
) -> tuple[npt.NDArray[np.float32], str, str]:
    if coloring == "channel":
        return states[:, :, channel], f"channel {channel}", "berlin"
    if coloring == "change":
        return _rms(np.diff(states, axis=0)), "change in this step (rms)", "magma"
    return _rms(states), "activity (rms of the state)", "viridis"


def _rms(states: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    root: npt.NDArray[np.float32] = np.sqrt(np.square(states).mean(axis=-1))
    return root


def _half(dimensions: tuple[int, int, int]) -> ClipBox:
    x, y, z = dimensions
    return (0, x - 1), (y // 2, y - 1), (0, z - 1)


@lru_cache(maxsize=32)
def tier_report(settings: Settings) -> GeometryReport:
    """What the distance ratios of these settings mean."""
    thresholds = settings.neighbors.get_distance_thresholds(settings.lattice)
    return geometry_report(settings.lattice, thresholds, settings.model.steps)


def gain(snapshot: Snapshot) -> float | None:
    """How much more of the variance the cube explains than PCA does; None before the first validation."""
    if snapshot.explained_variance is None or snapshot.pca is None:
        return None
    return snapshot.explained_variance - snapshot.pca


def duration(seconds: float) -> str:
    """``75`` as ``1 min 15 s``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
