"""The curves of a training: panels and marks, from snapshots."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from cellnet.losses import LOSS_NAMES
from cellnet.runs import ChangeRecord, ReadoutRecord
from cellnet.settings import flat_fields
from lab.colors import SPLIT_COLORS
from lab.series import Curve, Mark, Panel
from lab.training import Rows, Snapshot

PCA_COLOR: Final = "#7A7A7A"
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


def step_marks(changes: Sequence[ChangeRecord], readouts: Sequence[ReadoutRecord]) -> list[Mark]:
    """One mark per step after which a setting was changed or the readout solved."""
    labels: dict[int, list[str]] = {}
    for readout in readouts:
        labels.setdefault(readout.step, []).append(readout_label(readout))
    for change in changes:
        text = f"{_LABELS[change.key]} {change.old:g} \u2192 {change.new:g}"
        labels.setdefault(change.step, []).append(text)
    return [Mark(step, ", ".join(texts)) for step, texts in sorted(labels.items())]


def readout_label(readout: ReadoutRecord) -> str:
    """What became of the readout, and what it leaves unexplained."""
    done = "kept: no solution is better" if readout.penalty is None else "solved"
    return f"Readout {done}, {readout.unexplained:.1%} unexplained"
