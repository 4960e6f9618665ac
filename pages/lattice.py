"""Lattice: the cube from inside, live and from any step that was kept; two of them; one cell in detail."""

import streamlit as st

from lab.figures.inline import STYLE
from lab.server import get_lab
from lab.views.lattice.page import choose_source, lattice

pictures = get_lab().pictures


@st.fragment
def page() -> None:
    """All of it, so that the frame around the page stays as it is when something is pressed."""
    st.html(STYLE)
    source, beside = choose_source(pictures)
    lattice(pictures, source, beside)


page()
