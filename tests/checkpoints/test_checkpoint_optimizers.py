"""An optimizer that went through a checkpoint goes on exactly as the one that did not."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cellnet.checkpoints import flatten_optimizer, load_checkpoint, save_checkpoint, unflatten_optimizer
from cellnet.errors import CheckpointError


def build(seed: int, **options: Any) -> tuple[torch.nn.Module, torch.optim.AdamW]:
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
    groups = [
        {"params": [model[0].weight, model[1].weight], "weight_decay": 0.01},
        {"params": [model[0].bias, model[1].bias], "weight_decay": 0.0},
    ]
    return model, torch.optim.AdamW(groups, betas=(0.9, 0.95), **options)


def train(model: torch.nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
    inputs = torch.linspace(-1, 1, 15).reshape(5, 3)
    for _ in range(steps):
        optimizer.zero_grad()
        model(inputs).square().mean().backward()
        optimizer.step()


def assert_same(found: Any, expected: Any) -> None:
    assert type(found) is type(expected)
    if isinstance(expected, Tensor):
        assert found.dtype == expected.dtype
        assert found.shape == expected.shape
        assert torch.equal(found, expected)
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        for key in expected:
            assert_same(found[key], expected[key])
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    else:
        assert found == expected


@pytest.mark.parametrize(
    "options",
    [
        {"lr": 0.01},
        {"lr": 0.01, "amsgrad": True},
        {"lr": 0.01, "fused": True},
        {"lr": torch.tensor(0.01), "fused": True},
        {"lr": torch.tensor(0.01), "foreach": False},
    ],
    ids=["float", "amsgrad", "fused", "fused tensor rate", "tensor rate"],
)
def test_exact_round_trip(tmp_path: Path, options: dict[str, Any]) -> None:
    model, optimizer = build(0, **options)
    train(model, optimizer, 3)
    tensors, description = flatten_optimizer(optimizer.state_dict())
    assert all("pickle" not in name for name in tensors)
    saved = {"model": model.state_dict(), "optimizer": tensors}
    folder = save_checkpoint(tmp_path / "a", saved, {"optimizer": description})

    checkpoint = load_checkpoint(folder)
    state = unflatten_optimizer(checkpoint.tensors["optimizer"], checkpoint.state["optimizer"])
    assert_same(state, optimizer.state_dict())

    other_model, other = build(1, **options)
    other_model.load_state_dict(checkpoint.tensors["model"])
    other.load_state_dict(state)
    train(model, optimizer, 3)
    train(other_model, other, 3)
    for one, two in zip(model.parameters(), other_model.parameters(), strict=True):
        assert torch.equal(one, two)


def test_untrained_and_capturable_flags_survive() -> None:
    _, optimizer = build(0, lr=0.01, capturable=True)
    tensors, description = flatten_optimizer(optimizer.state_dict())
    assert tensors == {}
    state = unflatten_optimizer({}, json.loads(json.dumps(description)))
    assert_same(state, optimizer.state_dict())
    assert state["param_groups"][0]["capturable"] is True


def test_unknown_values_are_refused() -> None:
    with pytest.raises(CheckpointError, match=r"state\.0\.thing is a object"):
        flatten_optimizer({"state": {0: {"thing": object()}}, "param_groups": []})


@pytest.mark.parametrize(
    "description",
    [
        None,
        [],
        {"items": []},
        {"items": [["state", {"tensor": "absent"}]]},
        {"items": [["state"]]},
        {"items": [[["list"], 1]]},
        {"tensor": "a", "more": 1},
        {"unknown": []},
    ],
)
def test_malformed_descriptions_are_refused(description: Any) -> None:
    with pytest.raises(CheckpointError, match="use another checkpoint"):
        unflatten_optimizer({}, description)
