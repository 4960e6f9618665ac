"""A value that people change with a widget, and that the page changes as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import streamlit as st


@dataclass(frozen=True)
class Choice:
    """One value of a session, such as the cell that was typed, or clicked, or named by a link.

    What the page sets is never written into the widget, whose browser may miss it and send the old value
    back (see `lab.widgets.forms.Form`): another widget takes its place, with the value to start with.

    Args:
        name: identity of the value; its widgets are keyed by it and a number.
    """

    name: str

    @property
    def key(self) -> str:
        """Key for the widget, which is to start with `value`."""
        return f"{self.name}.{self._kept.generation}"

    @property
    def value(self) -> Any:
        """The value of the widget, or the one set since; None before either."""
        kept = self._kept
        kept.value = st.session_state.get(self.key, kept.value)
        return kept.value

    def set(self, value: Any) -> None:
        """Choose a value, before the widget is drawn."""
        if value != self.value:
            self._kept.value = value
            self._kept.generation += 1

    @property
    def _kept(self) -> _Kept:
        kept: _Kept = st.session_state.setdefault(f"{self.name}{_SLOT}", _Kept())
        return kept


@dataclass
class _Kept:
    value: Any = None
    generation: int = 0


_SLOT: Final = ".choice"
