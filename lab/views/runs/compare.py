"""Runs side by side: overlaid curves, and what their settings differ in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pandas as pd
import streamlit as st

from cellnet.runs import Phase as Split
from cellnet.runs import RunRecord, RunStore
from lab.components import curves, run_when_newer
from lab.figures.curves import step_marks
from lab.figures.runs import (
    METRICS,
    SPLITS,
    Axis,
    RunCurves,
    overlay_marks,
    overlay_panels,
    run_label,
    run_styles,
    settings_table,
)
from lab.figures.series import Mark, Panel
from lab.files.stills import MIME, Kind, panels_image
from lab.training import TrainingService
from lab.views.runs.table import Choice, state_of

_PAUSE: Final = 2.0
"""Seconds between two runs of the overlay while its runs go on."""
_PANEL_HEIGHT: Final = 250
_MOST_SMOOTHING: Final = 200
_MOST_RUNS: Final = 28
"""As many as there are pairs of color and dash."""


def overlay(service: TrainingService, choice: Choice) -> None:
    """Curves of the chosen runs over each other, with what to draw; while one trains, they grow."""
    what, splits, axis, smooth = st.columns([6, 3, 2, 3], vertical_alignment="bottom")
    metrics = what.multiselect(
        "Metrics",
        METRICS,
        default=METRICS[:3],
        key="runs_metrics",
        format_func=lambda name: name.replace("_", " "),
        help="One panel each.",
        bind="query-params",
    )
    drawn = splits.segmented_control(
        "Split",
        SPLITS,
        selection_mode="multi",
        default=list(SPLITS),
        key="runs_splits",
        help="Curves of the training batches, of the held-out sentences (dots), or both.",
        bind="query-params",
    )
    over: Axis = axis.segmented_control(
        "Over",
        ("step", "minutes"),
        default="step",
        required=True,
        key="runs_axis",
        help="Minutes count training steps alone, without validation and pauses.",
        bind="query-params",
    )
    smoothing = smooth.slider(
        "Smoothing (steps)",
        1,
        _MOST_SMOOTHING,
        value=10,
        key="runs_smoothing",
        help="Training curves are means of this many logged steps.",
        bind="query-params",
    )
    if len(choice.selected) > _MOST_RUNS:
        st.caption(f"The first {_MOST_RUNS} of {len(choice.selected)} selected runs are drawn.")
    ids = [run.id for run in choice.selected[:_MOST_RUNS]]
    _overlay(service.store, ids, tuple(metrics), tuple(drawn), over, smoothing)


@st.fragment
def _overlay(
    store: RunStore,
    chosen: Sequence[str],
    metrics: Sequence[str],
    splits: Sequence[Split],
    axis: Axis,
    smoothing: int,
) -> None:
    run_when_newer(
        lambda: state_of(run for run in store.list() if run.id in chosen), key="overlay", pause=_PAUSE
    )
    runs = store.list()
    ids = [run.id for run in runs if run.id in chosen]
    panels, marks = overlay_data(store, runs, ids, metrics, splits, axis, smoothing)
    st.session_state.setdefault("runs_frame", 0)
    st.session_state["runs_frame"] += 1
    curves(
        panels,
        key="runs_curves",
        seq=st.session_state["runs_frame"],
        stream="/".join((*ids, *metrics, *splits, axis, str(smoothing))),
        marks=marks,
        columns=min(3, max(1, len(panels))),
        panel_height=_PANEL_HEIGHT,
        x_title=axis,
        label="Curves of the selected runs",
        empty="Nothing to draw: choose a metric and a split that the selected runs have.",
    )
    if panels:
        with st.container(horizontal=True, vertical_alignment="center"):
            for kind in MIME:
                _figure_button(kind, panels, marks, axis)


def overlay_data(
    store: RunStore,
    runs: Sequence[RunRecord],
    ids: Sequence[str],
    metrics: Sequence[str],
    splits: Sequence[Split] = SPLITS,
    axis: Axis = "step",
    smoothing: int = 1,
) -> tuple[list[Panel], list[Mark]]:
    """Panels and marks of some of the runs; what was read is cached until the run has more."""
    styles = run_styles([*runs, *store.list(deleted=True)])
    updated = {run.id: run.updated for run in runs}
    overlaid = [
        RunCurves(
            styles[run_id],
            {split: _metrics(store, str(store.root), run_id, split, updated[run_id]) for split in SPLITS},
        )
        for run_id in ids
    ]
    panels = overlay_panels(overlaid, metrics, splits=splits, axis=axis, smoothing=smoothing)
    if axis != "step":
        return panels, []
    marks = {styles[run_id].label: step_marks(store.changes(run_id)) for run_id in ids}
    return panels, overlay_marks(marks)


@st.cache_data(max_entries=64, show_spinner=False)
def _metrics(_store: RunStore, root: str, run_id: str, split: Split, updated: float) -> pd.DataFrame:
    """The metrics of a run as it was at ``updated``."""
    return _store.metrics(run_id, phase=split, names=METRICS)


def _figure_button(kind: Kind, panels: Sequence[Panel], marks: Sequence[Mark], axis: Axis) -> None:
    st.download_button(
        f"Figure as {kind.upper()}",
        lambda: panels_image(panels, kind, x_title=axis, marks=marks),
        f"curves.{kind}",
        MIME[kind],
        key=f"runs_figure_{kind}",
        on_click="ignore",
        help="What is drawn above, on white, for a paper or a slide.",
    )


def settings_difference(service: TrainingService, choice: Choice) -> None:
    """The settings of the selected runs side by side; a single run stands beside its parent."""
    runs = list(choice.selected)
    if len(runs) == 1 and runs[0].parent is not None:
        family = {run.id: run for run in [*choice.runs, *service.store.list(deleted=True)]}
        runs = [family[runs[0].parent], runs[0]]
    everything = st.toggle(
        "Also what they have in common",
        value=len(runs) == 1,
        disabled=len(runs) == 1,
        key=f"runs_everything.{len(runs) == 1}",
        help="Settings in which all of these runs agree.",
    )
    table = settings_table({run_label(run): run.settings for run in runs}, everything=everything)
    if table.empty:
        st.info("These runs were started with the same settings.")
        return
    st.dataframe(table, height=min(35 * len(table) + 38, 560))
    changed = [run for run in runs if service.store.changes(run.id)] if not runs[0].deleted else []
    if changed:
        names = ", ".join(run_label(run) for run in changed)
        st.caption(
            f"As they were at the start; changed while training: {names} (see the marks in the curves)."
        )
