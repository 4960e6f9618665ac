"""The lattice written down a second time, densely and in float64, to compare with.

It knows the weights by their names and nothing of the modules: neighbors are (N, N) masks, attention is a
plain softmax over all cells, a mean is a product with a matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torchdiffeq import odeint

from cellnet.lattice.geometry import TIERS, Tier
from cellnet.settings import Settings
from cellnet.settings.student import OdeMethod

_FINE_STEPS = 200
_SOFTNESS = 4.0


class DenseLattice:
    """One step of the lattice.

    Args:
        weights: the lattice's ``state_dict``, float64.
        temperature: of the gate.
        masks: which cell sees which, (N, N) for each tier.
        settings: heads and integration.

    Raises:
        KeyError: if a weight is missing.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        temperature: float,
        masks: Mapping[Tier, Tensor],
        settings: Settings,
    ) -> None:
        self.weights = weights
        self.temperature = temperature
        self.masks = masks
        self.settings = settings

    def step(self, states: Tensor) -> Tensor:
        """Return the states (B, N, C) one step later."""
        size = (states.square().mean(dim=-1, keepdim=True) + _SOFTNESS).sqrt()
        own = states / size * self.weights["normalize.weight"]
        means = {tier: _mean(self.masks[tier], own) for tier in TIERS}
        activity = _mean(self.masks["local"] | self.masks["functional"] | self.masks["distant"], own)
        scores = self._perceptron("gate.score", torch.cat([own, activity], dim=-1))
        gate = torch.exp(scores / self.temperature)
        gate = gate / gate.sum(dim=-1, keepdim=True)
        distant = self.settings.distant
        changes = (
            self._perceptron("local.update", torch.cat([own, means["local"]], dim=-1)),
            self._functional(own),
            self._flow(
                "distant.field",
                own,
                self._linear("distant.from_mean", means["distant"]),
                distant.ode_method,
                distant.integration_steps,
            ),
        )
        for place, change in enumerate(changes):
            states = states + gate[..., place, None] * change
        return states

    def _functional(self, own: Tensor) -> Tensor:
        functional = self.settings.functional
        size, hidden = own.shape[-1], functional.hidden_size
        projected = self._linear("functional.from_own", own)
        query, key, value, own_update, own_mix = projected.split((size, size, size, hidden, size), dim=-1)
        context = self._linear("functional.from_context", self._attend(query, key, value))
        update, drive, mix = context.split((hidden, hidden, size), dim=-1)
        update = own_update + update
        discrete = self._linear("functional.to_change", update * torch.sigmoid(update))
        flow = self._flow(
            "functional.field", own, drive, functional.ode_method, functional.integration_steps
        )
        share = 1.0 / (1.0 + torch.exp(-(own_mix + mix)))
        return share * discrete + (1.0 - share) * flow

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        mask = self.masks["functional"]
        answers = []
        heads = (x.chunk(self.settings.functional.heads, dim=-1) for x in (query, key, value))
        for q, k, v in zip(*heads, strict=True):
            score = q @ k.transpose(1, 2) / q.shape[-1] ** 0.5
            score = score.masked_fill(~mask, -torch.inf)
            weight = torch.exp(score - score.amax(dim=-1, keepdim=True).clamp_min(-1e300))
            answers.append(weight @ v / weight.sum(dim=-1, keepdim=True).clamp_min(1e-300))
        return torch.cat(answers, dim=-1)

    def _flow(self, name: str, own: Tensor, drive: Tensor, method: OdeMethod, steps: int) -> Tensor:
        def field(state: Tensor) -> Tensor:
            hidden = self._linear(f"{name}.from_state", state) + drive
            return self._linear(f"{name}.to_change", hidden * torch.sigmoid(hidden))

        return _solve(field, own, method, steps) - own

    def _perceptron(self, name: str, values: Tensor) -> Tensor:
        hidden = self._linear(f"{name}.0", values)
        return self._linear(f"{name}.2", hidden * torch.sigmoid(hidden))

    def _linear(self, name: str, values: Tensor) -> Tensor:
        result = values @ self.weights[f"{name}.weight"].T
        bias = self.weights.get(f"{name}.bias")
        return result if bias is None else result + bias


def _mean(mask: Tensor, values: Tensor) -> Tensor:
    weights = mask.double()
    return weights @ values / weights.sum(dim=1, keepdim=True).clamp_min(1.0)


def _solve(field: Callable[[Tensor], Tensor], start: Tensor, method: OdeMethod, steps: int) -> Tensor:
    """Solve ds/dt = field(s) from 0 to 1 with torchdiffeq; an adaptive method is held against fine rk4."""
    if method in ("euler", "midpoint"):
        times = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
        path: Tensor = odeint(lambda _, state: field(state), start, times, method=method)
        return path[-1]
    state, count = start, steps if method == "rk4" else _FINE_STEPS
    for _ in range(count):
        slopes = [field(state)]
        for share in (0.5, 0.5, 1.0):
            slopes.append(field(state + share / count * slopes[-1]))
        state = state + (slopes[0] + 2 * slopes[1] + 2 * slopes[2] + slopes[3]) / (6 * count)
    return state
