"""Who computes first: the rank that threads get on Linux."""

import os
import threading
from collections.abc import Callable

import pytest

from lab.work.priority import PRIORITY_VARIABLE, wanted_priority, work_behind_pages


def rank_of_thread(begin: Callable[[], None]) -> tuple[int, int]:
    """Policy and niceness of a new thread that calls this first."""
    seen: list[tuple[int, int]] = []

    def run() -> None:
        begin()
        seen.append((os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return seen[0]


def test_work_on_the_processor_takes_what_nobody_wants() -> None:
    policy, _ = rank_of_thread(work_behind_pages)
    assert policy == os.SCHED_IDLE


def test_what_feeds_another_device_is_only_nicer() -> None:
    policy, niceness = rank_of_thread(lambda: work_behind_pages("cuda:0"))
    assert policy == os.sched_getscheduler(0)
    assert niceness == os.getpriority(os.PRIO_PROCESS, 0) + 10


def test_nothing_changes_where_that_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PRIORITY_VARIABLE, "normal")
    before = (os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0))
    assert rank_of_thread(work_behind_pages) == before


def test_another_priority_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PRIORITY_VARIABLE, "highest")
    with pytest.raises(RuntimeError, match="'highest': set it to 'idle' or 'normal'"):
        wanted_priority()
