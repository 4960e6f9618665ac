"""Commands to a training from other threads, and the settings they have asked for."""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from cellnet.errors import SettingsError
from cellnet.settings import LIVE_SETTINGS, Settings, with_changes


class Command(Enum):
    """What a training can be told."""

    PAUSE = "pause"
    RESUME = "resume"
    STEP = "step"
    STOP = "stop"


@dataclass(frozen=True)
class Changes:
    """Live changes, ``{"group.key": value}``, already validated."""

    values: Mapping[str, Any]


class ControlQueue:
    """Orders for one training, in the order in which they were given. Safe to use from any thread."""

    def __init__(self, settings: Settings) -> None:
        self._orders: queue.SimpleQueue[Command | Changes] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._requested = settings

    @property
    def requested(self) -> Settings:
        """The settings once every order given so far has been carried out."""
        with self._lock:
            return self._requested

    def send(self, command: Command) -> None:
        """Give a command."""
        self._orders.put(command)

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
            self._orders.put(Changes(dict(values)))

    def next(self, *, wait: bool) -> Command | Changes | None:
        """Return the next order; without ``wait`` None if there is none now."""
        try:
            return self._orders.get(block=wait)
        except queue.Empty:
            return None
