"""An optimizer's state as named tensors and JSON, and back, without loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from cellnet.checkpoints.files import JSON
from cellnet.errors import CheckpointError


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
        CheckpointError: if the description is malformed or names a tensor that is not there.
    """

    def decode(value: Any) -> Any:
        match value:
            case {"tensor": str(name), **rest} if not rest:
                if name not in tensors:
                    raise CheckpointError(
                        f"the optimizer's tensor {name!r} is missing; use another checkpoint of the run"
                    )
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
            case [int() | str() as key, value]:
                return key, decode(value)
        raise CheckpointError(f"not an optimizer's state: {item!r:.80}; use another checkpoint of the run")

    state = decode(description)
    if not isinstance(state, dict) or not {"state", "param_groups"} <= state.keys():
        raise CheckpointError("not an optimizer's state: no param_groups; use another checkpoint")
    return state
