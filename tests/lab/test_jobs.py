"""Work beside the pages: kept by key, done anew for a new version, errors told."""

import threading
import time
from collections.abc import Callable

import pytest

from cellnet.errors import RunError
from lab.jobs import MAX_KEPT, Answer, Jobs


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


def test_old_answers_are_forgotten() -> None:
    jobs = Jobs()
    for key in range(MAX_KEPT + 5):
        finished(lambda key=key: jobs.newest(key, 0, lambda: 7))  # type: ignore[misc]
    assert len(jobs._kept) == MAX_KEPT
