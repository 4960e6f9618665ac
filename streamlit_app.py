"""The lab. Start it with ``streamlit run streamlit_app.py``."""

import os
from pathlib import Path

# The training shares the processors with the server and often with the browser. By default idle threads of
# PyTorch spin, and then a step takes up to ten times as long; this must be set before PyTorch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import streamlit as st

from lab.assets import asset_routes
from lab.routes import download_routes, news_routes
from lab.server import lifespan

app = st.App(
    Path(__file__).parent / "lab" / "main.py",
    lifespan=lifespan,
    routes=[*asset_routes(), *download_routes(), *news_routes()],
)
