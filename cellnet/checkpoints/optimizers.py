"""An optimizer's state as named tensors and JSON, and back, without loss, checked before it is loaded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from cellnet.checkpoints.files import JSON
from cellnet.errors import CheckpointError

_MOMENTS = ("exp_avg", "exp_avg_sq")
_KEYS_OF_SOME_VERSIONS = {"decoupled_weight_decay"}
"""Keys of a group that PyTorch's AdamW sets by itself when they are missing, and older versions lack."""


def flatten_optimizer(state: Mapping[str, Any]) -> tuple[dict[str, Tensor], JSON]:
    """Split ``optimizer.state_dict()`` into its tensors and a JSON description of everything else.

    Returns:
        The tensors, named by their place (``state.0.exp_avg``, ``param_groups.0.lr``), not copied; and
        JSON in which a tensor is ``{"tensor": name}``, a tuple ``{"tuple": [...]}`` and a dict
        ``{"items": [[key, value], ...]}``, so that integer keys and tuples come back as they were.

    Raises:
        CheckpointError: if the state holds something else than tensors and plain values.
    """
    tensors: dict[str, Tensor] = {}

    def encode(value: Any, name: str) -> JSON:
        if isinstance(value, Tensor):
            tensors[name] = value
            return {"tensor": name}
        if isinstance(value, Mapping):
            below = f"{name}." if name else ""
            return {"items": [[key, encode(item, f"{below}{key}")] for key, item in value.items()]}
        if isinstance(value, tuple | list):
            items = [encode(item, f"{name}.{index}") for index, item in enumerate(value)]
            return {"tuple": items} if isinstance(value, tuple) else items
        if value is None or isinstance(value, bool | int | float | str):
            return value
        raise CheckpointError(
            f"the optimizer's {name} is a {type(value).__name__}, which a checkpoint cannot hold; use an "
            "optimizer whose state is tensors and numbers, such as AdamW"
        )

    description = encode(state, "")
    return tensors, description


def unflatten_optimizer(tensors: Mapping[str, Tensor], description: JSON) -> dict[str, Any]:
    """Put together what `flatten_optimizer` split, for ``optimizer.load_state_dict``.

    ``load_state_dict`` moves moments to the device of their parameter, but leaves a learning rate that is
    a tensor where it is: load the checkpoint to the device that the learning rate must be on, or move it.

    Raises:
        CheckpointError: if the description is malformed, or names a tensor that is not there or one twice.
    """
    used: set[str] = set()

    def decode(value: Any) -> Any:
        match value:
            case {"tensor": str(name), **rest} if not rest:
                if name not in tensors:
                    raise CheckpointError(
                        f"the optimizer's tensor {name!r:.80} is missing; use another checkpoint of the run"
                    )
                if name in used:
                    raise CheckpointError(
                        f"the optimizer's tensor {name!r:.80} is used twice; use another checkpoint"
                    )
                used.add(name)
                return tensors[name]
            case {"tuple": [*items], **rest} if not rest:
                return tuple(map(decode, items))
            case {"items": [*items], **rest} if not rest:
                return dict(map(decode_item, items))
            case [*items]:
                return list(map(decode, items))
            case None | bool() | int() | float() | str():
                return value
        raise CheckpointError(f"not an optimizer's state: {value!r:.80}; use another checkpoint of the run")

    def decode_item(item: Any) -> tuple[int | str, Any]:
        match item:
            case [int() | str() as key, value] if not isinstance(key, bool):
                return key, decode(value)
        raise CheckpointError(f"not an optimizer's state: {item!r:.80}; use another checkpoint of the run")

    try:
        state = decode(description)
    except RecursionError:
        raise CheckpointError(
            "not an optimizer's state: it is nested too deeply; use another checkpoint"
        ) from None
    if not isinstance(state, dict) or not {"state", "param_groups"} <= state.keys():
        raise CheckpointError("not an optimizer's state: no param_groups; use another checkpoint")
    return state


def check_optimizer(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Check that a state is one that this AdamW (without amsgrad) may load.

    A parameter that had no gradient yet has no moments. The learning rate may be a number or a tensor,
    whichever the optimizer has.

    Raises:
        CheckpointError: if groups, parameters, shapes, dtypes or values do not fit.
    """
    own = optimizer.state_dict()["param_groups"]
    groups, moments = state["param_groups"], state["state"]
    if state.keys() != {"state", "param_groups"} or not isinstance(moments, dict):
        raise _misfit("it does not consist of a state and param_groups")
    if not isinstance(groups, list) or len(groups) != len(own):
        raise _misfit(f"it does not have {len(own)} groups of parameters")
    parameters: dict[int, Tensor] = {}
    for index, (group, own_group, live) in enumerate(zip(groups, own, optimizer.param_groups, strict=True)):
        _check_group(f"param_groups.{index}", group, own_group)
        parameters.update(zip(own_group["params"], live["params"], strict=True))
    if unknown := moments.keys() - parameters.keys():
        raise _misfit(f"it has moments of the unknown parameter {next(iter(unknown))!r:.80}")
    for index, entry in moments.items():
        _check_moments(f"state.{index}", entry, parameters[index])


def _check_group(name: str, group: Any, own: Mapping[str, Any]) -> None:
    if not isinstance(group, dict) or not (group.keys() ^ own.keys()) <= _KEYS_OF_SOME_VERSIONS:
        raise _misfit(f"{name} does not have the keys {', '.join(own)}")
    for key, value in group.items():
        match key:
            case "lr":
                fits = _is_rate(value)
            case "betas":
                fits = (
                    isinstance(value, tuple)
                    and len(value) == 2
                    and all(isinstance(beta, float) and 0 <= beta < 1 for beta in value)
                )
            case "eps":
                fits = _is_number(value) and value > 0
            case "weight_decay":
                fits = _is_number(value)
            case _:
                fits = key not in own or (type(value) is type(own[key]) and value == own[key])
        if not fits:
            raise _misfit(f"{name}.{key} is impossible")


def _check_moments(name: str, entry: Any, parameter: Tensor) -> None:
    if not isinstance(entry, dict) or entry.keys() != {"step", *_MOMENTS}:
        raise _misfit(f"{name} does not have exactly step, {', '.join(_MOMENTS)}")
    for key, shape, dtype in (
        ("step", torch.Size(), torch.float32),
        *((moment, parameter.shape, parameter.dtype) for moment in _MOMENTS),
    ):
        value = entry[key]
        if not isinstance(value, Tensor) or value.shape != shape or value.dtype != dtype:
            raise _misfit(f"{name}.{key} is no tensor of shape {tuple(shape)} and dtype {dtype}")
        if not torch.isfinite(value).all() or (key != "exp_avg" and (value < 0).any()):
            raise _misfit(f"{name}.{key} is not finite, or negative")


def _is_rate(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.shape == () and value.is_floating_point() and _is_number(value.item())
    return _is_number(value)


def _is_number(value: Any) -> bool:
    """Whether a value is a finite number of 0 or more."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def _misfit(problem: str) -> CheckpointError:
    return CheckpointError(f"the optimizer's state does not fit: {problem}; use another checkpoint")
