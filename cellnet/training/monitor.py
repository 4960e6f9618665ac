"""Time per stage and memory, measured."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import torch


class PerformanceMonitor:
    """Measure the stages of a step.

    On CUDA each stage is timed by device events, read when the step has ended; on the CPU by the clock.

    Args:
        enabled: when off, nothing is measured and `collect` returns nothing.
        device: where the work runs.
    """

    def __init__(self, device: torch.device, *, enabled: bool) -> None:
        self.enabled = enabled
        self.device = device
        self._marks: list[tuple[str, float]] = []
        self._events: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure the block as one stage; a stage entered twice in a step adds up."""
        if not self.enabled:
            yield
        elif self.device.type == "cuda":
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            yield
            end.record()
            self._events.append((name, start, end))
        else:
            begin = time.perf_counter()
            yield
            self._marks.append((name, time.perf_counter() - begin))

    def collect(self) -> dict[str, float]:
        """Return seconds per stage since the last call, and start over. Waits for the device."""
        if self._events:
            torch.cuda.synchronize(self.device)
            self._marks += [(name, start.elapsed_time(end) / 1e3) for name, start, end in self._events]
        seconds: dict[str, float] = {}
        for name, duration in self._marks:
            seconds[name] = seconds.get(name, 0.0) + duration
        self._marks, self._events = [], []
        return seconds


def memory_megabytes(device: torch.device) -> dict[str, float]:
    """Return the memory of this process and, on CUDA, what the device holds now and held at most."""
    memory = {"process": psutil.Process().memory_info().rss / 2**20}
    if device.type == "cuda":
        memory["device"] = torch.cuda.memory_allocated(device) / 2**20
        memory["device_peak"] = torch.cuda.max_memory_allocated(device) / 2**20
    return memory
