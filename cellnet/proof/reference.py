"""The lattice written down a second time, densely and in float64, to compare with.

It knows the weights by their names and nothing of the modules: neighbors are (N, N) masks, attention is a
plain softmax over all cells, a mean is a product with a matrix. An expert that is not written down here
runs as it is, over such masks: compared are then its neighbors, the gate and the mixture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torchdiffeq import odeint

from cellnet.lattice.geometry import Tier
from cellnet.settings import Settings
from cellnet.settings.student import OdeMethod
from cellnet.student.experts import EXPERTS, Neighborhood
from cellnet.student.experts.attention import NeighborAttention

_FINE_STEPS = 200
_SOFTNESS = 4.0


class DenseNeighborhood(Neighborhood):
    """The neighborhood of a tier that is a mask: cell n has the neighbors m with ``mask[n, m]``.

    Args:
        own: normalized states, (N, B, C).
        mask: (N, N) boolean.
    """

    def __init__(self, own: Tensor, mask: Tensor) -> None:
        self._own = own.transpose(0, 1)
        self._mask = mask

    @property
    def is_empty(self) -> bool:
        return not bool(self._mask.any())

    @property
    def sum(self) -> Tensor:
        return (self._mask.double() @ self._own).transpose(0, 1)

    @property
    def mean(self) -> Tensor:
        return _mean(self._mask, self._own).transpose(0, 1)

    def attend(self, query: Tensor, key_and_value: Tensor, attention: NeighborAttention) -> Tensor:
        key, value = key_and_value.transpose(0, 1).chunk(2, dim=-1)
        return _attend(query.transpose(0, 1), key, value, self._mask, attention.heads).transpose(0, 1)


class DenseLattice:
    """One step of the lattice.

    Args:
        weights: the lattice's ``state_dict``, float64.
        temperature: of the gate.
        masks: which cell sees which, (N, N) for each tier.
        settings: heads and integration.
        modules: experts that are not written down here, by name.

    Raises:
        KeyError: if a weight is missing.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        temperature: float,
        masks: Mapping[Tier, Tensor],
        settings: Settings,
        modules: Mapping[str, nn.Module],
    ) -> None:
        self.weights = weights
        self.temperature = temperature
        self.masks = masks
        self.settings = settings
        self.modules = modules

    def step(self, states: Tensor) -> Tensor:
        """Return the states (B, N, C) one step later."""
        size = (states.square().mean(dim=-1, keepdim=True) + _SOFTNESS).sqrt()
        own = states / size * self.weights["normalize.weight"]
        activity = _mean(self.masks["local"] | self.masks["functional"] | self.masks["distant"], own)
        scores = self._perceptron("gate.score", torch.cat([own, activity], dim=-1))
        gate = torch.exp(scores / self.temperature)
        gate = gate / gate.sum(dim=-1, keepdim=True)
        written = {"local": self._local, "functional": self._functional, "distant": self._distant}
        for place, (name, kind) in enumerate(EXPERTS.items()):
            if name in written:
                change = written[name](own)
            else:
                engine = own.transpose(0, 1)
                neighborhood = DenseNeighborhood(engine, self.masks[kind.tier])
                change = self.modules[name](engine, neighborhood).transpose(0, 1)
            states = states + gate[..., place, None] * change
        return states

    def _local(self, own: Tensor) -> Tensor:
        return self._perceptron("local.update", torch.cat([own, _mean(self.masks["local"], own)], dim=-1))

    def _distant(self, own: Tensor) -> Tensor:
        distant = self.settings.distant
        drive = self._linear("distant.from_mean", _mean(self.masks["distant"], own))
        return self._flow("distant.field", own, drive, distant.ode_method, distant.integration_steps)

    def _functional(self, own: Tensor) -> Tensor:
        functional = self.settings.functional
        size, hidden = own.shape[-1], functional.hidden_size
        projected = self._linear("functional.from_own", own)
        query, key, value, own_update, own_mix = projected.split((size, size, size, hidden, size), dim=-1)
        context = _attend(query, key, value, self.masks["functional"], functional.heads)
        context = self._linear("functional.from_context", context)
        update, drive, mix = context.split((hidden, hidden, size), dim=-1)
        update = own_update + update
        discrete = self._linear("functional.to_change", update * torch.sigmoid(update))
        flow = self._flow(
            "functional.field", own, drive, functional.ode_method, functional.integration_steps
        )
        share = 1.0 / (1.0 + torch.exp(-(own_mix + mix)))
        return share * discrete + (1.0 - share) * flow

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


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, heads: int) -> Tensor:
    """Attend with queries, keys and values (B, N, C): a softmax over the neighbors in the mask (N, N)."""
    answers = []
    for q, k, v in zip(*(x.chunk(heads, dim=-1) for x in (query, key, value)), strict=True):
        score = q @ k.transpose(1, 2) / q.shape[-1] ** 0.5
        score = score.masked_fill(~mask, -torch.inf)
        weight = torch.exp(score - score.amax(dim=-1, keepdim=True).clamp_min(-1e300))
        answers.append(weight @ v / weight.sum(dim=-1, keepdim=True).clamp_min(1e-300))
    return torch.cat(answers, dim=-1)


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
