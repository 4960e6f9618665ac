"""One run: its words, its checkpoints, going on with it, taking it away."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import streamlit as st

from cellnet.errors import CellnetError
from cellnet.runs import CheckpointRecord, RunRecord
from cellnet.settings import Settings, differences, get_value, to_toml
from cellnet.training.fork import FORKABLE, checkpoint_settings
from lab.figures.markup import facts_markup
from lab.figures.runs import curves_csv, figures_of, run_label
from lab.files.report import SENTENCE, html_report
from lab.routes import checkpoint_url, run_url
from lab.server import get_lab
from lab.training import Probe, TrainingService
from lab.views.runs.table import MOST_NAME
from lab.widgets.forms import FIELDS, Form, field_label, group_label
from lab.widgets.resume import resume_button
from lab.widgets.status import order

PAGES: Final = Path(__file__).resolve().parents[3] / "pages"
_STEPS: Final = "training.max_steps"
_USUAL_CHANGES: Final = (
    _STEPS,
    "training.learning_rate",
    "lattice.local_distance_ratio",
    "lattice.functional_distance_ratio",
)
_MOST_CHECKPOINTS: Final = 20
_SIZES: Final = (3, 2, 3, 4, 4, 3, 3)


# Words.


def description(service: TrainingService, run: RunRecord, tags: Sequence[str]) -> None:
    """Name, tags (some to choose from) and note, kept as they are typed; the figures beside them."""
    words, figures = st.columns([3, 2], gap="large")
    with words:
        keys = {name: f"runs_{name}.{run.id}" for name in ("name", "tags", "note")}
        args = (service, run.id, keys)
        st.text_input(
            "Name",
            run.name,
            max_chars=MOST_NAME,
            key=keys["name"],
            on_change=_describe,
            args=args,
            help="For people; need not be unique. Empty: the id is shown.",
        )
        st.multiselect(
            "Tags",
            sorted({*tags, *run.tags}),
            list(run.tags),
            accept_new_options=True,
            key=keys["tags"],
            on_change=_describe,
            args=args,
            help="Type a new one and press Enter. The table can be filtered by them.",
        )
        st.text_area(
            "Note",
            run.note,
            height=140,
            max_chars=10_000,
            key=keys["note"],
            on_change=_describe,
            args=args,
            help="What was tried, what came out. Kept when you leave the field.",
        )
    with figures:
        store = service.store
        st.html(facts_markup(figures_of(run, store.latest("train"), store.latest("validation"))))


def _describe(service: TrainingService, run_id: str, keys: dict[str, str]) -> None:
    state = st.session_state
    tags = [tag.strip() for tag in state[keys["tags"]] if tag.strip()]
    order(
        lambda: service.store.update(
            run_id, name=state[keys["name"]].strip(), tags=tags, note=state[keys["note"]]
        )
    )


# Going on.


def going_on(service: TrainingService, run: RunRecord) -> None:
    """Resume the run, or fork it with changes."""
    saved = service.store.checkpoints(run.id)
    if not saved:
        st.info("This run has no checkpoint to go on from: it ended before the first was written.")
        return
    busy = service.snapshot().phase.is_active
    if busy:
        st.info("A training is under way; stop it to go on with another run.")
    resume, fork = st.columns([2, 5], gap="large")
    with resume:
        st.subheader("Resume", help="The same run goes on from its newest checkpoint, as if never stopped.")
        _resume(service, run, saved[-1], busy)
    with fork:
        st.subheader(
            "Fork",
            help="A new run begins with the weights of a checkpoint: steps count from 0, the optimizer and "
            "the learning rate's schedule begin anew. This run stays as it is.",
        )
        _fork(service, run, saved, busy)


def _resume(service: TrainingService, run: RunRecord, newest: CheckpointRecord, busy: bool) -> None:
    st.caption(_resume_caption(run, newest))
    steps = st.number_input(
        "Training steps, in all",
        min_value=newest.step + 1,
        value=run.max_steps if run.max_steps > newest.step else newest.step + run.max_steps,
        step=100,
        key=f"runs_more.{run.id}",
        help="Raise it to train longer than planned. The schedule of the learning rate is stretched to it.",
    )
    resume_button(service, run, {} if steps == run.max_steps else {_STEPS: steps}, disabled=busy)


def _resume_caption(run: RunRecord, newest: CheckpointRecord) -> str:
    lost = run.step - newest.step
    text = f"From step {newest.step:,}."
    return f"{text} The {lost:,} steps after it are made again." if lost > 0 else text


def _fork(service: TrainingService, run: RunRecord, saved: Sequence[CheckpointRecord], busy: bool) -> None:
    start, called = st.columns(2)
    by_step = {checkpoint.step: checkpoint for checkpoint in reversed(saved)}
    best = next((place for place, checkpoint in enumerate(by_step.values()) if checkpoint.best), 0)
    step = start.selectbox(
        "From step",
        list(by_step),
        index=best,
        format_func=lambda step: f"{step:,}{' (best)' if by_step[step].best else ''}",
        key=f"runs_fork_step.{run.id}",
        help="The checkpoint whose weights the new run begins with.",
    )
    name = called.text_input(
        "Name of the new run",
        f"{run.name or run.id[-6:]}, forked"[:MOST_NAME],
        max_chars=MOST_NAME,
        key=f"runs_fork_name.{run.id}",
        help="For people; need not be unique.",
    )
    names = st.multiselect(
        "Change",
        FORKABLE,
        default=_USUAL_CHANGES,
        format_func=lambda name: f"{group_label(name.partition('.')[0])}: {FIELDS[name].title}",
        key=f"runs_fork_names.{run.id}",
        help="Settings to change; all others stay as they were at that step. What decides the shape of the "
        "weights cannot change.",
    )
    base = checkpoint_settings(by_step[step].path)
    form = Form(f"runs_fork.{run.id}.{step}", base)
    columns = st.columns(3)
    for place, changed in enumerate(names):
        with columns[place % 3]:
            form.fields([changed])
    changes = {name: new for name, (_, new) in differences(base, form.checked()).items()}
    listed = [f"{field_label(name)} {get_value(base, name)} → {new}" for name, new in changes.items()]
    st.caption(f"Changes: {', '.join(listed)}." if listed else "Nothing is changed yet.")
    pressed = st.button(
        "Fork",
        key=f"runs_fork_button.{run.id}",
        type="primary",
        disabled=busy or bool(form.problems),
        help="Begin the new run now.",
    )
    if pressed and not form.problems:
        order(lambda: service.fork_run(run.id, step, changes, name=name))
        st.rerun()


# Checkpoints.


def checkpoints(service: TrainingService, run: RunRecord) -> None:
    """The checkpoints of a run: take them away, or look into them."""
    saved = sorted(service.store.checkpoints(run.id), key=lambda checkpoint: -checkpoint.step)
    if not saved:
        st.info("This run has no checkpoint. One is written on Stop, and as often as the settings say.")
        return
    head = ("Step", "", "Size", "Written", "", "", "")
    with st.container(width=920):
        for column, text in zip(st.columns(_SIZES), head, strict=True):
            column.caption(text)
        for checkpoint in saved[:_MOST_CHECKPOINTS]:
            _checkpoint(run, checkpoint)
    if len(saved) > _MOST_CHECKPOINTS:
        st.caption(f"The newest {_MOST_CHECKPOINTS} of {len(saved)} checkpoints.")


def _checkpoint(run: RunRecord, checkpoint: CheckpointRecord) -> None:
    step, best, size, written, download, probe, lattice = st.columns(_SIZES, vertical_alignment="center")
    step.markdown(f"{checkpoint.step:,}")
    best.markdown("**best**" if checkpoint.best else "")
    size.markdown(f"{checkpoint.bytes / 1e6:.1f} MB")
    written.markdown(time.strftime("%Y-%m-%d %H:%M", time.localtime(checkpoint.created)))
    download.link_button(
        "Download",
        checkpoint_url(run.id, checkpoint.step),
        key=f"runs_download.{checkpoint.step}",
        help="Weights, optimizer, settings and random states as one zip file of safetensors and JSON.",
        width="stretch",
    )
    where = {"run": run.id, "step": str(checkpoint.step)}
    probe.page_link(
        PAGES / "probe.py",
        label="Probe it",
        icon="🔬",
        help="Send sentences through the cube as it was at this step.",
        query_params=where,
    )
    lattice.page_link(
        PAGES / "lattice.py",
        label="See it in 3D",
        icon="🧊",
        help="Look into the cube as it was at this step.",
        query_params=where,
    )


# Taking away.


def export(service: TrainingService, chosen: Sequence[RunRecord]) -> None:
    """Curves, settings and reports as files."""
    curves, whole = st.columns(2, gap="large")
    with curves:
        st.subheader("Of all selected runs")
        for form, words in (("wide", "one column per metric"), ("long", "one row per value")):
            st.download_button(
                f"Curves as CSV, {words}",
                _csv(service, [run.id for run in chosen], form),
                f"curves-{form}.csv",
                "text/csv",
                key=f"runs_csv_{form}",
                on_click="ignore",
                help="Every logged step of training and validation, not thinned.",
                width="stretch",
            )
        st.caption("The overlaid curves as SVG or PNG are below the curves themselves.")
    with whole:
        st.subheader("Of each run")
        for run in chosen:
            _export_one(service, run)


def _csv(service: TrainingService, ids: Sequence[str], form: Any) -> Callable[[], str]:
    return lambda: curves_csv({run_id: service.store.metrics(run_id) for run_id in ids}, form)


def _export_one(service: TrainingService, run: RunRecord) -> None:
    st.markdown(f"**{run_label(run)}**")
    with st.container(horizontal=True):
        st.link_button(
            "The whole run",
            run_url(run.id),
            key=f"runs_whole.{run.id}",
            help="Settings, curves, changes, checkpoints and frames as one zip file, streamed.",
        )
        st.download_button(
            "Settings as TOML",
            lambda: to_toml(Settings(**run.settings)),
            f"{run.id}.toml",
            "text/plain",
            key=f"runs_toml.{run.id}",
            on_click="ignore",
            help="For: cellnet train --config FILE, or the form on the Train page.",
        )
        pressed = st.button(
            "Write an HTML report",
            key=f"runs_write_report.{run.id}",
            help="Curves, figures, tiers, a picture of the cube and all settings in one file that opens "
            "without a server and without the network.",
        )
    if pressed:
        with st.spinner("Carrying a sentence through the cube and writing the report"):
            _report(service, run)


def _report(service: TrainingService, run: RunRecord) -> None:
    """Write the report. Its picture needs the teacher and a checkpoint; it is refused without them."""
    shelf = get_lab().shelf
    try:
        embedding = shelf.embed(shelf.get(run.id), (SENTENCE,))
        report = html_report(service.store, run.id, Probe(SENTENCE, embedding))
    except CellnetError as error:
        st.error(f"No report: {error}")
        return
    st.download_button(
        f"Save the report ({len(report) / 1e6:.1f} MB)",
        report,
        f"{run.id}.html",
        "text/html",
        key=f"runs_report.{run.id}",
        type="primary",
        on_click="ignore",
        help="It is written anew each time, with what the run has by then.",
    )
