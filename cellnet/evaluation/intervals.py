"""Bootstrap confidence intervals (Efron 1979): the measures of resampled sentences, seeded."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Name = TypeVar("Name", bound=Hashable)

LEVEL = 0.95
_WEIGHTS_AT_ONCE = 2**23


@dataclass(frozen=True)
class Estimate:
    """A measure and its confidence interval with level `LEVEL`.

    NaN where it is undefined, the interval also where it is undefined in a resample.
    """

    value: float
    low: float
    high: float


def estimate(
    measure: Callable[[Numbers], Mapping[Name, Numbers]], count: int, *, resamples: int, seed: int
) -> dict[Name, Estimate]:
    """Return measures of ``count`` items with percentile bootstrap intervals.

    All measures see the same resamples, so that the interval of a difference is a paired one.

    Args:
        measure: maps how often each item counts, (R, count), to measures (R,).
        count: number of items.
        resamples: how many are drawn, with as many items each.
        seed: of the draw.
    """
    values = {name: float(value[0]) for name, value in measure(np.ones((1, count))).items()}
    drawn: dict[Name, list[Numbers]] = {name: [] for name in values}
    for weights in resampled(count, resamples, seed):
        for name, several in measure(weights).items():
            drawn[name].append(several)
    tail = 50.0 * (1.0 - LEVEL)
    estimates = {}
    for name, value in values.items():
        low, high = np.percentile(np.concatenate(drawn[name]), (tail, 100.0 - tail))
        estimates[name] = Estimate(value, float(low), float(high))
    return estimates


def resampled(count: int, resamples: int, seed: int) -> Iterator[Numbers]:
    """Yield how often each of ``count`` items is in each resample, (R, count), many resamples at a time."""
    generator = np.random.default_rng(seed)
    size = max(1, _WEIGHTS_AT_ONCE // count)
    for start in range(0, resamples, size):
        yield np.stack(
            [
                np.bincount(generator.integers(count, size=count), minlength=count).astype(np.float64)
                for _ in range(min(size, resamples - start))
            ]
        )
