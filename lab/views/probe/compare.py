"""Two sentences side by side: how alike they are to the teacher, and where in the cube they differ."""

from __future__ import annotations

import streamlit as st

from lab.components.chart import chart
from lab.figures.markup import facts_line, quote_markup
from lab.figures.probe.cells import decades, depth_figure, difference, own_part
from lab.figures.probe.compare import cosines, matrices_figure, pair_panels, state_cosines, states_figure
from lab.figures.probe.panels import lines_figure
from lab.figures.probe.sentence import surfaces_figure
from lab.views.probe.page import (
    Subject,
    choose_log,
    choose_number,
    choose_step,
    choose_view,
    cube_key,
    values_cube,
)
from lab.widgets.scrub import publish_cell, take_cell_from_clicks, take_cell_from_link
from lab.widgets.source import CELL


def compare(subject: Subject) -> None:
    """Choose two sentences and see what tells them apart."""
    count = len(subject.texts)
    if count < 2:
        st.info("Add a second sentence above, one per line, to compare two.")
        return
    columns = st.columns(2, gap="large")
    rows = []
    for column, name, default in zip(columns, ("First", "Second"), (1, 2), strict=True):
        with column:
            rows.append(choose_number(name, count, default, f"probe_{name.lower()}"))
            st.html(quote_markup(subject.texts[rows[-1]]))
    first, second = rows
    if first == second:
        st.info("These are the same sentence; choose two different ones.")
        return
    states = state_cosines(subject.inspection.states, subject.reference)
    teacher, student = cosines(subject.inspection.teacher), cosines(subject.inspection.readouts[:, -1])
    st.html(
        facts_line(
            {
                "cosine to the teacher": f"{teacher[first, second]:.4f}",
                "to the student": f"{student[first, second]:.4f}",
                "in the cube, entering": f"{states[0, first, second]:.4f}",
                "in the cube, at the end": f"{states[-1, first, second]:.4f}",
            }
        )
    )
    _charts(subject, first, second)
    where(subject, first, second)
    if count > 2:
        st.markdown("**All sentences**, pair by pair: cosines")
        matrices = {"teacher": teacher, "student": student, "in the cube, at the end": states[-1]}
        chart(
            matrices_figure(matrices),
            key="probe_matrices",
            label="Cosines of all sentences, pair by pair",
        )


def _charts(subject: Subject, first: int, second: int) -> None:
    inspection = subject.inspection
    wide, narrow = st.columns([4, 5], gap="medium")
    with wide:
        st.markdown("**How alike**, step by step")
        states = state_cosines(inspection.states[[first, second]], subject.reference)
        panels = pair_panels(inspection, states, first, second)
        chart(
            lines_figure(panels, height=240),
            key="probe_pair",
            label="How alike the two sentences are, step by step",
        )
    with narrow:
        st.markdown("**Surface**, the codes of the two")
        one, other = inspection.surface_in[first], inspection.surface_in[second]
        surfaces = {"first": one, "second": other, "second - first": other - one}
        chart(
            surfaces_figure(surfaces, subject.dark, height=215),
            key="probe_codes",
            label="Surface codes of the two sentences and their difference",
        )


@st.fragment
def where(subject: Subject, first: int, second: int) -> None:
    """Draw the cubes of two sentences and of their distance, on one camera."""
    states, dimensions = subject.inspection.states, subject.inspection.dimensions
    apart = difference(states[first], states[second], dimensions, "distance of the two (rms)")
    parts = {
        "First: own part": own_part(states[first], subject.reference, dimensions),
        "Second: own part": own_part(states[second], subject.reference, dimensions),
        "Where they differ": apart,
    }
    st.markdown("**Where in the cube**")
    log_place, view_place, step_place = st.columns([1, 2, 3], vertical_alignment="bottom", gap="medium")
    with log_place:
        log = choose_log("probe_pair_log")
    with view_place:
        view = choose_view("probe_pair_view")
    with step_place:
        at = choose_step(apart, "probe_pair_at")
    farthest = int(apart[at].values.argmax())
    keys = {title: f"probe_pair_{title.split(':')[0].split()[0].lower()}" for title in parts}
    take_cell_from_link(len(apart[at].values))
    take_cell_from_clicks([cube_key(key, view) for key in keys.values()])
    cell = farthest if CELL.value is None else CELL.value
    publish_cell()
    stream = f"{subject.texts[first]}/{subject.texts[second]}"
    for column, (title, shown) in zip(st.columns(3, gap="small"), parts.items(), strict=True):
        with column:
            st.caption(title)
            values_cube(
                subject,
                decades(shown) if log else shown,
                at,
                view,
                key=keys[title],
                stream=stream,
                height=340,
                selected=cell,
            )
    by_depth, states_of_cell = st.columns([2, 3], gap="medium")
    with by_depth:
        st.caption("Distance by depth below the surface")
        chart(
            depth_figure(apart, subject.depths, log=log, height=230),
            key="probe_apart",
            label="Distance of the two by depth below the surface and lattice step",
        )
    with states_of_cell:
        x, y, z = _position(cell, dimensions)
        what = "where they differ most; click another in a cube" if CELL.value is None else "chosen"
        st.caption(f"States of cell ({x}, {y}, {z}) after {at} lattice steps: {what}")
        pair = {"first": states[first, at, cell], "second": states[second, at, cell]}
        chart(states_figure(pair), key="probe_cell", label="States of the cell, channel by channel")


def _position(cell: int, dimensions: tuple[int, int, int]) -> tuple[int, int, int]:
    _, y, z = dimensions
    return cell // (y * z), cell // z % y, cell % z
