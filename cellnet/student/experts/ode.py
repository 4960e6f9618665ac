"""Integration of an expert's ordinary differential equation over one unit of time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torchdiffeq import odeint

from cellnet.settings.student import OdeMethod

Field = Callable[[Tensor], Tensor]

ADAPTIVE_RELATIVE_TOLERANCE = 1e-4
ADAPTIVE_ABSOLUTE_TOLERANCE = 1e-5


def integrate(field: Field, start: Tensor, *, method: OdeMethod, steps: int) -> Tensor:
    """Solve ds/dt = field(s) from t = 0 to 1.

    Args:
        field: the time-independent right-hand side.
        start: the state at t = 0, any shape.
        method: ``euler``, ``midpoint`` and ``rk4`` take ``steps`` equal steps; ``dopri5`` (torchdiffeq)
            chooses its own, with relative tolerance 1e-4 and absolute tolerance 1e-5 over the batch.
        steps: number of fixed steps.

    Returns:
        The state at t = 1.
    """
    if method == "dopri5":
        times = start.new_tensor([0.0, 1.0])
        path: Tensor = odeint(
            lambda _, state: field(state),
            start,
            times,
            method="dopri5",
            rtol=ADAPTIVE_RELATIVE_TOLERANCE,
            atol=ADAPTIVE_ABSOLUTE_TOLERANCE,
        )
        return path[-1]
    advance = {"euler": _euler, "midpoint": _midpoint, "rk4": _rk4}[method]
    state = start
    for _ in range(steps):
        state = advance(field, state, 1.0 / steps)
    return state


def _euler(field: Field, state: Tensor, dt: float) -> Tensor:
    return torch.add(state, field(state), alpha=dt)


def _midpoint(field: Field, state: Tensor, dt: float) -> Tensor:
    return state + dt * field(state + 0.5 * dt * field(state))


def _rk4(field: Field, state: Tensor, dt: float) -> Tensor:
    k1 = field(state)
    k2 = field(state + 0.5 * dt * k1)
    k3 = field(state + 0.5 * dt * k2)
    k4 = field(state + dt * k3)
    return state + dt / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
