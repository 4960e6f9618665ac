"""Navigation and the frame around every page; the theme is in ``.streamlit/config.toml``."""

from pathlib import Path

import streamlit as st

from lab.views.markup import STYLE

PAGES = Path(__file__).resolve().parent.parent / "pages"

st.set_page_config(page_title="cellnet lab", page_icon="🧊", layout="wide")
page = st.navigation(
    [
        st.Page(PAGES / "train.py", title="Train", icon="🧠", default=True),
    ],
    position="top",
)
st.html(STYLE)
page.run()
