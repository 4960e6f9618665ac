"""Evaluate: how good a student is, next to its teacher, PCA and an MLP of equal size."""

import streamlit as st

from lab.figures.inline import STYLE
from lab.server import get_lab
from lab.views.evaluate.page import ask
from lab.widgets.student import choose_student

st.html(STYLE)
lab = get_lab()
student = choose_student(lab.service, lab.shelf, "evaluate")
if student is None:
    st.stop()
ask(lab.service, lab.works, student)
