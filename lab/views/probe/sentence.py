"""One sentence on its way: embedding, surface, cube, steps, and what it is nearest to."""

from __future__ import annotations

from typing import Final, Literal

import streamlit as st

from cellnet.errors import DataError
from lab.components.chart import chart
from lab.figures.probe import (
    CellValues,
    activity,
    change,
    decades,
    depth_figure,
    explained_share,
    lines_figure,
    own_part,
    scatter_figure,
    step_panels,
    strips_figure,
    surfaces_figure,
)
from lab.views.probe.page import (
    KEPT,
    Asked,
    choose_log,
    choose_number,
    choose_step,
    choose_view,
    nearest,
    need_sentences,
    neighbors_markup,
    quote,
    values_cube,
)
from lab.views.probe.text import back_to_text
from lab.widgets.student import facts_line

Measure = Literal["own", "change", "activity"]
_MEASURES: Final[dict[Measure, str]] = {"own": "Own part", "change": "Change", "activity": "Activity"}


def sentence(asked: Asked) -> None:
    """All that the student does with one sentence."""
    number, facts = st.columns([3, 7], vertical_alignment="bottom")
    with number:
        row = choose_number("Sentence", len(asked.texts), 1, "probe_sentence")
    with facts:
        st.html(quote(asked.texts[row]) + facts_line(_facts(asked, row)))
    _embedding(asked, row)
    travel(asked, row)
    back_to_text(asked, row)
    nearest_sentences(asked, row)


def _facts(asked: Asked, row: int) -> dict[str, str]:
    found = asked.inspection
    shares = explained_share(found.teacher[row], found.readouts[row], asked.mean)
    cosine = found.cosine[row]
    return {
        "cosine with the teacher": f"{cosine[0]:.3f} entering → {cosine[-1]:.3f} read out",
        "explained share": f"{shares[0]:.1%} → {shares[-1]:.1%}",
    }


def _embedding(asked: Asked, row: int) -> None:
    found = asked.inspection
    teacher, answer = found.teacher[row], found.readouts[row, -1]
    code, read = found.surface_in[row], found.surface_out[row, ..., 0]
    st.markdown("**Embedding**, of the teacher and of the student")
    chart(
        strips_figure(teacher, answer, asked.dark),
        key="probe_strips",
        label="Embedding of the teacher and of the student, number by number",
    )
    wide, narrow = st.columns([7, 3], gap="medium")
    with wide:
        st.markdown("**Surface**, the code that goes in and channel 0 of what comes out")
        surfaces = {"in": code, "out": read, "out - in": read - code}
        chart(
            surfaces_figure(surfaces, asked.dark),
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
def travel(asked: Asked, row: int) -> None:
    """How the state travels from the surface into the cube: by depth, in 3D, and step by step."""
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
    shown = _shown(asked, row, measure)
    with log_place:
        log = choose_log("probe_log")
    with view_place:
        view = choose_view("probe_view")
    with step_place:
        at = choose_step(shown, "probe_step_at")
    charts, cube = st.columns([4, 5], gap="medium")
    with charts:
        chart(
            depth_figure(shown, asked.depths, log=log, height=230),
            key="probe_depths",
            label=f"By depth below the surface and lattice step: {shown.label}",
        )
        chart(
            lines_figure(step_panels(asked.inspection, row), height=230),
            key="probe_steps",
            label="Step by step: cosine with the teacher, and change",
        )
    with cube:
        colored = decades(shown) if log else shown
        values_cube(asked, colored, at, view, key="probe_cube", stream=asked.texts[row], height=460)


def _shown(asked: Asked, row: int, measure: Measure) -> CellValues:
    states = asked.inspection.states[row]
    match measure:
        case "own":
            return own_part(states, asked.reference)
        case "change":
            return change(states)
        case "activity":
            return activity(states)


def nearest_sentences(asked: Asked, row: int) -> None:
    """What is nearest to the teacher's embedding, and what to the student's."""
    st.markdown("**Nearest sentences** of the data")
    if not asked.student.texts:
        need_sentences(asked.shelf, asked.student, "nearest", "They are found among the data of the run.")
        return
    found = asked.inspection
    try:
        teacher, student = nearest(asked.student, [found.teacher[row], found.readouts[row, -1]])
    except DataError as error:
        st.error(str(error))
        return
    shared = sum(neighbor.other_rank is not None for neighbor in teacher)
    st.caption(
        f"{shared} of {len(teacher)} are near both (marked, with their rank there), among "
        f"{len(asked.student.texts):,} sentences. The sentence itself would be bold."
    )
    left, right = st.columns(2, gap="large")
    left.html(neighbors_markup("to the teacher's embedding", teacher, asked.texts[row]))
    right.html(neighbors_markup("to the student's reconstruction", student, asked.texts[row]))
