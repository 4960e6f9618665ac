"""Work beside the pages, shown by a fragment that runs again once there is a result."""

from collections.abc import Callable, Hashable
from typing import TypeVar

from lab.components import run_when_newer
from lab.server import get_lab
from lab.work.work import Answer, Work

Value = TypeVar("Value")


def awaited(key: Hashable, version: Hashable, run: Callable[[], Value], *, name: str) -> Answer[Value]:
    """Return what is known of some work (see `Works.follow`); the fragment runs again when more is known.

    Args:
        key, version, run: see `Work`.
        name: of the place on the page.
    """
    works, work = get_lab().works, Work(key, version, lambda _: run())
    run_when_newer(lambda: works.state(work), key=name)
    return works.follow(work)
