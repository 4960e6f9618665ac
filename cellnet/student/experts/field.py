"""The right-hand side that both continuous parts share: a small network driven by a fixed input."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cellnet.settings.student import OdeMethod
from cellnet.student.experts.ode import integrate
from cellnet.student.layers import ChangeLinear


class DrivenField(nn.Module):
    """Solve ds/dt = W2 silu(W1 s + d) with a drive d that stays fixed, and return s(1) - s(0).

    W2 starts small, so that the untrained field moves the state a little (see `ChangeLinear`).
    """

    def __init__(self, state_size: int, hidden_size: int, *, method: OdeMethod, steps: int) -> None:
        super().__init__()
        self.from_state = nn.Linear(state_size, hidden_size, bias=False)
        self.activation = nn.SiLU()
        self.to_change = ChangeLinear(hidden_size, state_size)
        self.method: OdeMethod = method
        self.steps = steps

    def forward(
        self, start: Float[Tensor, "*places channels"], drive: Float[Tensor, "*places hidden"]
    ) -> Float[Tensor, "*places channels"]:
        """Return the change (..., C) of states (..., C) under the drive (..., H) in one unit of time."""
        pushed = drive.flatten(0, -2)
        weight = self.from_state.weight.T

        def field(state: Tensor) -> Tensor:
            change: Tensor = self.to_change(self.activation(torch.addmm(pushed, state, weight)))
            return change

        flat = start.flatten(0, -2)
        end = integrate(field, flat, method=self.method, steps=self.steps)
        return (end - flat).view_as(start)
