"""The order of the data: permutations, repeatable, and resumable at any point."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellnet.errors import DataError
from cellnet.training.data import BatchOrder

sizes = st.integers(1, 60).flatmap(lambda batch: st.tuples(st.integers(batch, 200), st.just(batch)))


@given(sizes, st.integers(0, 2**31 - 1))
def test_each_pass_sees_no_row_twice_and_drops_less_than_a_batch(size: tuple[int, int], seed: int) -> None:
    rows, batch = size
    order = BatchOrder(rows, batch, seed)
    for _ in range(2):
        seen = np.concatenate([order.next() for _ in range(rows // batch)])
        assert len(set(seen.tolist())) == len(seen) > rows - batch
        assert seen.min() >= 0
        assert seen.max() < rows


@given(sizes, st.integers(0, 1000), st.integers(0, 20))
def test_restored_order_goes_on_where_it_was(size: tuple[int, int], seed: int, made: int) -> None:
    order, other = BatchOrder(*size, seed), BatchOrder(*size, seed)
    for _ in range(made):
        order.next()
    other.restore(order.state())
    for _ in range(5):
        assert np.array_equal(order.next(), other.next())
    assert order.state() == other.state()


def test_passes_and_seeds_differ() -> None:
    first, second = BatchOrder(100, 50, 0), BatchOrder(100, 50, 1)
    passes = [np.concatenate([first.next(), first.next()]) for _ in range(2)]
    assert sorted(passes[0]) == sorted(passes[1]) == list(range(100))
    assert not np.array_equal(passes[0], passes[1])
    assert not np.array_equal(passes[0][:50], second.next())
    assert first.state() == {"rows": 100, "passes": 1, "position": 100}


def test_too_little_data_and_other_data_are_refused() -> None:
    with pytest.raises(DataError, match="7 training sentences do not fill one batch of 8"):
        BatchOrder(7, 8, 0)
    with pytest.raises(DataError, match="trained on 9 sentences and there are now 10"):
        BatchOrder(10, 8, 0).restore(BatchOrder(9, 8, 0).state())
