"""Navigation and the frame around every page; the theme is in ``.streamlit/config.toml``."""

from pathlib import Path

import streamlit as st

from lab.server import get_lab
from lab.widgets.status import status_bar
from lab.widgets.style import DARK_STYLE, LIGHT_STYLE, STYLE

PAGES = Path(__file__).resolve().parent.parent / "pages"

st.set_page_config(page_title="cellnet lab", page_icon="🧊", layout="wide")
page = st.navigation(
    [
        st.Page(PAGES / "train.py", title="Train", default=True),
        st.Page(PAGES / "geometry.py", title="Geometry"),
        st.Page(PAGES / "lattice.py", title="Lattice"),
        st.Page(PAGES / "routing.py", title="Routing"),
        st.Page(PAGES / "probe.py", title="Probe"),
        st.Page(PAGES / "evaluate.py", title="Evaluate"),
        st.Page(PAGES / "data.py", title="Data"),
        st.Page(PAGES / "runs.py", title="Runs"),
    ],
    position="top",
)
st.html(STYLE + (DARK_STYLE if st.context.theme.type == "dark" else LIGHT_STYLE))
service = get_lab().service
status_bar(service, service.snapshot())
page.run()
