"""The curves of a training: panels and marks, from snapshots."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from cellnet.losses import LOSS_NAMES
from cellnet.runs import ChangeRecord
from cellnet.settings import flat_fields
from lab.figures.colors import SPLIT_COLORS
from lab.figures.series import Curve, Mark, Panel
from lab.training import Rows, Snapshot

PCA_COLOR: Final = "#7A7A7A"
_LABELS: Final = {name: str(field.title) for name, field in flat_fields()}


def loss_panels(snapshot: Snapshot, smoothing: int, window: int = 0) -> list[Panel]:
    """The total, the gain over PCA and the learning rate, each loss, gradient norm and step time.

    Args:
        snapshot: of the training.
        smoothing: steps of which the bold lines are means.
        window: how many of the newest steps to show; 0 for all.
    """
    train, validation = snapshot.train, snapshot.validation
    panels = [
        _loss_panel("total", train, validation, smoothing),
        _explained_panel(validation, snapshot.pca),
        Panel("learning rate", _train_curves(train, "learning_rate", 1)),
        *(_loss_panel(name, train, validation, smoothing) for name in LOSS_NAMES),
        Panel("gradient norm", _train_curves(train, "gradient_norm", smoothing)),
        Panel("step time", _train_curves(train, "seconds", smoothing), unit="s"),
    ]
    if not window or not len(train):
        return panels
    first = int(train.steps[-1]) - window + 1
    return [replace(panel, curves=[_since(curve, first) for curve in panel.curves]) for panel in panels]


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
    held_out = Curve(
        "validation", validation.steps, validation.column(name), SPLIT_COLORS["validation"], dots=True
    )
    return Panel(name.replace("_", " "), (*_train_curves(train, name, smoothing), held_out))


def _train_curves(train: Rows, name: str, smoothing: int) -> tuple[Curve, ...]:
    """Every step, and over it the mean if one is wanted."""
    raw, color = train.column(name), SPLIT_COLORS["train"]
    if smoothing == 1:
        return (Curve("train", train.steps, raw, color, width=1.2),)
    smooth = trailing_mean(raw, smoothing)
    return (
        Curve("train", train.steps, raw, color, width=1.0, opacity=0.42),
        Curve("train, smoothed", train.steps, smooth, color, width=2.0),
    )


def _since(curve: Curve, first: int) -> Curve:
    """A mark at a step of a curve."""
    shown = curve.x >= first
    return replace(curve, x=curve.x[shown], y=curve.y[shown])


def _explained_panel(validation: Rows, pca: float | None) -> Panel:
    explained = validation.column("explained_variance")
    curves = [Curve("validation", validation.steps, explained, SPLIT_COLORS["validation"], dots=True)]
    if pca is not None:
        steps = np.array([0, *validation.steps]) if len(validation) else np.array([0, 1])
        curves.append(Curve("PCA", steps, np.full(len(steps), pca), PCA_COLOR, dash="dash", width=1.4))
    return Panel("explained variance", tuple(curves))


def step_marks(changes: Sequence[ChangeRecord]) -> list[Mark]:
    """One mark per step after which settings were changed."""
    labels: dict[int, list[str]] = {}
    for change in changes:
        text = f"{_LABELS[change.key]} {change.old:g} \u2192 {change.new:g}"
        labels.setdefault(change.step, []).append(text)
    return [Mark(step, ", ".join(texts)) for step, texts in sorted(labels.items())]
