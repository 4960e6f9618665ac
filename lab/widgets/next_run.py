"""The next run, whose settings several pages choose: what differs, and what it was made to use."""

from collections.abc import Collection, Mapping
from typing import Any

import streamlit as st

from cellnet.errors import SettingsError
from cellnet.settings import Settings, differences, with_changes
from lab.figures.geometry import size_text
from lab.training import TrainingService
from lab.widgets.forms import FIELDS


def differing(before: Settings, wanted: Settings, names: Collection[str]) -> dict[str, Any]:
    """Those of the named settings that differ, as they are wanted."""
    return {name: new for name, (_, new) in differences(before, wanted).items() if name in names}


def use_for_next_run(service: TrainingService, wanted: Mapping[str, Any], page: str) -> None:
    """Let the next run use these settings; the page is drawn anew and says so."""
    try:
        service.draft = with_changes(service.draft, wanted)
    except SettingsError as error:
        st.error(str(error))
        return
    said = ", ".join(
        f"{FIELDS[name].title} {size_text(value) if isinstance(value, tuple) else value}"
        for name, value in wanted.items()
    )
    st.session_state[_slot(page)] = f"The next run uses: {said}. Press Start when you are ready."
    st.rerun()


def say_used(page: str, *, still: bool) -> bool:
    """Say what the next run was made to use, while it still does; returns whether there is such a thing."""
    if not still:
        st.session_state.pop(_slot(page), None)
    if used := st.session_state.get(_slot(page)):
        st.success(used)
    return bool(used)


def _slot(page: str) -> str:
    return f"{page}_used"
