"""The learning rate: linear warm-up, half a cosine, and the floor at the end."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellnet.settings import TrainingSettings
from cellnet.training.schedule import learning_rate, linear_path_share


def test_values_by_hand() -> None:
    settings = TrainingSettings(
        max_steps=100, warmup_steps=10, learning_rate=0.5, min_learning_rate_ratio=0.1
    )
    assert learning_rate(0, settings) == pytest.approx(0.05)
    assert learning_rate(4, settings) == pytest.approx(0.25)
    assert learning_rate(9, settings) == pytest.approx(0.5)
    assert learning_rate(10, settings) == pytest.approx(0.5)
    assert learning_rate(55, settings) == pytest.approx(0.5 * (0.1 + 0.9 * 0.5))
    assert learning_rate(40, settings) == pytest.approx(0.5 * (0.1 + 0.9 * (1 + math.cos(math.pi / 3)) / 2))
    assert learning_rate(100, settings) == pytest.approx(0.05)
    assert learning_rate(1000, settings) == pytest.approx(0.05)


def test_warm_up_takes_at_most_half_of_a_short_training() -> None:
    settings = TrainingSettings(max_steps=10, warmup_steps=100, learning_rate=1.0)
    assert [learning_rate(step, settings) for step in range(5)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


def test_the_rate_takes_its_course_twice_when_the_codec_learns_alone_first() -> None:
    both = TrainingSettings(max_steps=130, codec_steps=100, warmup_steps=10)
    first, second = (TrainingSettings(max_steps=steps, warmup_steps=10) for steps in (100, 30))
    expected = [learning_rate(step, first) for step in range(100)]
    expected += [learning_rate(step, second) for step in range(30)]
    assert [learning_rate(step, both) for step in range(130)] == expected
    shares = [linear_path_share(step, both) for step in range(130)]
    assert shares == [linear_path_share(step, first) for step in range(130)]
    assert shares[100:] == [1.0] * 30


def test_a_training_may_end_while_the_codec_learns() -> None:
    short, whole = (TrainingSettings(max_steps=80, codec_steps=steps) for steps in (100, 80))
    for step in range(80):
        assert learning_rate(step, short) == learning_rate(step, whole)


@given(
    max_steps=st.integers(1, 500),
    warmup=st.integers(0, 300),
    low=st.floats(0.0, 1.0),
)
def test_rates_rise_then_fall_and_stay_within_bounds(max_steps: int, warmup: int, low: float) -> None:
    settings = TrainingSettings(
        max_steps=max_steps, warmup_steps=warmup, learning_rate=0.3, min_learning_rate_ratio=low
    )
    rates = [learning_rate(step, settings) for step in range(max_steps + 1)]
    peak = rates.index(max(rates))
    assert all(0.0 <= rate <= 0.3 + 1e-12 for rate in rates)
    assert all(a <= b + 1e-12 for a, b in pairwise(rates[: peak + 1]))
    assert all(a + 1e-12 >= b for a, b in pairwise(rates[peak:]))
    assert rates[0] > 0.0 or low == 0.0


def test_the_linear_path_reaches_the_full_rate_after_its_share_of_the_training() -> None:
    settings = TrainingSettings(max_steps=100, linear_path_warmup=0.4)
    shares = [linear_path_share(step, settings) for step in (0, 19, 39, 40, 99)]
    assert shares == pytest.approx([1 / 40, 0.5, 1.0, 1.0, 1.0])
    assert linear_path_share(0, TrainingSettings(linear_path_warmup=0.0)) == 1.0
