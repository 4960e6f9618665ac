"""The chunker keeps the fastest block size and stays within its memory."""

from cellnet.lattice.chunker import CANDIDATES, AdaptiveChunker
from cellnet.settings import AdaptiveChunkerSettings, MemorySettings


def chunker(**settings: int) -> AdaptiveChunker:
    return AdaptiveChunker(AdaptiveChunkerSettings(**settings), MemorySettings(chunk_budget_mb=1))


def test_blocks_at_once_fit_in_the_budget() -> None:
    assert chunker().blocks_at_once(2**20) == 1
    assert chunker().blocks_at_once(2**18) == 4
    assert chunker().blocks_at_once(2**18 + 1) == 3
    assert chunker().blocks_at_once(2**30) == 1
    assert chunker().blocks_at_once(0) == 2**20


def test_before_any_measurement_the_setting_counts() -> None:
    assert chunker(optimal_batch_size=48).best() == 48


def test_the_smallest_median_wins() -> None:
    tried = chunker()
    for size, seconds in ((32, [1.0, 1.0, 9.0]), (64, [2.0, 0.1, 2.0]), (128, [0.9, 0.9, 50.0])):
        for value in seconds:
            tried.record(size, value)
    assert tried.best() == 128


def test_history_is_bounded() -> None:
    tried = chunker(max_history=2)
    for size in (32, 64, 128):
        tried.record(size, 1.0)
    assert [entry.block_cells for entry in tried.history] == [64, 128]


def test_calibration_times_each_size_and_keeps_the_fastest() -> None:
    tried = chunker()
    seen: list[int] = []

    def time_once() -> float:
        seen.append(tried.block_cells)
        return abs(tried.block_cells - 130) / 1e3

    assert tried.calibrate(time_once, cells=10_000, repeats=2) == 128 == tried.block_cells
    assert seen == [size for size in CANDIDATES for _ in range(3)]
    assert len(tried.history) == 2 * len(CANDIDATES)


def test_blocks_are_never_larger_than_the_lattice() -> None:
    tried = chunker()
    assert tried.calibrate(lambda: 1.0, cells=50) in (32, 50)
    assert {entry.block_cells for entry in tried.history} == {32, 50}
