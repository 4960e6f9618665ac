"""The choice of a student to look into: the one that trains, or a checkpoint of any run."""

from __future__ import annotations

from typing import Final

import streamlit as st
from markupsafe import Markup

from cellnet.errors import CellnetError
from lab.components.choice import Choice
from lab.figures.markup import facts_line
from lab.sources.students import LIVE, PATIENCE, Student, StudentShelf
from lab.training import TrainingService
from lab.widgets.address import arrived, publish
from lab.widgets.source import RUN, choose_run

STEP: Final = "step"
"""Name in the address of every page that shows a student, so that one can link to it."""
_GLANCE: Final = 0.2
"""Seconds that a page waits for the batch under way before it shows what there is."""
_RUN_BEFORE: Final = "student_run_before"


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
        run = choose_run(service, RUN, "run", label="Student")
    if run != st.session_state.setdefault(_RUN_BEFORE, run):
        st.session_state[_RUN_BEFORE] = run
        publish(STEP, None)  # it was a step of the other run
    try:
        with step_place:
            if run == LIVE:
                publish(STEP, None)
                student = _live_student(service, shelf, page)
            else:
                step = _choose_step(service, run)
                if step is None:
                    return None
                student = shelf.get(run, step)
    except CellnetError as error:
        st.error(str(error))
        return None
    facts.html(student_markup(student))
    return student


def student_markup(student: Student) -> Markup:
    """Return the facts of a student in one line."""
    settings = student.model.settings
    size = " x ".join(map(str, settings.lattice.dimensions))
    facts = {
        "training step": f"{student.step:,}",
        "cube": size,
        "lattice steps": str(settings.model.steps),
        "teacher": f"{settings.embedding.teacher}, {settings.embedding.teacher_width}-D",
    }
    return facts_line(facts)


def _choose_step(service: TrainingService, run: str) -> int | None:
    saved = {checkpoint.step: checkpoint for checkpoint in reversed(service.store.checkpoints(run))}
    if not saved:
        st.error("This run has no checkpoint to look into; choose another.")
        return None
    choice = Choice(f"checkpoint.{run}")
    if (asked := arrived(STEP)) is not None:
        choice.set({str(step): step for step in saved}.get(asked))
    unknown = choice.value is None and STEP in st.query_params
    if choice.value not in saved and not unknown:
        choice.set(next((step for step, checkpoint in saved.items() if checkpoint.best), max(saved)))
    chosen: int | None = st.selectbox(
        "Checkpoint",
        list(saved),
        index=None if choice.value is None else list(saved).index(choice.value),
        key=choice.key,
        format_func=lambda step: f"step {step:,}{' (best)' if saved[step].best else ''}",
        placeholder="choose a step",
        help="By default the best on held-out sentences.",
    )
    if chosen is None:
        st.error(f"The run has no checkpoint of step {st.query_params[STEP]}; choose one.")
        return None
    publish(STEP, str(chosen))
    return chosen


def _live_student(service: TrainingService, shelf: StudentShelf, page: str) -> Student:
    """The copy that this session looks at.

    Who opens the page waits for no batch that takes long, such as one with a validation, but gets the copy
    of the last validation then; who asks for a newer one waits.
    """
    key = f"{page}_live"
    pressed = st.button(
        "Refresh",
        key=f"{page}_refresh",
        help="Copy the student again as it is now. Until then you look at the same training step.",
        width="stretch",
    )
    held: Student | None = st.session_state.get(key)
    if pressed or held is None or service.snapshot().run_id not in (None, held.run):
        held = st.session_state[key] = shelf.get(LIVE, wait=PATIENCE if pressed else _GLANCE)
    return held
