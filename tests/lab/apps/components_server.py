"""Serves the demonstration of the live components the way the lab is served, by st.App with its routes."""

from pathlib import Path

import streamlit as st

from lab.assets import asset_routes
from lab.routes import news_routes

app = st.App(Path(__file__).with_name("components_demo.py"), routes=[*asset_routes(), *news_routes()])
