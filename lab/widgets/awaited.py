"""Work beside the pages, shown by a fragment that runs again once there is a result."""

from collections.abc import Callable, Hashable
from typing import TypeVar

from lab.components import run_when_newer
from lab.work.jobs import JOBS, Answer

Value = TypeVar("Value")


def awaited(key: Hashable, version: Hashable, work: Callable[[], Value], *, name: str) -> Answer[Value]:
    """What is known of some work (see `Jobs.newest`); the fragment runs again when more is known.

    Args:
        key, version, work: see `Jobs.newest`.
        name: of the place on the page.
    """
    run_when_newer(lambda: JOBS.state(key, version, work), key=name)
    return JOBS.newest(key, version, work)
