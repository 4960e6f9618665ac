"""Reused host buffers, so that staging a batch allocates nothing."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from cellnet.settings import MemorySettings


@dataclass(frozen=True)
class PoolStatistics:
    """Counted use of a pool: buffers reused, buffers made, and bytes kept for reuse."""

    hits: int
    misses: int
    kept_bytes: int


class MemoryPoolManager:
    """A pool of host buffers by shape and type. Safe to use from several threads.

    Args:
        settings: ``pool_budget_mb`` bounds what is kept; a buffer beyond it is freed after use.
        pinned: whether buffers are page-locked, for fast copies to a CUDA device.
    """

    def __init__(self, settings: MemorySettings, *, pinned: bool = False) -> None:
        self.budget_bytes = settings.pool_budget_mb * 2**20
        self.pinned = pinned
        self._free: dict[tuple[tuple[int, ...], torch.dtype], list[Tensor]] = {}
        self._lock = threading.Lock()
        self._hits = self._misses = self._kept_bytes = 0

    @contextmanager
    def buffer(self, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Iterator[Tensor]:
        """Lend an uninitialized buffer for the length of a ``with`` block."""
        size = math.prod(shape) * dtype.itemsize
        with self._lock:
            free = self._free.setdefault((shape, dtype), [])
            kept = free.pop() if free else None
            if kept is None:
                self._misses += 1
            else:
                self._hits += 1
                self._kept_bytes -= size
        lent = torch.empty(shape, dtype=dtype, pin_memory=self.pinned) if kept is None else kept
        try:
            yield lent
        finally:
            with self._lock:
                if self._kept_bytes + size <= self.budget_bytes:
                    self._free[shape, dtype].append(lent)
                    self._kept_bytes += size

    def statistics(self) -> PoolStatistics:
        """Return the counts so far."""
        with self._lock:
            return PoolStatistics(self._hits, self._misses, self._kept_bytes)
