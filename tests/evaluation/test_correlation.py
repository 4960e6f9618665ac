"""Spearman's correlation against SciPy, also of weighted and of tied values."""

import numpy as np
import pytest
from scipy import stats

from cellnet.evaluation.correlation import spearman


@pytest.mark.parametrize("decimals", [12, 1, 0])
def test_it_is_that_of_scipy_with_and_without_ties(decimals: int) -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=60).round(decimals)
    y = (x + generator.normal(size=60)).round(decimals)
    [found] = spearman(x, y)
    assert found == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)


def test_a_weight_is_a_number_of_copies() -> None:
    generator = np.random.default_rng(1)
    x, y = generator.integers(8, size=30).astype(float), generator.normal(size=30).round(1)
    weights = generator.integers(4, size=(5, 30)).astype(float)
    for row, found in zip(weights.astype(int), spearman(x, y, weights), strict=True):
        expected = stats.spearmanr(np.repeat(x, row), np.repeat(y, row)).statistic
        assert found == pytest.approx(expected, abs=1e-12)


def test_of_a_constant_there_is_none() -> None:
    assert np.isnan(spearman(np.ones(5), np.arange(5.0)))[0]
    weights = np.array([[0.0, 2.0, 2.0, 0.0]])
    assert np.isnan(spearman(np.array([1.0, 2.0, 2.0, 3.0]), np.arange(4.0), weights))[0]
