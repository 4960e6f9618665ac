"""Priorities of threads: pages first, then work that takes minutes or hours."""

from __future__ import annotations

import os
import sys
from typing import Final

PRIORITY_VARIABLE: Final = "CELLNET_PRIORITY"
_IDLE, _NORMAL = "idle", "normal"
_STEP_BACK: Final = 10
"""Levels of niceness. Linux then weighs the thread about a tenth as much as one of a page."""


def work_behind_pages(device: str = "cpu") -> None:
    """Let the calling thread, and those that it will start, compute while no page wants to.

    A page and its browser have little to compute, many times in a row, and a person waits for them. Linux
    gives them a processor at once where a thread runs that takes only what nobody else wants, whereas one
    that is merely nicer keeps it for a moment each time. Elsewhere, and where ``CELLNET_PRIORITY`` is
    ``normal``, nothing changes.

    Args:
        device: what does the work. Where it is not the processor, the thread is only nicer: it has little
            to do itself, and the device must not wait for it.
    """
    if wanted_priority() == _NORMAL or sys.platform != "linux":
        return
    if device == "cpu":
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    else:
        os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0) + _STEP_BACK)


def wanted_priority() -> str:
    """``idle``, or what ``CELLNET_PRIORITY`` says.

    Raises:
        RuntimeError: if that is no priority.
    """
    requested = os.environ.get(PRIORITY_VARIABLE) or _IDLE
    if requested not in (_IDLE, _NORMAL):
        raise RuntimeError(f"{PRIORITY_VARIABLE} is {requested!r}: set it to '{_IDLE}' or '{_NORMAL}'")
    return requested
