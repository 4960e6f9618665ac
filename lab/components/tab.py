"""Tells the tabs of browsers apart."""

from uuid import uuid4

import streamlit as st


def tab() -> str:
    """Return the name of the tab whose page is being drawn; only its own pages learn it."""
    return str(st.session_state.setdefault("tab", uuid4().hex))
