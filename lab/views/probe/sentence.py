"""One sentence on its way: embedding, surface, cube, steps, and what it is nearest to."""

from __future__ import annotations

from typing import Final, Literal

import streamlit as st

from cellnet.errors import DataError
from lab.components.chart import chart
from lab.figures.markup import facts_line, quote_markup
from lab.figures.probe.cells import Fields, activity, change, decades, depth_figure, own_part
from lab.figures.probe.panels import lines_figure
from lab.figures.probe.sentence import (
    explained_share,
    scatter_figure,
    step_panels,
    strips_figure,
    surfaces_figure,
)
from lab.views.probe.page import (
    KEPT,
    Subject,
    choose_log,
    choose_number,
    choose_step,
    choose_view,
    nearest,
    need_sentences,
    neighbors_markup,
    values_cube,
)
from lab.views.probe.text import back_to_text

Measure = Literal["own", "change", "activity"]
_MEASURES: Final[dict[Measure, str]] = {"own": "Own part", "change": "Change", "activity": "Activity"}


def sentence(subject: Subject) -> None:
    """All that the student does with one sentence."""
    number, facts = st.columns([3, 7], vertical_alignment="bottom")
    with number:
        row = choose_number("Sentence", len(subject.texts), 1, "probe_sentence")
    with facts:
        st.html(quote_markup(subject.texts[row]) + facts_line(_facts(subject, row)))
    _embedding(subject, row)
    travel(subject, row)
    back_to_text(subject, row)
    nearest_sentences(subject, row)


def _facts(subject: Subject, row: int) -> dict[str, str]:
    inspection = subject.inspection
    shares = explained_share(inspection.teacher[row], inspection.readouts[row], subject.mean)
    cosine = inspection.cosine[row]
    return {
        "cosine with the teacher": f"{cosine[0]:.3f} entering → {cosine[-1]:.3f} read out",
        "explained share": f"{shares[0]:.1%} → {shares[-1]:.1%}",
    }


def _embedding(subject: Subject, row: int) -> None:
    inspection = subject.inspection
    teacher, answer = inspection.teacher[row], inspection.readouts[row, -1]
    code, read = inspection.surface_in[row], inspection.surface_out[row, ..., 0]
    st.markdown("**Embedding**, of the teacher and of the student")
    chart(
        strips_figure(teacher, answer, subject.dark),
        key="probe_strips",
        label="Embedding of the teacher and of the student, number by number",
    )
    wide, narrow = st.columns([7, 3], gap="medium")
    with wide:
        st.markdown("**Surface**, the code that goes in and channel 0 of what comes out")
        surfaces = {"in": code, "out": read, "out - in": read - code}
        chart(
            surfaces_figure(surfaces, subject.dark),
            key="probe_surfaces",
            label="Surface as it goes in and as it comes out, and their difference",
        )
    with narrow:
        st.markdown("**Dimension by dimension**")
        chart(
            scatter_figure(teacher, answer, height=270),
            key="probe_scatter",
            label="Student over teacher, a point for each dimension",
        )


@st.fragment
def travel(subject: Subject, row: int) -> None:
    """Draw the way of the state from the surface into the cube: by depth, in 3D, and step by step."""
    st.markdown("**Through the cube**, step by step")
    what, log_place, view_place, step_place = st.columns(
        [4, 2, 4, 5], vertical_alignment="bottom", gap="medium"
    )
    measure: Measure = what.segmented_control(
        "Look at",
        list(_MEASURES),
        default="own",
        required=True,
        key="probe_measure",
        format_func=_MEASURES.__getitem__,
        help="Own part: distance of a cell's state to the one it has when the mean of all sentences comes "
        "in. Cells below the surface begin at zero: what they come to know of this sentence, the experts "
        "brought. Change: of the state in each step. Activity: size of the state.",
        **KEPT,
    )
    shown = _shown(subject, row, measure)
    with log_place:
        log = choose_log("probe_log")
    with view_place:
        view = choose_view("probe_view")
    with step_place:
        at = choose_step(shown, "probe_step_at")
    charts, cube = st.columns([4, 5], gap="medium")
    with charts:
        chart(
            depth_figure(shown, subject.depths, log=log, height=230),
            key="probe_depths",
            label=f"By depth below the surface and lattice step: {shown[at].label}",
        )
        chart(
            lines_figure(step_panels(subject.inspection, row), height=230),
            key="probe_steps",
            label="Step by step: cosine with the teacher, and change",
        )
    with cube:
        colored = decades(shown) if log else shown
        values_cube(subject, colored, at, view, key="probe_cube", stream=subject.texts[row], height=460)


def _shown(subject: Subject, row: int, measure: Measure) -> Fields:
    states, dimensions = subject.inspection.states[row], subject.inspection.dimensions
    match measure:
        case "own":
            return own_part(states, subject.reference, dimensions)
        case "change":
            return change(states, dimensions)
        case "activity":
            return activity(states, dimensions)


def nearest_sentences(subject: Subject, row: int) -> None:
    """List the sentences nearest to the teacher's embedding, and those nearest to the student's."""
    st.markdown("**Nearest sentences** of the data")
    if not subject.student.texts:
        need_sentences(
            subject.shelf, subject.student, "nearest", "They are found among the data of the run."
        )
        return
    inspection = subject.inspection
    try:
        teacher, student = nearest(subject.student, [inspection.teacher[row], inspection.readouts[row, -1]])
    except DataError as error:
        st.error(str(error))
        return
    shared = sum(neighbor.other_rank is not None for neighbor in teacher)
    st.caption(
        f"{shared} of {len(teacher)} are near both (marked, with their rank there), among "
        f"{len(subject.student.texts):,} sentences. The sentence itself would be bold."
    )
    left, right = st.columns(2, gap="large")
    left.html(neighbors_markup("to the teacher's embedding", teacher, subject.texts[row]))
    right.html(neighbors_markup("to the student's reconstruction", student, subject.texts[row]))
