"""Routing: who listens to which expert, where in the cube, in which step, and what each expert is worth."""

import streamlit as st

from lab.figures.inline import STYLE
from lab.server import get_lab
from lab.views.routing.experts import experts
from lab.views.routing.page import choose_source, cubes, gates, over_training
from lab.widgets.region import choose_region
from lab.widgets.source import settings_to_see

pictures = get_lab().pictures


@st.fragment
def page() -> None:
    """All of it, so that the frame around the page stays as it is when something is pressed."""
    st.html(STYLE)
    source = choose_source(pictures)
    settings = settings_to_see(pictures, source)
    if settings is None:
        return
    region = choose_region(settings)
    cubes(pictures, source, region)
    gates(pictures, source, region)
    over_training(pictures, source)
    experts(pictures, source)


page()
