"""Runs side by side: the table, overlaid curves, the difference of their settings, curves as CSV."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from cellnet.runs import Phase as Split
from cellnet.runs import RunRecord
from cellnet.settings import flat_fields
from cellnet.training.metrics import TRAIN_NAMES, VALIDATION_NAMES
from lab.figures.curves import trailing_mean
from lab.figures.series import Curve, Dash, Mark, Panel

Axis = Literal["step", "minutes"]
Latest = Mapping[str, tuple[int, Mapping[str, float]]]
FloatArray = npt.NDArray[np.float64]

RUN_COLORS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A7A7A")
"""Told apart by color-blind readers, on light and dark ground (Okabe and Ito, 2008)."""
RUN_DASHES: Final[tuple[Dash, ...]] = ("solid", "dash", "dot", "dashdot")
_FIRST: Final = ("total", "explained_variance", "mean_cosine")
_CONSTANT: Final = "mean_vector_cosine"
METRICS: Final = tuple(
    name for name in dict.fromkeys((*_FIRST, *VALIDATION_NAMES, *TRAIN_NAMES)) if name != _CONSTANT
)
"""What can be overlaid, in the order in which it is offered: all that changes while a training goes on."""
SPLITS: Final[tuple[Split, ...]] = ("train", "validation")


@dataclass(frozen=True)
class RunStyle:
    """The style of a run's curves."""

    label: str
    color: str
    dash: Dash = "solid"


def run_label(run: RunRecord) -> str:
    """Name and the end of the id, which tells runs of one name apart; the whole id without a name."""
    return f"{run.name} · {run.id[-6:]}" if run.name else run.id


