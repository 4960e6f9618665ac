"""Evaluate: how good a student is, next to its teacher, PCA and an MLP of equal size."""

import streamlit as st

from lab.figures.inline import STYLE
from lab.server import get_service, get_shelf
from lab.views.evaluate.page import ask
from lab.widgets.student import choose_student

st.html(STYLE)
service = get_service()
student = choose_student(service, get_shelf(), "evaluate")
if student is None:
    st.stop()
ask(service, student)
