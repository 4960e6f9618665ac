"""Work that takes longer than a page may wait: done in one thread, one after another, kept by key."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from cellnet.errors import CellnetError
from lab.work.priority import work_behind_pages

Value = TypeVar("Value")

MAX_KEPT: Final = 24
_PAUSES: Final = 9.0
"""Work on something that keeps changing rests this many times as long as it took, so as not to slow the
training down."""


@dataclass(frozen=True)
class Answer(Generic[Value]):
    """What is known of some work.

    Attributes:
        value: the newest result; None before the first.
        version: what the value, or the error, is of.
        pending: whether a newer one is on its way.
        error: why the newest attempt failed; empty otherwise.
    """

    value: Value | None = None
    version: Hashable = None
    pending: bool = False
    error: str = ""


@dataclass
class _Kept:
    answer: Answer[Any]
    running: Future[Any] | None = None
    version: Hashable = None
    began: float = 0.0
    due: float = 0.0
    results: int = 0
    defect: BaseException | None = None


class Jobs:
    """Does work for pages and keeps the newest result of each key. Safe to use from any thread.

    Args:
        behind_pages: whether the work may wait while a page computes (see `work_behind_pages`): not where
            somebody waits for that page to be whole.
    """

    def __init__(self, *, behind_pages: bool = False) -> None:
        self._worker = ThreadPoolExecutor(
            max_workers=1,
            thread_name_prefix="cellnet-page-work",
            initializer=work_behind_pages if behind_pages else None,
        )
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()

    def newest(self, key: Hashable, version: Hashable, work: Callable[[], Value]) -> Answer[Value]:
        """Return what is known for ``key``, and see to it that ``version`` of it will be.

        Args:
            key: what the work is about.
            version: of what it is computed from; when it changes the work is done again, though not more
                often than a tenth of the time.
            work: computes it, in another thread. A `CellnetError` or `ValueError` becomes the answer's
                ``error``; any other error is a defect and is raised here.
        """
        with self._lock:
            kept = self._see_to(key, version, work)
            if kept.defect is not None:
                raise kept.defect
            answer = kept.answer
            return Answer(answer.value, answer.version, kept.running is not None, answer.error)

    def state(self, key: Hashable, version: Hashable, work: Callable[[], object]) -> str:
        """Name what `newest` returns, apart from whether it is pending, and see to it likewise.

        It may be asked outside of any script run, and raises nothing.
        """
        with self._lock:
            return str(self._see_to(key, version, work).results)

    def _see_to(self, key: Hashable, version: Hashable, work: Callable[[], object]) -> _Kept:
        kept = self._kept.setdefault(key, _Kept(Answer()))
        self._kept.move_to_end(key)
        self._harvest(kept)
        now = time.monotonic()
        known = kept.answer.value is not None or kept.answer.error or kept.defect
        fresh = kept.answer.version == version and known
        if kept.running is None and not fresh and now >= kept.due:
            kept.version, kept.began = version, now
            kept.running = self._worker.submit(_timed, work)
        self._forget()
        return kept

    def _harvest(self, kept: _Kept) -> None:
        if kept.running is None or not kept.running.done():
            return
        running, kept.running = kept.running, None
        error = running.exception()
        kept.results += 1
        kept.defect = None
        if error is None:
            value, seconds = running.result()
            kept.answer = Answer(value, kept.version)
            kept.due = time.monotonic() + _PAUSES * seconds
        elif isinstance(error, (CellnetError, ValueError)):
            kept.answer = Answer(kept.answer.value, kept.version, error=str(error))
        else:
            kept.answer = Answer(kept.answer.value, kept.version)
            kept.defect = error

    def _forget(self) -> None:
        """Drop what was asked for longest ago and is not being worked on."""
        idle = [key for key, kept in self._kept.items() if kept.running is None]
        for key in idle[: max(0, len(self._kept) - MAX_KEPT)]:
            del self._kept[key]


def _timed(work: Callable[[], Value]) -> tuple[Value, float]:
    begin = time.monotonic()
    return work(), time.monotonic() - begin


JOBS: Final = Jobs()
"""The one of this process."""
