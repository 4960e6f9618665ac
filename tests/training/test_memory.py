"""The buffer pool counts what it does and keeps no more than it may."""

import threading

import pytest
import torch

from cellnet.settings import MemorySettings
from cellnet.training.memory import MemoryPoolManager, PoolStatistics


def test_buffers_are_reused_by_shape_and_type_and_counted() -> None:
    pool = MemoryPoolManager(MemorySettings())
    with pool.buffer((2, 3)) as first:
        assert first.shape == (2, 3)
        assert pool.statistics() == PoolStatistics(hits=0, misses=1, kept_bytes=0)
        with pool.buffer((2, 3)) as second:
            assert second.data_ptr() != first.data_ptr()
    assert pool.statistics() == PoolStatistics(hits=0, misses=2, kept_bytes=48)
    with pool.buffer((2, 3)) as again:
        assert again.data_ptr() in (first.data_ptr(), second.data_ptr())
        assert pool.statistics() == PoolStatistics(hits=1, misses=2, kept_bytes=24)
    with pool.buffer((2, 3), torch.float64) as wide, pool.buffer((3, 2)) as turned:
        assert wide.dtype is torch.float64
        assert turned.shape == (3, 2)
    assert pool.statistics() == PoolStatistics(hits=1, misses=4, kept_bytes=48 + 48 + 24)


def test_what_is_kept_stays_within_the_budget() -> None:
    pool = MemoryPoolManager(MemorySettings(pool_budget_mb=1))
    with pool.buffer((200_000,)), pool.buffer((200_000,)):
        pass
    assert pool.statistics() == PoolStatistics(hits=0, misses=2, kept_bytes=800_000)
    nothing = MemoryPoolManager(MemorySettings(pool_budget_mb=0))
    for _ in range(2):
        with nothing.buffer((4,)):
            pass
    assert nothing.statistics() == PoolStatistics(hits=0, misses=2, kept_bytes=0)


def test_a_buffer_comes_back_after_an_error() -> None:
    pool = MemoryPoolManager(MemorySettings())
    with pytest.raises(RuntimeError, match="stop"), pool.buffer((4,)):
        raise RuntimeError("stop")
    assert pool.statistics().kept_bytes == 16


def test_no_buffer_is_lent_twice_at_once() -> None:
    pool = MemoryPoolManager(MemorySettings())
    barrier, lock, lent, twice = threading.Barrier(4), threading.Lock(), set[int](), list[int]()

    def work() -> None:
        barrier.wait()
        for _ in range(200):
            with pool.buffer((8,)) as buffer:
                address = buffer.data_ptr()
                with lock:
                    if address in lent:
                        twice.append(address)
                    lent.add(address)
                with lock:
                    lent.discard(address)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not twice
    found = pool.statistics()
    assert found.hits + found.misses == 800
    assert 1 <= found.misses <= 4
    assert found.kept_bytes == 32 * found.misses
