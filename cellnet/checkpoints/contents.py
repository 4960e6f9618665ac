"""Checks of what a checkpoint holds against the student and the optimizer that it is to be loaded into.

A checkpoint may come from anywhere. PyTorch loads moments of another shape than their parameter's and then
reads and writes beyond them, converts other dtypes silently, and shares one tensor between two parameters.
So names, shapes, dtypes and values are all checked before anything is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

import torch
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    model_validator,
)
from torch import Tensor, nn

from cellnet.checkpoints.optimizers import check_optimizer, unflatten_optimizer
from cellnet.errors import CheckpointError
from cellnet.settings import LIVE_SETTINGS
from cellnet.student.weights import check_weights

MAX_STEP = 10**8

_MOST_BLOCK_CELLS = 8192
_CUDA_STATE_BYTES = 16
_MERSENNE_WORDS = 624


def _is_live(key: str) -> str:
    if key not in LIVE_SETTINGS:
        raise ValueError(f"{key[:80]!r} is no live setting")
    return key


Step = Annotated[int, Field(ge=0, le=MAX_STEP)]
LiveSetting = Annotated[str, AfterValidator(_is_live)]


class _Part(BaseModel):
    # Strict: True is no number, and neither is "1".
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class LiveChange(_Part):
    """One change of a live setting."""

    step: Step
    key: LiveSetting
    old: FiniteFloat
    new: FiniteFloat


class OrderState(_Part):
    """The place in the order of the batches (see `cellnet.training.data.BatchOrder`)."""

    rows: int = Field(ge=1, le=2**40)
    passes: int = Field(ge=0, le=2**40)
    position: int = Field(ge=0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.position > self.rows:
            raise ValueError(f"position {self.position} is beyond the {self.rows} rows")
        return self


class TrainingState(_Part):
    """The progress of a training, as `state.json` holds it."""

    step: Step
    best_validation: FiniteFloat | None
    best_step: Step | None
    validations_without_improvement: Step
    changes: tuple[LiveChange, ...] = Field(strict=False)
    order: OrderState
    optimizer: Any
    block_cells: int = Field(ge=1, le=_MOST_BLOCK_CELLS)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.best_step is not None and self.best_step > self.step:
            raise ValueError(f"the best step {self.best_step} comes after step {self.step}")
        return self


def check_training(
    tensors: Mapping[str, Mapping[str, Tensor]],
    state: Mapping[str, Any],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
) -> tuple[TrainingState, dict[str, Any]]:
    """Check everything that a training goes on from, and load nothing.

    Args:
        tensors: the groups model, optimizer and random of a checkpoint.
        state: its JSON state.
        model: the student that the weights are for.
        optimizer: the optimizer that the moments are for.

    Returns:
        The progress, and the state for ``optimizer.load_state_dict``.

    Raises:
        CheckpointError: if anything is missing, does not fit or is not finite.
    """
    if missing := {"model", "optimizer", "random"} - tensors.keys():
        raise CheckpointError(f"it has no {', '.join(sorted(missing))}; use another checkpoint")
    check_weights(model, tensors["model"])
    progress = _read_state(state)
    optimizer_state = unflatten_optimizer(tensors["optimizer"], progress.optimizer)
    check_optimizer(optimizer, optimizer_state)
    _check_random(tensors["random"])
    return progress, optimizer_state


def _read_state(state: Mapping[str, Any]) -> TrainingState:
    known = {name: state[name] for name in TrainingState.model_fields if name in state}
    try:
        return TrainingState.model_validate(known)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "progress"
        raise CheckpointError(
            f"its {where} is impossible: {first['msg']}; use another checkpoint"
        ) from None


def _check_random(random: Mapping[str, Tensor]) -> None:
    """Check the states of the random generators; on CUDA the device's own checks come on top."""
    if "cpu" not in random or not random.keys() <= {"cpu", "cuda"}:
        raise _bad_random("not of the CPU, or of an unknown device")
    for device, size in (("cpu", torch.get_rng_state().numel()), ("cuda", _CUDA_STATE_BYTES)):
        state = random.get(device)
        if state is not None and (state.dtype != torch.uint8 or state.shape != (size,)):
            raise _bad_random(f"{tuple(state.shape)} of {state.dtype} for {device} instead of {size} bytes")
    try:
        torch.Generator().set_state(random["cpu"].cpu())
    except RuntimeError as error:
        raise _bad_random(str(error).splitlines()[0]) from None
    # PyTorch checks how many words are left and which is next only one by one, not that the next words
    # lie within its table.
    header = random["cpu"].cpu().numpy()
    left, following = header[8:12].view("<i4").item(), header[16:24].view("<u8").item()
    if left + following > _MERSENNE_WORDS + 1:
        raise _bad_random("it would read beyond its table")


def _bad_random(problem: str) -> CheckpointError:
    return CheckpointError(
        f"the state of its random generator is impossible: {problem}; use another checkpoint"
    )
