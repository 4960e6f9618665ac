"""Tells the tabs of browsers apart."""

from uuid import uuid4

import streamlit as st


def tab() -> str:
    """Name of the tab whose page is being drawn."""
    return str(st.session_state.setdefault("tab", uuid4().hex))
