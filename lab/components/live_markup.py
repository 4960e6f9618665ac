"""Words and figures that keep themselves up to date, and run their part of the page when it must change."""

import time
from collections.abc import Callable
from typing import Any

import streamlit as st

from lab.assets import loader
from lab.components.feeds import FEEDS, Feed
from lab.components.payload import pack
from lab.components.reports import REPORTS

_component = st.components.v2.component("cellnet_live_markup", js=loader("markup.js"), isolate_styles=False)


def live_markup(make: Callable[[], tuple[str, str]], *, key: str) -> None:
    """Show markup, and once a second what it has become.

    Args:
        make: returns the markup, and a name of what the rest of the fragment was drawn from: while that
            differs, the fragment is run about once a second. Called outside of any script run: it must not
            use the session.
        key: identity of the element.
    """
    feed = FEEDS.set(key, Feed(lambda: " ".join(make()), lambda _: _message(make)))
    report = REPORTS.expect(key, {"changed": lambda name: isinstance(name, str)})
    _component(key=key, data=_message(make, feed=feed, report=report))


def run_when_newer(version: Callable[[], str], *, key: str, pause: float = 0.0) -> None:
    """Run this fragment again once it would draw something else, and only while its page is looked at.

    Call it before anything is read that the version names: what changes in between is then drawn twice
    rather than never.

    Args:
        version: names what the fragment draws now; see `live_markup` for what it may use.
        key: identity of the element, which is not seen.
        pause: seconds to leave between two runs, for what is worth less than one a second.
    """
    drawn, due = version(), time.monotonic() + pause
    live_markup(lambda: ("", version() if time.monotonic() >= due else drawn), key=f"newer-{key}")


def _message(make: Callable[[], tuple[str, str]], **wiring: Any) -> bytes:
    markup, drawn_from = make()
    return pack({"markup": markup, "drawnFrom": drawn_from, **wiring}, {})
