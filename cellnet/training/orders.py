"""Commands to a training from other threads, and the settings they have asked for."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from cellnet.errors import SettingsError, TrainingError
from cellnet.settings import LIVE_SETTINGS, Settings, with_changes


class Command(Enum):
    """A command to a training."""

    PAUSE = "pause"
    RESUME = "resume"
    STEP = "step"
    STOP = "stop"


@dataclass(frozen=True)
class Changes:
    """The settings from the next batch on, already validated."""

    settings: Settings


@dataclass(frozen=True)
class Call:
    """A function to be called in the training thread, and where its answer goes."""

    function: Callable[[], Any]
    answer: Future[Any]

    def carry_out(self) -> None:
        """Call the function; what it raises goes to whoever waits for the answer, not to the training."""
        if not self.answer.set_running_or_notify_cancel():
            return
        try:
            self.answer.set_result(self.function())
        except BaseException as error:  # noqa: BLE001 - it is the asker's
            self.answer.set_exception(error)


Order = Command | Changes | Call
Result = TypeVar("Result")


class ControlQueue:
    """Orders for one training, in the order in which they were given. Safe to use from any thread."""

    def __init__(self, settings: Settings) -> None:
        self._orders: queue.SimpleQueue[Order] = queue.SimpleQueue()
        self._lock = threading.RLock()  # a signal may stop a training whose thread holds it
        self._requested = settings
        self._ended = False
        self._stop = False

    @property
    def stop_requested(self) -> bool:
        """Whether a stop was given, at once and whatever else waits; until `end`."""
        return self._stop

    @property
    def requested(self) -> Settings:
        """The settings once every order given so far has been carried out."""
        with self._lock:
            return self._requested

    def send(self, command: Command) -> None:
        """Give a command."""
        with self._lock:
            if command is Command.STOP:
                self._stop = True
            self._orders.put(command)  # a stop too: it wakes a paused training

    def change(self, values: Mapping[str, Any]) -> None:
        """Ask for live changes; they are validated now and take effect between two batches.

        Raises:
            SettingsError: if a setting cannot change while training runs, or its value is impossible.
        """
        fixed = sorted(set(values) - LIVE_SETTINGS)
        if fixed:
            raise SettingsError(
                problems={
                    name: f"cannot change while training; these can: {', '.join(sorted(LIVE_SETTINGS))}"
                    for name in fixed
                }
            )
        with self._lock:
            self._requested = with_changes(self._requested, values)
            self._orders.put(Changes(self._requested))

    def call(self, function: Callable[[], Result]) -> Future[Result]:
        """Ask for a call between two batches; once training has ended the answer is a `TrainingError`."""
        answer: Future[Result] = Future()
        with self._lock:
            if self._ended:
                answer.set_exception(_ended())
            else:
                self._orders.put(Call(function, answer))
        return answer

    def begin(self) -> None:
        """Take calls, from now on, until `end`."""
        with self._lock:
            self._ended = False

    def end(self) -> None:
        """Refuse all calls, those that wait and those to come; other orders stay.

        A stop is carried out with this, and takes all other commands with it.
        """
        with self._lock:
            self._ended = True
            orders = []
            while (order := self.next(wait=False)) is not None:
                orders.append(order)
            for order in orders:
                if isinstance(order, Command) and self.stop_requested:
                    continue
                if not isinstance(order, Call):
                    self._orders.put(order)
                elif order.answer.set_running_or_notify_cancel():
                    order.answer.set_exception(_ended())
            self._stop = False

    def next(self, *, wait: bool) -> Order | None:
        """Return the next order; without ``wait`` None if there is none now."""
        try:
            return self._orders.get(block=wait)
        except queue.Empty:
            return None


def _ended() -> TrainingError:
    return TrainingError("the training has ended; use its newest checkpoint")