def run_styles(runs: Iterable[RunRecord]) -> dict[str, RunStyle]:
    """One style per run, by id.

    Args:
        runs: all runs of a store, those in the trash too. The style follows from a run's place in the
            order of creation, so that it is the same in every selection and stays when others go.
    """
    colors = len(RUN_COLORS)
    return {
        run.id: RunStyle(
            run_label(run),
            RUN_COLORS[place % colors],
            RUN_DASHES[place // colors % len(RUN_DASHES)],
        )
        for place, run in enumerate(sorted(runs, key=lambda run: (run.created, run.id)))
    }


# The table.


def runs_table(runs: Sequence[RunRecord], train: Latest, validation: Latest) -> pd.DataFrame:
    """One row per run, in the given order, with its newest figures.

    Args:
        runs: the runs.
        train, validation: what `RunStore.latest` found; a run that is in neither shows its summary.

    Returns:
        Columns run, state, steps, of, explained, gain, cosine, loss, validation loss, seconds, device,
        created (local time), tags, note, id. What is unknown is missing.
    """
    return pd.DataFrame(
        [_row(run, train.get(run.id), validation.get(run.id)) for run in runs], columns=list(_COLUMNS)
    ).astype(_COLUMNS)


_COLUMNS: Final = {
    "run": "object",
    "state": "object",
    "steps": "int64",
    "of": "int64",
    "explained": "float64",
    "gain": "float64",
    "cosine": "float64",
    "loss": "float64",
    "validation loss": "float64",
    "seconds": "float64",
    "device": "object",
    "created": "datetime64[s]",
    "tags": "object",
    "note": "object",
    "id": "object",
}


def _row(
    run: RunRecord,
    train: tuple[int, Mapping[str, float]] | None,
    validation: tuple[int, Mapping[str, float]] | None,
) -> dict[str, Any]:
    summary = run.summary
    losses = summary.get("losses") or {}
    learned = train[1] if train else losses.get("train") or {}
    held_out = validation[1] if validation else (losses.get("validation") or {}) | summary
    explained, pca = held_out.get("explained_variance"), summary.get("pca_explained_variance")
    return {
        "run": run.name or run.id,
        "state": run.state,
        "steps": run.step,
        "of": run.max_steps,
        "explained": explained,
        "gain": explained - pca if explained is not None and pca is not None else None,
        "cosine": held_out.get("mean_cosine"),
        "loss": learned.get("total"),
        "validation loss": held_out.get("total"),
        "seconds": summary.get("seconds_per_step") or learned.get("seconds"),
        "device": summary.get("device", ""),
        "created": datetime.fromtimestamp(run.created),
        "tags": list(run.tags),
        "note": run.note,
        "id": run.id,
    }


def filter_runs(
    runs: Sequence[RunRecord], text: str, tags: Sequence[str], states: Sequence[str]
) -> list[RunRecord]:
    """The runs with every word of ``text`` in id, name, note, device or tags, all tags, one of the states.

    An empty filter lets every run pass.
    """
    words = text.lower().split()
    return [
        run
        for run in runs
        if (not states or run.state in states)
        and set(tags) <= set(run.tags)
        and all(word in _searched(run) for word in words)
    ]


def _searched(run: RunRecord) -> str:
    device = run.summary.get("device", "")
    return " ".join((run.id, run.name, run.note, str(device), run.parent or "", *run.tags)).lower()


def all_tags(runs: Iterable[RunRecord]) -> list[str]:
    """Every tag in use, in alphabetical order."""
    return sorted({tag for run in runs for tag in run.tags})


# Settings.


def settings_table(settings: Mapping[str, Mapping[str, Any]], *, everything: bool = False) -> pd.DataFrame:
    """The settings of runs side by side.

    Args:
        settings: trees ``{group: {key: value}}`` by the label of the run.
        everything: also the settings in which all runs agree.

    Returns:
        Index ``group.key`` in the order of the settings tree (names that are no longer known come last),
        one column of text per run; empty where a run does not have the setting.
    """
    flat = {label: _flat(tree) for label, tree in settings.items()}
    known = [name for name, _ in flat_fields()]
    others = sorted({name for values in flat.values() for name in values} - set(known))
    rows = {
        name: [_text(values.get(name)) for values in flat.values()]
        for name in (*known, *others)
        if any(name in values for values in flat.values())
    }
    shown = {name: texts for name, texts in rows.items() if everything or len(set(texts)) > 1}
    table = pd.DataFrame.from_dict(shown, orient="index", columns=list(flat), dtype="object")
    table.index.name = "setting"
    return table


def _flat(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{group}.{key}": value for group, keys in tree.items() for key, value in keys.items()}


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "on" if value else "off"
        case float():
            return f"{value:g}"
        case list() | tuple():
            return " x ".join(map(str, value))
    return str(value)


# Curves.


@dataclass(frozen=True)
class RunCurves:
    """The metrics of a run, as `RunStore.metrics` gives them for one phase each.

    Attributes:
        style: how its curves are drawn.
        tables: by split: columns step and one per metric; minutes need that of training.
        pca: explained variance of PCA on the validation data, if known.
    """

    style: RunStyle
    tables: Mapping[Split, pd.DataFrame]
    pca: float | None = None


def overlay_panels(
    runs: Sequence[RunCurves],
    metrics: Sequence[str],
    *,
    splits: Sequence[Split] = SPLITS,
    axis: Axis = "step",
    smoothing: int = 1,
) -> list[Panel]:
    """One panel per metric that any of the runs has, one curve per run and split.

    Validation has dots where it has few points; training beside it is drawn fainter.

    Args:
        runs: what to draw, in the order of the legend.
        metrics: names of metrics.
        splits: train, validation or both.
        axis: training steps, or minutes of training (see `minutes_at`).
        smoothing: training curves are means of this many logged steps.
    """
    panels = []
    for metric in metrics:
        curves = [
            curve
            for run in runs
            for split in sorted(splits, reverse=True)  # validation first: it stands in the legend
            for curve in _curves(run, split, metric, axis, smoothing, len(splits) > 1)
        ]
        if curves:
            panels.append(Panel(metric.replace("_", " "), curves))
    return panels


def _curves(
    run: RunCurves, split: Split, metric: str, axis: Axis, smoothing: int, both: bool
) -> Iterable[Curve]:
    table = run.tables.get(split)
    if table is None or metric not in table or not (kept := table[metric].notna().to_numpy()).any():
        return
    steps = table["step"].to_numpy()[kept]
    values = table[metric].to_numpy(dtype=np.float64)[kept]
    x = minutes_at(steps, run.tables["train"]) if axis == "minutes" else steps
    training = split == "train"
    if training and smoothing > 1:
        values = trailing_mean(values, smoothing)
    yield Curve(
        run.style.label,
        x,
        values,
        run.style.color,
        dash=run.style.dash,
        width=1.2 if training and both else 1.8,
        opacity=0.6 if training and both else 1.0,
        dots=not training,
    )


def minutes_at(steps: npt.NDArray[np.integer[Any]], train: pd.DataFrame) -> FloatArray:
    """Minutes of training, without validation and pauses, that the given steps (n,) took; (n,).

    Where not every step was logged, the steps between two logged ones count as long as the second.

    Args:
        steps: at which to tell the time.
        train: columns step and seconds.
    """
    timed = train[["step", "seconds"]].dropna()
    logged = timed["step"].to_numpy(dtype=np.float64)
    if not len(logged):
        return np.full(len(steps), np.nan)
    spent = np.cumsum(timed["seconds"].to_numpy() * np.diff(logged, prepend=0.0))
    minutes: FloatArray = np.interp(steps, [0.0, *logged], [0.0, *spent]) / 60.0
    return minutes


def overlay_marks(runs: Mapping[str, Sequence[Mark]]) -> list[Mark]:
    """The marks of runs, by the label of the run, which is named if several runs are drawn."""
    return [
        Mark(mark.x, f"{label}: {mark.label}" if len(runs) > 1 else mark.label)
        for label, marks in runs.items()
        for mark in marks
    ]


# Files.


def curves_csv(tables: Mapping[str, pd.DataFrame], form: Literal["wide", "long"]) -> str:
    """Metrics of runs as CSV.

    Args:
        tables: by run id, as `RunStore.metrics` gives them.
        form: wide has one column per metric (run, step, phase, ...), long one row per value (run, step,
            phase, metric, value) and no row for what was not logged.
    """
    parts = [table.assign(run=run_id) for run_id, table in tables.items()]
    if not parts:
        return ""
    whole = pd.concat(parts, ignore_index=True)
    names = [name for name in whole.columns if name not in _KEYS]
    if form == "wide":
        return str(whole[[*_KEYS, *names]].to_csv(index=False))
    long = whole.melt(id_vars=_KEYS, value_vars=names, var_name="metric").dropna(subset="value")
    return str(long.to_csv(index=False))


_KEYS: Final = ["run", "step", "phase"]


def figures_of(run: RunRecord, train: Latest, validation: Latest) -> dict[str, str]:
    """The figures of one run in words."""
    row = _row(run, train.get(run.id), validation.get(run.id))
    pca = run.summary.get("pca_explained_variance")
    pca_cosine = run.summary.get("pca_mean_cosine")
    figures = {
        "state": run.state,
        "steps": f"{run.step:,} of {run.max_steps:,}",
        "explained variance, cube": _number(row["explained"]),
        "explained variance, PCA": _number(pca),
        "gain over PCA": _number(row["gain"], "+.3f"),
        "mean cosine, cube": _number(row["cosine"]),
        "mean cosine, PCA": _number(pca_cosine),
        "training loss": _number(row["loss"]),
        "validation loss": _number(row["validation loss"]),
        "seconds per step": _number(row["seconds"]),
        "slow steps": _slow_steps(run.summary),
        "device": row["device"],
        "engine": run.summary.get("engine", ""),
        "parent": run.parent or "",
        "error": run.error,
    }
    return {name: text for name, text in figures.items() if text}


def _slow_steps(summary: Mapping[str, Any]) -> str:
    share, target = summary.get("share_of_slow_steps"), summary.get("target_ms_per_step")
    return "" if share is None or target is None else f"{share:.1%} over {target:g} ms"


def _number(value: float | None, form: str = ".3f") -> str:
    return "" if value is None else f"{value:{form}}"
