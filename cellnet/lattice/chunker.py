"""Adaptive splitting of the cube into blocks that are fast and fit in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from cellnet.settings import AdaptiveChunkerSettings, MemorySettings

CANDIDATES = (32, 64, 128, 256, 512)


@dataclass(frozen=True)
class ChunkMeasurement:
    """One timed run: cells per block and seconds taken."""

    block_cells: int
    seconds: float


class AdaptiveChunker:
    """Choose how many cells share one list of neighbors.

    The choice changes time and memory, not the result. Until something has been measured it is the
    setting ``optimal_batch_size``; `calibrate` then measures, and the best median wins.
    """

    def __init__(self, settings: AdaptiveChunkerSettings, memory: MemorySettings) -> None:
        self.budget_bytes = memory.chunk_budget_mb * 2**20
        self.block_cells = settings.optimal_batch_size
        self.history: deque[ChunkMeasurement] = deque(maxlen=settings.max_history)

    def blocks_at_once(self, block_bytes: int) -> int:
        """Return how many blocks, each taking ``block_bytes``, fit in the memory of one chunk."""
        return max(1, self.budget_bytes // max(1, block_bytes))

    def record(self, block_cells: int, seconds: float) -> None:
        """Remember one measurement."""
        self.history.append(ChunkMeasurement(block_cells, seconds))

    def best(self) -> int:
        """Return the block size with the smallest median time so far."""
        times: dict[int, list[float]] = {}
        for entry in self.history:
            times.setdefault(entry.block_cells, []).append(entry.seconds)
        if not times:
            return self.block_cells
        return min(times, key=lambda size: sorted(times[size])[len(times[size]) // 2])

    def calibrate(self, time_once: Callable[[], float], cells: int, repeats: int = 3) -> int:
        """Time each candidate block size and keep the fastest.

        Args:
            time_once: runs the work with the current ``block_cells`` and returns seconds.
            cells: number of cells; larger blocks make no sense.
            repeats: timed runs of each size, after one that is not counted.

        Returns:
            The chosen block size.
        """
        for size in dict.fromkeys(min(candidate, cells) for candidate in CANDIDATES):
            self.block_cells = size
            time_once()
            for _ in range(repeats):
                self.record(size, time_once())
        self.block_cells = self.best()
        return self.block_cells
