"""Probe: ask the cube, break it, see it heal."""

import streamlit as st

from lab.server import get_lab
from lab.views.probe.compare import compare
from lab.views.probe.intervene import intervene
from lab.views.probe.page import KEPT, ask
from lab.views.probe.sentence import sentence
from lab.widgets.student import choose_student

SECTIONS = {"Sentence": sentence, "Compare": compare, "Intervene": intervene}


@st.fragment
def page() -> None:
    """All of it, so that the frame around the page stays as it is when something is pressed."""
    lab = get_lab()
    student = choose_student(lab.service, lab.shelf, "probe")
    if student is None:
        return
    subject = ask(lab.shelf, student)
    if subject is None:
        return
    section = st.segmented_control(
        "Section",
        list(SECTIONS),
        default="Sentence",
        required=True,
        key="probe_section",
        help="How one sentence travels through the cube and comes out; where in the cube two sentences "
        "differ; and what becomes of one if the cube is damaged, and whether later steps repair it.",
        **KEPT,
    )
    SECTIONS[section](subject)


page()
