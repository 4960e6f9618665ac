"""Who computes first where all want to: the pages, then work that takes minutes or hours."""

from __future__ import annotations

import os
import sys
from typing import Final

_STEP_BACK: Final = 10
"""Levels of niceness. Linux then weighs the thread about a tenth as much as one of a page."""


def work_behind_pages() -> None:
    """Let the calling thread, and those that it will start, compute while no page wants to.

    A page has little to compute and a person waits for it; a training takes all there is, and loses no more
    to the pages than their work. Only Linux ranks the threads of a process; elsewhere nothing changes.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0) + _STEP_BACK)
