"""Thinning keeps ends, extremes and gaps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.figures.series import thin


def test_short_curves_stay_as_they_are() -> None:
    x, y = np.arange(5), np.arange(5.0)
    assert thin(x, y, 5) == (x, y)


@given(
    st.integers(0, 3000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, 2**32 - 1))),
    st.integers(4, 200),
)
@settings(max_examples=100)
def test_thinned_points_are_few_ordered_and_keep_ends_and_extremes(
    curve: tuple[int, int], limit: int
) -> None:
    count, seed = curve
    x, y = np.arange(count), np.random.default_rng(seed).normal(size=count)
    few_x, few_y = thin(x, y, limit)
    assert few_x.size <= limit or count <= limit
    np.testing.assert_array_equal(few_y, y[few_x])
    assert (np.diff(few_x) > 0).all()
    if count:
        assert (few_x[0], few_x[-1]) == (0, count - 1)
        assert (few_y.min(), few_y.max()) == (y.min(), y.max())


def test_every_single_spike_survives() -> None:
    x = np.arange(100_000)
    y = np.zeros(100_000)
    spikes = np.arange(777, 100_000, 9_973)
    y[spikes[::2]], y[spikes[1::2]] = 5.0, -5.0
    few_x, few_y = thin(x, y, 1000)
    assert few_x.size <= 1000
    assert set(spikes) <= set(few_x.tolist())
    assert np.count_nonzero(few_y) == spikes.size


def test_a_long_gap_stays_a_gap_and_a_short_one_hides_no_number() -> None:
    x = np.arange(1000)
    y = np.ones(1000)
    y[300:600] = np.nan
    y[50] = np.nan
    y[51] = 9.0
    few_x, few_y = thin(x, y, 100)
    gap = (few_x > 320) & (few_x < 580)
    assert gap.sum() >= 5
    assert np.isnan(few_y[gap]).all()
    assert np.nanmax(few_y) == 9.0


def test_mismatched_or_tiny_requests_are_refused() -> None:
    with pytest.raises(ValueError, match="both must be"):
        thin(np.arange(3), np.arange(4.0), 10)
    with pytest.raises(ValueError, match="at least 4"):
        thin(np.arange(10), np.arange(10.0), 3)
