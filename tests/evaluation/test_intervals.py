"""Bootstrap intervals: their draw, their coverage, and that differences are paired."""

import numpy as np
import pytest

from cellnet.evaluation.intervals import estimate, resampled


def test_each_resample_has_as_many_items_and_the_draw_is_that_of_the_seed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [weights] = resampled(17, 30, seed=3)
    assert weights.shape == (30, 17)
    assert (weights.sum(axis=1) == 17).all()
    assert weights.min() == 0
    monkeypatch.setattr("cellnet.evaluation.intervals._WEIGHTS_AT_ONCE", 17 * 4)
    assert np.array_equal(np.concatenate(list(resampled(17, 30, seed=3))), weights)
    assert not np.array_equal(np.concatenate(list(resampled(17, 30, seed=4))), weights)


def test_the_interval_of_a_mean_is_about_two_standard_errors() -> None:
    x = np.random.default_rng(0).normal(5.0, 2.0, size=400)
    found = estimate(
        lambda weights: {"mean": weights @ x / weights.sum(axis=1)}, 400, resamples=2000, seed=0
    )["mean"]
    assert found.value == pytest.approx(x.mean(), rel=1e-12)
    error = x.std() / 20
    assert found.low == pytest.approx(x.mean() - 1.96 * error, abs=0.15 * error)
    assert found.high == pytest.approx(x.mean() + 1.96 * error, abs=0.15 * error)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    generator = np.random.default_rng(1)
    hits = 0
    for trial in range(200):
        x = generator.exponential(size=60)
        found = estimate(lambda weights, x=x: {"mean": weights @ x / 60}, 60, resamples=200, seed=trial)[
            "mean"
        ]
        hits += found.low <= 1.0 <= found.high
    assert 0.88 <= hits / 200 <= 0.98


def test_differences_are_paired() -> None:
    generator = np.random.default_rng(2)
    x = generator.normal(size=200)
    y = x - 0.1 + 0.01 * generator.normal(size=200)
    found = estimate(
        lambda weights: {"x": weights @ x / 200, "difference": weights @ x / 200 - weights @ y / 200},
        200,
        resamples=500,
        seed=0,
    )
    assert found["x"].high - found["x"].low > 0.2
    assert 0.098 < found["difference"].low < 0.1 < found["difference"].high < 0.102
