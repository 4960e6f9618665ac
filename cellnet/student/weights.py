"""Checks of weights from a file, which PyTorch would convert to another dtype or take with NaN in them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from cellnet.errors import CheckpointError

_MOST_NAMED = 3


def check_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Check that weights have the names, shapes and dtypes of a model's and are finite.

    Raises:
        CheckpointError: if they do not fit.
    """
    expected = model.state_dict()
    if missing := expected.keys() - weights.keys():
        raise _misfit(f"{_names(missing)} missing")
    if extra := weights.keys() - expected.keys():
        raise _misfit(f"{_names(extra)} unknown")
    for name, own in expected.items():
        value = weights[name]
        if value.shape != own.shape or value.dtype != own.dtype:
            raise _misfit(
                f"{name} has shape {tuple(value.shape)} and dtype {value.dtype} instead of "
                f"{tuple(own.shape)} and {own.dtype}"
            )
    if broken := {name for name, value in weights.items() if not torch.isfinite(value).all()}:
        raise CheckpointError(f"weights are not finite: {_names(broken)}; use another checkpoint")


def _names(names: set[str]) -> str:
    first = sorted(names)[:_MOST_NAMED]
    return ", ".join(name[:80] for name in first) + (", ..." if len(names) > _MOST_NAMED else "")


def _misfit(problem: str) -> CheckpointError:
    return CheckpointError(f"the weights do not fit its settings: {problem}; use another checkpoint")
