"""The choice of a student to look into: the one that trains, or a checkpoint of any run."""

from __future__ import annotations

from html import escape
from typing import Final

import streamlit as st

from cellnet.errors import CellnetError, RunError
from lab.figures.runs import run_label
from lab.students import LIVE, Student, StudentShelf
from lab.training import TrainingService
from lab.views.choice import Choice

RUN: Final = "run"
STEP: Final = "step"
"""Names in the address of every page that shows a student, so that one can link to it."""
_LINE: Final = "display: flex; flex-wrap: wrap; gap: .2rem 1.6rem; font-variant-numeric: tabular-nums"


def choose_student(service: TrainingService, shelf: StudentShelf, page: str) -> Student | None:
    """Draw the choice of run and checkpoint and return the student; None after saying what is wrong.

    The live student is a copy that stays as it is until the reader asks for a newer one.

    Args:
        service: the training, and the store of all runs.
        shelf: gives the students.
        page: what the keys of the widgets begin with.
    """
    run_place, step_place, facts = st.columns([4, 2, 7], vertical_alignment="bottom")
    with run_place:
        run = _choose_run(service, page)
    if run is None:
        st.info("There is no student yet. Start a training above, or choose a run.")
        return None
    try:
        with step_place:
            if run == LIVE:
                student = _live_student(service, shelf, page)
            else:
                step = _choose_step(service, run, page)
                if step is None:
                    return None
                student = shelf.get(run, step)
    except CellnetError as error:
        st.error(str(error))
        return None
    facts.html(student_markup(student))
    return student


def student_markup(student: Student) -> str:
    """What the student is, in one line."""
    settings = student.model.settings
    size = " x ".join(map(str, settings.lattice.dimensions))
    facts = {
        "training step": f"{student.step:,}",
        "cube": size,
        "lattice steps": str(settings.model.steps),
        "teacher": f"{settings.embedding.teacher}, {settings.embedding.teacher_width}-D",
    }
    return facts_line(facts)


def facts_line(facts: dict[str, str]) -> str:
    """Names and values in one line; both are text."""
    spans = "".join(
        f'<span class="lab-fact"><small>{escape(name)}</small>{escape(value)}</span>'
        for name, value in facts.items()
    )
    return f'<div style="{_LINE}">{spans}</div>'


def _choose_run(service: TrainingService, page: str) -> str | None:
    runs = {run.id: run for run in service.store.list()}
    options, choice = [LIVE, *runs], Choice(f"{page}_run")
    asked = st.query_params.get(RUN)
    if asked is not None and asked != choice.value:
        choice.set(_find_run(service, asked, options))
    elif choice.value not in options:
        st.query_params.pop(RUN, None)
        choice.set(LIVE if service.snapshot().run_id or not runs else options[1])
    chosen: str | None = st.selectbox(
        "Student",
        options,
        index=None if choice.value is None else options.index(choice.value),
        key=choice.key,
        format_func=lambda run: "the training of this lab" if run == LIVE else run_label(runs[run]),
        on_change=_remember_run,
        args=(choice,),
        placeholder="choose a run",
        help="The student that trains (or trained last) in this lab, or one from a stored run.",
    )
    return chosen


def _find_run(service: TrainingService, asked: str, options: list[str]) -> str | None:
    """The run that an address names; None after saying that there is none."""
    if asked in options:
        return asked
    try:
        return service.store.get(asked).id
    except RunError as error:
        st.error(str(error))
        return None


def _remember_run(choice: Choice) -> None:
    st.query_params[RUN] = choice.value
    st.query_params.pop(STEP, None)


def _choose_step(service: TrainingService, run: str, page: str) -> int | None:
    saved = {checkpoint.step: checkpoint for checkpoint in reversed(service.store.checkpoints(run))}
    if not saved:
        st.error("This run has no checkpoint to look into; choose another.")
        return None
    choice, asked = Choice(f"{page}_step.{run}"), st.query_params.get(STEP)
    if asked is not None and asked != str(choice.value):
        choice.set({str(step): step for step in saved}.get(asked))
        if choice.value is None:
            st.error(f"The run has no checkpoint of step {asked}; choose one.")
    elif choice.value not in saved:
        choice.set(next((step for step, checkpoint in saved.items() if checkpoint.best), max(saved)))
    chosen: int | None = st.selectbox(
        "Checkpoint",
        list(saved),
        index=None if choice.value is None else list(saved).index(choice.value),
        key=choice.key,
        format_func=lambda step: f"step {step:,}{' (best)' if saved[step].best else ''}",
        on_change=_remember_step,
        args=(choice,),
        placeholder="choose a step",
        help="By default the best on held-out sentences.",
    )
    return chosen


def _remember_step(choice: Choice) -> None:
    st.query_params[STEP] = str(choice.value)


def _live_student(service: TrainingService, shelf: StudentShelf, page: str) -> Student:
    key = f"{page}_live"
    st.button(
        "Refresh",
        key=f"{page}_refresh",
        on_click=lambda: st.session_state.pop(key, None),
        help="Copy the student again as it is now. Until then you look at the same training step.",
        width="stretch",
    )
    held: Student | None = st.session_state.get(key)
    if held is None or service.snapshot().run_id not in (None, held.run):
        held = st.session_state[key] = shelf.get(LIVE)
    return held
