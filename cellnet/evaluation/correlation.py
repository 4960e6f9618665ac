"""Spearman's rank correlation, of a sample or of many weightings of it at once."""

from __future__ import annotations

import numpy as np

from cellnet.evaluation.intervals import Numbers


def spearman(x: Numbers, y: Numbers, weights: Numbers | None = None) -> Numbers:
    """Return Spearman's correlation of x and y (n,) under each row of weights (R, n), as (R,).

    A whole weight stands for as many copies of the item; equal values share the mean of their ranks. NaN
    where either is constant. Without weights all are 1 and R is 1.
    """
    if weights is None:
        weights = np.ones((1, len(x)))
    one, other = _centered_ranks(x, weights), _centered_ranks(y, weights)
    covariance = (weights * one * other).sum(axis=1)
    scale = np.sqrt((weights * one**2).sum(axis=1) * (weights * other**2).sum(axis=1))
    result: Numbers = np.divide(covariance, scale, out=np.full(len(weights), np.nan), where=scale > 0)
    return result


def _centered_ranks(values: Numbers, weights: Numbers) -> Numbers:
    """Ranks of weighted values minus their weighted mean, (R, n)."""
    distinct, place = np.unique(values, return_inverse=True)
    order = np.argsort(place, kind="stable")
    first = np.searchsorted(place[order], np.arange(len(distinct)))
    group = np.add.reduceat(weights[:, order], first, axis=1)
    rank = (np.cumsum(group, axis=1) - group / 2)[:, place]
    total = weights.sum(axis=1, keepdims=True)
    centered: Numbers = rank - (weights * rank).sum(axis=1, keepdims=True) / total
    return centered
