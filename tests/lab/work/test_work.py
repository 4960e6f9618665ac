"""Work beside the pages: kept by key, done anew for a new version, cancelled, closed, errors told."""

import os
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from training_data import PATIENCE

from cellnet.errors import RunError
from lab.work.work import MAX_KEPT, Answer, Lane, Progress, Stage, Work, Works


@pytest.fixture
def works() -> Iterator[Works]:
    works = Works()
    yield works
    works.close()


def finished(works: Works, work: Work[Any]) -> Answer[Any]:
    works.state(work)
    works.wait(work.key, PATIENCE)
    return works.follow(work)


def test_a_value_is_computed_once_per_version(works: Works) -> None:
    calls: list[str] = []

    def run(_: Progress) -> int:
        calls.append(threading.current_thread().name)
        return len(calls)

    answer = finished(works, Work("a", 1, run))
    assert (answer.value, answer.version, answer.newest, answer.pending) == (1, 1, 1, False)
    assert works.follow(Work("a", 1, run)).value == 1
    assert len(calls) == 1
    assert works.follow(Work("a", 2, run)).value == 1
    assert works.wait("a", PATIENCE).version in (1, 2)
    assert all(name.startswith("cellnet-page-work") for name in calls)


def test_what_keeps_changing_rests_nine_times_as_long_as_it_took(
    works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("lab.work.work.monotonic", lambda: now)

    def run(_: Progress) -> int:
        nonlocal now
        now += 2.0
        return 7

    assert finished(works, Work("a", 1, run)).value == 7
    now = 102.0 + 17.9
    assert not works.follow(Work("a", 2, run)).pending
    now = 102.0 + 18.1
    works.follow(Work("a", 2, run))
    assert works.wait("a", PATIENCE).version == 2
    assert works.begin(Work("a", 3, run))  # a button does not wait
    assert works.wait("a", PATIENCE).version == 3


def test_errors_are_told_and_defects_are_raised(works: Works) -> None:
    def refuse(_: Progress) -> int:
        raise RunError("no such run")

    def fail(_: Progress) -> int:
        raise KeyError("defect")

    answer = finished(works, Work("a", 1, refuse))
    assert (answer.error, answer.cancelled, answer.value) == ("no such run", False, None)
    with pytest.raises(KeyError, match="defect"):
        finished(works, Work("b", 1, fail))
    assert works.answer("b").error == "KeyError: 'defect'"


def test_what_failed_is_done_anew_when_it_is_begun_and_not_when_it_is_followed(works: Works) -> None:
    attempts = 0

    def run(_: Progress) -> int:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise RunError("not yet")
        return attempts

    work = Work("a", 1, run)
    assert finished(works, work).error == "not yet"
    assert finished(works, work).error == "not yet"
    assert works.begin(work)
    answer = finished(works, work)
    assert (answer.value, answer.error) == (2, "")
    assert works.begin(work)  # it is there already
    assert finished(works, work).value == 2


def test_a_state_changes_with_each_result_and_begins_the_work(works: Works) -> None:
    may_end = threading.Event()

    def run(_: Progress) -> int:
        assert may_end.wait(PATIENCE)
        return 7

    work = Work("a", 1, run)
    before = works.state(work)
    assert works.follow(work).pending
    assert works.state(work) == before
    may_end.set()
    works.wait("a", PATIENCE)
    assert works.state(work) != before
    assert works.follow(work).value == 7


def test_a_defect_is_told_by_the_answer_and_not_by_the_state(works: Works) -> None:
    def fail(_: Progress) -> int:
        raise KeyError("defect")

    work = Work("a", 1, fail)
    works.state(work)
    works.wait("a", PATIENCE)
    state = works.state(work)
    for _ in range(2):
        with pytest.raises(KeyError, match="defect"):
            works.follow(work)
    assert works.state(work) == state


def test_old_answers_are_forgotten_but_not_those_that_were_begun(works: Works) -> None:
    works.begin(Work("begun", 0, lambda _: 1))
    for key in range(MAX_KEPT + 5):
        assert finished(works, Work(key, 0, lambda _: 7)).value == 7
    assert [works.answer(key).value for key in ("begun", 4, 5, MAX_KEPT + 4)] == [1, None, 7, 7]


def test_progress_speed_and_cancelling(works: Works) -> None:
    reported, go_on = threading.Semaphore(0), threading.Semaphore(0)

    def run(progress: Progress) -> int:
        for done in range(0, 100, 10):
            progress("counting", done, 100)
            reported.release()
            assert go_on.acquire(timeout=PATIENCE)
        return 7

    work = Work("a", 1, run)
    assert works.begin(work)
    assert reported.acquire(timeout=PATIENCE)
    assert works.answer("a").stage == Stage("counting", 0, 100)
    state = works.state(work)
    go_on.release()
    assert reported.acquire(timeout=PATIENCE)
    stage = works.answer("a").stage
    assert (stage.done, stage.share) == (10, 0.1)
    assert stage.speed is not None
    assert stage.seconds_left == pytest.approx(90 / stage.speed)
    assert works.state(work) != state
    assert not works.begin(work)
    works.cancel("a")
    go_on.release()
    answer = works.wait("a", PATIENCE)
    assert (answer.cancelled, answer.value, answer.stage.done) == (True, None, 20)
    assert "stopped" in answer.error


def test_each_lane_has_a_thread_and_does_one_thing_after_another(works: Works) -> None:
    begun, may_end = threading.Semaphore(0), threading.Semaphore(0)
    running: list[str] = []

    def run(_: Progress) -> int:
        running.append(threading.current_thread().name)
        begun.release()
        assert may_end.acquire(timeout=PATIENCE)
        return 7

    for key in "ab":
        works.begin(Work(key, 1, run, Lane("slow")))
    works.begin(Work("c", 1, run, Lane("other")))
    for _ in range(2):
        assert begun.acquire(timeout=PATIENCE)
    assert sorted(running) == ["cellnet-other_0", "cellnet-slow_0"]
    assert works.answer("b").stage.label == "waiting for its turn"
    may_end.release(3)
    assert [works.wait(key, PATIENCE).value for key in "abc"] == [7, 7, 7]


def test_closing_cancels_what_runs_and_what_waits_and_ends_the_threads() -> None:
    works, begun = Works(), threading.Event()

    def run(progress: Progress) -> int:
        begun.set()
        while True:
            progress("for ever")

    lane = Lane("closing")
    for key in "ab":
        works.begin(Work(key, 1, run, lane))
    assert begun.wait(PATIENCE)
    works.close()
    works.close()
    assert all(works.answer(key).cancelled for key in "ab")
    assert not any(thread.name.startswith("cellnet-closing") for thread in threading.enumerate())
    with pytest.raises(RunError, match="shutting down"):
        works.begin(Work("a", 2, run, lane))
    assert not works.follow(Work("c", 1, run, lane)).pending


def test_long_work_computes_behind_the_pages(works: Works) -> None:
    for behind, policy in ((None, os.sched_getscheduler(0)), ("cpu", os.SCHED_IDLE)):
        work = Work(behind, 1, lambda _: os.sched_getscheduler(0), Lane("rank", behind))
        assert finished(works, work).value == policy


def test_however_much_waits_each_is_done_once(works: Works) -> None:
    may_end, done = threading.Event(), []

    def run(key: int, _: Progress) -> int:
        assert may_end.wait(PATIENCE)
        done.append(key)
        return key

    keys = range(MAX_KEPT + 5)
    for _ in range(2):
        for key in keys:
            works.state(Work(key, 0, partial(run, key)))
    may_end.set()
    for key in keys:
        works.wait(key, PATIENCE)
    assert done == list(keys)
