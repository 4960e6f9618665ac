"""Values that a page shows in its address, so that a link shows a colleague the same view."""

from __future__ import annotations

import re
from typing import Final

import streamlit as st

_NUMBER: Final = re.compile(r"-?\d{1,11}(\.\d{1,11})?")


def arrived(name: str) -> str | None:
    """Return the value that a link put under ``name``; None if this session wrote it there itself."""
    seen = st.query_params.get(name)
    if seen is None or seen == st.session_state.get(_slot(name)):
        return None
    st.session_state[_slot(name)] = seen
    return seen


def publish(name: str, value: str | None) -> None:
    """Show a value in the address; None takes it out."""
    st.session_state[_slot(name)] = value
    if value is None:
        if name in st.query_params:
            del st.query_params[name]
    elif st.query_params.get(name) != value:
        st.query_params[name] = value


def whole_number(text: str | None) -> int | None:
    """A number in an address, or None if it is none."""
    return int(text) if text is not None and text.isdecimal() and len(text) < 12 else None


def number(text: str | None) -> float | None:
    """A decimal number in an address, or None if it is none."""
    return float(text) if text is not None and _NUMBER.fullmatch(text) else None


def _slot(name: str) -> str:
    return f"address.{name}"
