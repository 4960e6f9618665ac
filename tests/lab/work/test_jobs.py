"""Work beside the pages: kept by key, done anew for a new version, errors told."""

import os
import threading
import time
from collections.abc import Callable

import pytest

from cellnet.errors import RunError
from lab.work.jobs import MAX_KEPT, Answer, Jobs


def finished(ask: Callable[[], Answer[int]]) -> Answer[int]:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if not (answer := ask()).pending and (answer.error or answer.value is not None):
            return answer
        time.sleep(0.001)
    raise TimeoutError


def test_a_value_is_computed_once_per_version() -> None:
    jobs, calls = Jobs(), []

    def work() -> int:
        calls.append(threading.current_thread().name)
        return len(calls)

    assert finished(lambda: jobs.newest("a", 1, work)) == Answer(1, 1)
    assert jobs.newest("a", 1, work) == Answer(1, 1)
    kept = jobs.newest("a", 2, work)
    assert kept.value == 1
    assert finished(lambda: jobs.newest("a", 2, work) if len(calls) > 1 else kept).value in (1, 2)
    assert all(name.startswith("cellnet-page-work") for name in calls)


def test_errors_are_told_and_defects_are_raised() -> None:
    jobs = Jobs()

    def refuse() -> int:
        raise RunError("no such run")

    def fail() -> int:
        raise KeyError("defect")

    assert finished(lambda: jobs.newest("a", 1, refuse)).error == "no such run"
    with pytest.raises(KeyError, match="defect"):
        finished(lambda: jobs.newest("b", 1, fail))


def test_a_state_changes_with_each_result_and_begins_the_work() -> None:
    jobs, may_end = Jobs(), threading.Event()

    def work() -> int:
        assert may_end.wait(30)
        return 7

    def ended(key: str, version: int) -> Callable[[], Answer[int]]:
        return lambda: Answer(1) if jobs.state(key, version, work) == "1" else Answer()

    assert jobs.state("a", 1, work) == "0"
    assert jobs.newest("a", 1, work).pending
    may_end.set()
    assert finished(ended("a", 1)).value == 1
    assert jobs.newest("a", 1, work) == Answer(7, 1)
    assert jobs.state("a", 1, work) == "1"


def test_a_defect_is_told_by_the_answer_and_not_by_the_state() -> None:
    jobs = Jobs()

    def fail() -> int:
        raise KeyError("defect")

    finished(lambda: Answer(1) if jobs.state("a", 1, fail) == "1" else Answer())
    for _ in range(2):
        with pytest.raises(KeyError, match="defect"):
            jobs.newest("a", 1, fail)
    assert jobs.state("a", 1, fail) == "1"


def test_old_answers_are_forgotten() -> None:
    jobs = Jobs()
    for key in range(MAX_KEPT + 5):
        finished(lambda key=key: jobs.newest(key, 0, lambda: 7))  # type: ignore[misc]
    assert len(jobs._kept) == MAX_KEPT


def test_long_work_computes_behind_the_pages() -> None:
    for behind, policy in ((False, os.sched_getscheduler(0)), (True, os.SCHED_IDLE)):
        jobs = Jobs(behind_pages=behind)
        answer = finished(lambda jobs=jobs: jobs.newest("a", 1, lambda: os.sched_getscheduler(0)))
        assert answer.value == policy
