"""Work that takes longer than a page may wait: done in threads of its own and kept by key."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from time import monotonic
from typing import Any, Final, Generic, TypeVar

from cellnet.errors import CellnetError, RunError
from lab.recent import Recent
from lab.work.priority import work_behind_pages

Value = TypeVar("Value")

MAX_KEPT: Final = 24
"""Answers that are kept besides those that were begun with a button."""
_PAUSES: Final = 9.0
"""Work on something that keeps changing rests this many times as long as it took, so as not to slow the
training down."""
_log = logging.getLogger(__name__)


class WorkCancelled(CellnetError):  # noqa: N818 - a wish fulfilled, not a failure
    """Work was cancelled on request."""


@dataclass(frozen=True)
class Stage:
    """The progress of some work.

    Attributes:
        label: the part under way.
        done, total: how much of the part is done; ``total`` is 0 while unknown.
        speed: how much is done per second in this part; None until there is enough.
    """

    label: str = "waiting for its turn"
    done: int = 0
    total: int = 0
    speed: float | None = None

    @property
    def share(self) -> float:
        """The share of the part that is done, 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def seconds_left(self) -> float | None:
        """The seconds that the part still takes, as far as known."""
        return (self.total - self.done) / self.speed if self.speed else None


class Progress:
    """The reports of some work while it runs, and whether it is to end."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.cancelled = threading.Event()
        self._first, self._since = 0, monotonic()

    def __call__(self, label: str, done: int = 0, total: int = 0) -> None:
        """Take note of a part and how far it is.

        Raises:
            WorkCancelled: if the work should end here.
        """
        now = monotonic()
        if label != self.stage.label:
            self._first, self._since = done, now
        known = done > self._first and now > self._since
        speed = (done - self._first) / (now - self._since) if known else None
        self.stage = Stage(label, done, total, speed)
        if self.cancelled.is_set():
            raise WorkCancelled("it was stopped")


@dataclass(frozen=True)
class Lane:
    """A thread of its own for work that is done one after another.

    Attributes:
        name: of the thread.
        behind: where the work may wait while a page computes, the device that it computes on (see
            `work_behind_pages`); None where somebody waits for the page to be whole.
    """

    name: str
    behind: str | None = None


PAGES: Final = Lane("page-work")


@dataclass(frozen=True)
class Work(Generic[Value]):
    """Something to compute.

    Attributes:
        key: what it is about. Those who ask for the same share one answer.
        version: of what it is computed from.
        run: computes it and says how far it is. A `CellnetError` or `ValueError` becomes the answer's
            ``error``; any other error is a defect.
        lane: the thread that it runs in.
    """

    key: Hashable
    version: Hashable
    run: Callable[[Progress], Value]
    lane: Lane = PAGES


@dataclass(frozen=True)
class Answer(Generic[Value]):
    """The state of some work.

    Attributes:
        value: the newest result; None before the first.
        version: what the value is of.
        newest: what the newest attempt is of; None before the first.
        pending: whether that is waiting or under way.
        error: why it failed or where it was cancelled; empty otherwise.
        cancelled: whether it was cancelled.
        stage: how far it is.
        seconds: how long it has taken so far, or took.
    """

    value: Value | None = None
    version: Hashable = None
    newest: Hashable = None
    pending: bool = False
    error: str = ""
    cancelled: bool = False
    stage: Stage = Stage()
    seconds: float = 0.0


@dataclass
class _Kept:
    known: Answer[Any] = Answer()
    defect: BaseException | None = None
    progress: Progress = field(default_factory=Progress)
    began: float = 0.0
    due: float = 0.0
    results: int = 0
    stays: bool = False

    def answer(self) -> Answer[Any]:
        """The state now."""
        seconds = monotonic() - self.began if self.known.pending else self.known.seconds
        return replace(self.known, stage=self.progress.stage, seconds=seconds)


class Works:
    """Does work and keeps the newest result of each key. Safe to use from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._threads: dict[Lane, ThreadPoolExecutor] = {}
        self._kept: Recent[Hashable, _Kept] = Recent(
            lambda kept: sum(not one.stays for one in kept) > MAX_KEPT,
            lambda one: one.stays or one.known.pending,
        )
        self._closed = False

    def follow(self, work: Work[Value]) -> Answer[Value]:
        """Return what is known, and see to it that this version will be.

        When the version changes the work is done again, though not more often than a tenth of the time. A
        defect of the work is raised here.
        """
        with self._changed:
            kept = self._see_to(work)
            if kept.defect is not None:
                raise kept.defect
            return kept.answer()

    def state(self, work: Work[Any]) -> str:
        """Name what `follow` returns, apart from whether it is pending, and see to it likewise.

        It may be asked outside of any script run, and raises nothing.
        """
        with self._changed:
            kept = self._see_to(work)
            return f"{kept.results} {kept.progress.stage}"

    def begin(self, work: Work[Any]) -> bool:
        """Do this version now, unless it is done already; what failed or was cancelled is done anew.

        Returns:
            False if the key is being worked on already.

        Raises:
            RunError: if the lab is shutting down.
        """
        with self._changed:
            if self._closed:
                raise RunError("the lab is shutting down; start it again")
            kept = self._kept.get(work.key) or _Kept()
            kept.stays = True
            self._kept.set(work.key, kept)
            if kept.known.pending:
                return False
            if kept.known.newest != work.version or kept.known.error:
                kept.known, kept.defect = replace(kept.known, error="", cancelled=False), None
                self._start(kept, work)
            return True

    def answer(self, key: Hashable) -> Answer[Any]:
        """Return what is known of a key; nothing is begun."""
        with self._changed:
            kept = self._kept.get(key)
            return Answer() if kept is None else kept.answer()

    def cancel(self, key: Hashable) -> None:
        """Let the work on a key end as soon as it says how far it is; cancelling twice is fine."""
        with self._changed:
            kept = self._kept.get(key)
            if kept is not None:
                kept.progress.cancelled.set()

    def wait(self, key: Hashable, timeout: float | None = None) -> Answer[Any]:
        """Wait for the work on a key, if there is any, and return what is known then.

        Raises:
            TimeoutError: if it takes longer than ``timeout`` seconds.
        """
        with self._changed:
            kept = self._kept.get(key)
            if kept is None:
                return Answer()
            if not self._changed.wait_for(lambda: not kept.known.pending, timeout):
                raise TimeoutError(f"{key!r} is still being worked on after {timeout} s")
            return kept.answer()

    def close(self) -> None:
        """Cancel all work and wait for the threads; closing twice is fine."""
        with self._changed:
            self._closed = True
            for kept in self._kept.values():
                kept.progress.cancelled.set()
        for thread in self._threads.values():
            thread.shutdown()

    def _see_to(self, work: Work[Any]) -> _Kept:
        kept = self._kept.get(work.key) or _Kept()
        fresh = kept.results > 0 and kept.known.newest == work.version
        if not (self._closed or kept.known.pending or fresh or monotonic() < kept.due):
            self._start(kept, work)
        self._kept.set(work.key, kept)
        return kept

    def _start(self, kept: _Kept, work: Work[Any]) -> None:
        kept.known = replace(kept.known, newest=work.version, pending=True)
        kept.progress, kept.began = Progress(), monotonic()
        if work.lane not in self._threads:
            behind = work.lane.behind
            self._threads[work.lane] = ThreadPoolExecutor(
                max_workers=1,
                thread_name_prefix=f"cellnet-{work.lane.name}",
                initializer=None if behind is None else partial(work_behind_pages, behind),
            )
        self._threads[work.lane].submit(self._do, kept, work, kept.progress)

    def _do(self, kept: _Kept, work: Work[Any], progress: Progress) -> None:
        """Do some work, in a thread of its lane. However it ends, the answer says so."""
        begin = monotonic()
        try:
            progress(progress.stage.label)  # ends what was cancelled before its turn
            known = Answer(work.run(progress), work.version, work.version)
            defect = None
        except BaseException as cause:  # noqa: BLE001 - it belongs to whoever asks for the answer
            expected = isinstance(cause, (CellnetError, ValueError))
            text = str(cause) if expected else f"{type(cause).__name__}: {cause}"
            known = replace(kept.known, pending=False, error=text, cancelled=progress.cancelled.is_set())
            defect = None if expected else cause
            if defect is not None:
                _log.exception("a defect in %s", work.lane.name)
        seconds = monotonic() - begin
        with self._changed:
            kept.known, kept.defect = replace(known, seconds=seconds), defect
            kept.results += 1
            if not known.error:
                kept.due = monotonic() + _PAUSES * seconds
            self._changed.notify_all()
