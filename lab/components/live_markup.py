"""Words and figures that keep themselves up to date, and run their part of the page when it must change."""

from collections.abc import Callable

import streamlit as st

from lab.assets import loader
from lab.components.feeds import FEEDS, Feed
from lab.components.payload import pack

_component = st.components.v2.component("cellnet_live_markup", js=loader("markup.js"), isolate_styles=False)


def live_markup(make: Callable[[], tuple[str, str]], *, key: str) -> None:
    """Show markup, and once a second what it has become.

    Args:
        make: returns the markup, and a name of what the rest of the fragment was drawn from: once that
            differs, the fragment is run. Called outside of any script run: it must not use the session.
        key: identity of the element.
    """
    feed = FEEDS.set(key, Feed(lambda: " ".join(make()), lambda _: _message(make)))
    _component(key=key, data=_message(make, feed), on_changed_change=_nothing)


def _message(make: Callable[[], tuple[str, str]], feed: dict[str, str] | None = None) -> bytes:
    markup, drawn_from = make()
    return pack({"markup": markup, "drawnFrom": drawn_from, "feed": feed}, {})


def _nothing() -> None:
    """Streamlit keeps a trigger only if it has a callback."""
