"""News for open pages, which ask once a second, without a run of their script.

A run of a fragment costs the browser more than drawing what it sends, because Streamlit renders its page
anew several times for each. So a part of a page that only shows other values is drawn by Streamlit once,
and then fed by :class:`Feeds`: the browser asks for all parts of the page at once, draws them in one frame,
and asks for nothing while the page is hidden.
"""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from lab.components.payload import pack
from lab.components.tab import tab
from lab.recent import Recent

_KEPT: Final = 1000
"""Feeds that are kept; those of tabs that were closed are forgotten in time."""


@dataclass(frozen=True)
class Feed:
    """The contents of one part of one page.

    Both functions are called outside of any script run, and must not use the session.

    Attributes:
        version: names what `message` would return; equal names mean that nothing changed.
        message: what the component is sent; it takes the names of what the browser holds already.
    """

    version: Callable[[], str]
    message: Callable[[str], bytes]


@dataclass(frozen=True)
class Newer:
    """Changes of a view while nobody touches its page; see `Feed` for what this may use.

    Attributes:
        version: names what is to be seen now.
        shown: arguments of the view that change with it.
    """

    version: Callable[[], str]
    shown: Callable[[], dict[str, Any]]


class Feeds:
    """The feeds of all open pages, by name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._feeds: Recent[str, Feed] = Recent(lambda kept: len(kept) > _KEPT)

    def set(self, key: str, feed: Feed) -> dict[str, str]:
        """Keep the feed of an element of the page being drawn; returns what its component is told."""
        name = f"{tab()}/{key}"
        with self._lock:
            self._feeds.set(name, feed)
        return {"name": name, "version": feed.version()}

    def answer(self, requests: Iterable[tuple[str, str, str]]) -> bytes:
        """The news of some feeds in one message.

        Args:
            requests: name of a feed, version that is shown, and names of what the browser holds.

        Returns:
            the versions by name, and one array of bytes for each feed with news.
        """
        versions: dict[str, str] = {}
        messages = {}
        for name, shown, held in requests:
            with self._lock:
                feed = self._feeds.get(name)
            if feed is None or (version := feed.version()) == shown:
                continue
            versions[name] = version
            messages[name] = np.frombuffer(feed.message(held), np.uint8)
        return pack({"versions": versions}, messages)


FEEDS: Final = Feeds()
