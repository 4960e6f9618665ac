"""The lattice: a dense float64 reference, locality, independence of samples, and what a run records."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from cellnet.lattice.cells import CellValues
from cellnet.lattice.geometry import TIERS, Tier
from cellnet.settings import Settings
from cellnet.student.cube import Lattice3D
from cellnet.student.damage import Intervention
from cellnet.student.layers import initialize

THREE_TIERS = {
    "adaptive_radius_ratio": 0.22,
    "local_distance_ratio": 0.6,
    "functional_distance_ratio": 0.85,
    "distant_distance_ratio": 1.0,
}
SIZE = 4


def make(
    dimensions: tuple[int, int, int] = (8, 3, 4), *, lattice: dict[str, Any] | None = None, **groups: Any
) -> Lattice3D:
    """Make a small lattice whose layers are all random, those that start at zero too."""
    settings = Settings(
        lattice={"dimensions": dimensions, **THREE_TIERS, **(lattice or {})},
        **{
            "model": {"state_size": SIZE, "steps": 3},
            "functional": {"hidden_size": 6, "heads": 2},
            "local": {"hidden_size": 5},
            "distant": {"hidden_size": 7, "ode_method": "midpoint", "integration_steps": 2},
            **groups,
        },
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        cube = Lattice3D(settings)
        for parameter in cube.parameters():
            torch.nn.init.normal_(parameter, std=0.4)
    return cube


def random_states(cube: Lattice3D, batch: int = 3, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    shape = (batch, cube.settings.lattice.cell_count, SIZE)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


class DenseReference:
    """The step of the design written with N x N matrices, in linear order and float64."""

    def __init__(self, cube: Lattice3D) -> None:
        self.weights = {name: value.detach().double() for name, value in cube.named_parameters()}
        self.settings = cube.settings
        lattice = cube.settings.lattice
        cells = torch.tensor(list(itertools.product(*map(range, lattice.dimensions)))).double()
        gaps = (cells[:, None] - cells[None]).abs()
        if lattice.boundary == "toroidal":
            gaps = torch.minimum(gaps, torch.tensor(lattice.dimensions) - gaps)
        r = gaps.square().sum(dim=-1).sqrt()
        radius = max(lattice.dimensions) * lattice.adaptive_radius_ratio
        bounds = [radius * getattr(lattice, f"{tier}_distance_ratio") for tier in TIERS]
        lower = [0.0, *bounds[:2]]
        self.adjacent = {t: (r > a) & (r <= b) for t, a, b in zip(TIERS, lower, bounds, strict=True)}

    def linear(self, name: str, x: Tensor) -> Tensor:
        answer = x @ self.weights[f"{name}.weight"].T
        return answer + self.weights[f"{name}.bias"] if f"{name}.bias" in self.weights else answer

    def perceptron(self, name: str, x: Tensor) -> Tensor:
        hidden = self.linear(f"{name}.0", x)
        return self.linear(f"{name}.2", hidden * torch.sigmoid(hidden))

    def flow(self, name: str, start: Tensor, drive: Tensor, method: str, steps: int) -> Tensor:
        def slope(state: Tensor) -> Tensor:
            hidden = self.linear(f"{name}.from_state", state) + drive
            return self.linear(f"{name}.to_change", hidden * torch.sigmoid(hidden))

        state = start
        for _ in range(steps):
            middle = state + slope(state) / (2 * steps) if method == "midpoint" else state
            state = state + slope(middle) / steps
        return state - start

    def mean(self, adjacent: Tensor, h: Tensor) -> Tensor:
        count = adjacent.sum(dim=1).clamp_min(1)
        return torch.einsum("ij,bjc->bic", adjacent.double(), h) / count[:, None]

    def attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        heads, adjacent = self.settings.functional.heads, self.adjacent["functional"]
        answers = []
        for qh, kh, vh in zip(*(x.chunk(heads, dim=-1) for x in (q, k, v)), strict=True):
            scores = torch.einsum("bic,bjc->bij", qh, kh) / qh.shape[-1] ** 0.5
            weights = scores.exp() * adjacent
            weights = weights / weights.sum(dim=-1, keepdim=True).clamp_min(1e-300)
            answers.append(weights @ vh)
        return torch.cat(answers, dim=-1)

    def step(self, s: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = s / (s.square().mean(dim=-1, keepdim=True) + 4.0).sqrt() * self.weights["normalize.weight"]
        local = self.perceptron(
            "local.update", torch.cat([h, self.mean(self.adjacent["local"], h)], dim=-1)
        )
        functional, distant = self.settings.functional, self.settings.distant
        c, hidden = h.shape[-1], functional.hidden_size
        *attended, own_update, own_mix = self.linear("functional.from_own", h).split(
            (c, c, c, hidden, c), dim=-1
        )
        update, drive, mix = self.linear("functional.from_context", self.attention(*attended)).split(
            (hidden, hidden, c), dim=-1
        )
        share = torch.sigmoid(own_mix + mix)
        flow = self.flow("functional.field", h, drive, functional.ode_method, functional.integration_steps)
        update = own_update + update
        graph = self.linear("functional.to_change", update * torch.sigmoid(update))
        far = self.linear("distant.from_mean", self.mean(self.adjacent["distant"], h))
        changes = torch.stack(
            [
                local,
                share * graph + (1 - share) * flow,
                self.flow("distant.field", h, far, distant.ode_method, distant.integration_steps),
            ],
            dim=2,
        )
        activity = self.mean(torch.stack(list(self.adjacent.values())).any(dim=0), h)
        scores = self.perceptron("gate.score", torch.cat([h, activity], dim=-1))
        gate = (scores / self.settings.gate.temperature).exp()
        gate = gate / gate.sum(dim=-1, keepdim=True)
        return s + (gate.unsqueeze(-1) * changes).sum(dim=2), gate, changes


CASES: list[tuple[tuple[int, int, int], dict[str, Any]]] = [
    ((8, 3, 4), {}),
    ((4, 8, 3), {"boundary": "toroidal"}),
    (
        (8, 4, 3),
        {"adaptive_radius_ratio": 0.5, "local_distance_ratio": 0.3, "functional_distance_ratio": 0.6},
    ),
    ((4, 4, 4), {"boundary": "toroidal", "adaptive_radius_ratio": 1.0, "local_distance_ratio": 0.3}),
    ((8, 3, 4), {"local_distance_ratio": 0.1}),
    ((3, 3, 3), {"adaptive_radius_ratio": 0.1}),
]


@pytest.mark.parametrize(("dimensions", "lattice"), CASES)
@pytest.mark.parametrize(
    "groups", [{}, {"gate": {"temperature": 0.3}, "functional": {"ode_method": "midpoint"}}]
)
def test_forward_equals_the_dense_reference(
    dimensions: tuple[int, int, int], lattice: dict[str, Any], groups: dict[str, Any]
) -> None:
    cube = make(dimensions, lattice=lattice, **groups).double()
    reference = DenseReference(cube)
    states = random_states(cube, dtype=torch.float64)
    with torch.no_grad():
        found = cube(states, keep_trace=True)
    for step, trace in enumerate(found.trace):
        before = states
        states, gate, changes = reference.step(states)
        torch.testing.assert_close(trace.gate, gate, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(trace.changes, changes, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(trace.states, states, rtol=1e-6, atol=1e-6)
        flat = (states - before).flatten(1), before.flatten(1)
        ratio = flat[0].square().mean(dim=1).sqrt() / flat[1].square().mean(dim=1).sqrt()
        torch.testing.assert_close(found.relative_change[step].double(), ratio, rtol=1e-5, atol=0)
    assert len(found.trace) == 3
    torch.testing.assert_close(found.final, states, rtol=1e-6, atol=1e-6)


def test_single_precision_is_close_to_the_reference() -> None:
    cube = make()
    states = random_states(cube, dtype=torch.float64)
    expected = states
    for _ in range(3):
        expected, _, _ = DenseReference(cube).step(expected)
    with torch.no_grad():
        found = cube(states.float()).final
    assert float((found - expected).norm() / expected.norm()) < 1e-5


@pytest.mark.parametrize("boundary", ["open", "toroidal"])
def test_order_and_block_size_change_nothing(boundary: str) -> None:
    results = []
    for morton, block_cells in ((True, 0), (False, 0), (True, 1), (True, 13), (False, 96), (True, 5000)):
        cube = make(
            lattice={"enable_morton_encoding": morton, "boundary": boundary},
            neighbors={"block_cells": block_cells},
        ).double()
        results.append(cube(random_states(cube, dtype=torch.float64)).final)
    for result in results[1:]:
        torch.testing.assert_close(result, results[0], rtol=1e-12, atol=1e-12)


def within(cube: Lattice3D, cell: int, steps: int, tiers: tuple[Tier, ...] = TIERS) -> Tensor:
    """Return which cells a change of ``cell`` can have reached after some steps, by dense products."""
    adjacent = DenseReference(cube).adjacent
    seen = torch.zeros(cube.settings.lattice.cell_count, dtype=torch.bool)
    seen[cell] = True
    for _ in range(steps):
        seen = seen | torch.stack([adjacent[tier][seen].any(dim=0) for tier in tiers]).any(dim=0)
    return seen


@pytest.mark.parametrize("boundary", ["open", "toroidal"])
@pytest.mark.parametrize("cell", [0, 50])
def test_a_perturbation_reaches_exactly_the_cells_within_reach(boundary: str, cell: int) -> None:
    cube = make((8, 8, 5), lattice={"boundary": boundary}).double()
    states = random_states(cube, batch=1, dtype=torch.float64)
    moved = states.clone()
    moved[:, cell] = moved[:, cell].flip(-1)  # A shift of all channels would vanish in the normalization.
    with torch.no_grad():
        one, two = (cube(x, keep_trace=True).trace for x in (states, moved))
    for step in range(3):
        changed = (one[step].states != two[step].states).any(dim=-1)[0]
        assert torch.equal(changed, within(cube, cell, step + 1))
    assert bool(changed.all()) is False


@pytest.mark.parametrize("tier", TIERS)
def test_each_expert_alone_carries_a_perturbation_over_its_own_tier(tier: Tier) -> None:
    cube = make((8, 8, 5)).double()
    torch.nn.init.zeros_(cube.gate.score[0].weight[:, SIZE:])  # The gate listens to its own cell alone.
    states = random_states(cube, batch=1, dtype=torch.float64)
    moved = states.clone()
    moved[:, 50] = moved[:, 50].flip(-1)
    silenced = frozenset(TIERS) - {tier}
    with torch.no_grad():
        one, two = (
            cube(x, keep_trace=True, intervention=Intervention(silenced=silenced)).trace
            for x in (states, moved)
        )
    for step in range(3):
        changed = (one[step].states != two[step].states).any(dim=-1)[0]
        assert torch.equal(changed, within(cube, 50, step + 1, (tier,)))


def test_samples_do_not_mix() -> None:
    cube = make()
    states = random_states(cube, batch=4)
    other = states.clone()
    other[1] = torch.nan
    other[3] *= 100.0
    with torch.no_grad():
        one, two = cube(states).final, cube(other).final
    assert torch.equal(one[[0, 2]], two[[0, 2]])
    assert not torch.equal(one[3], two[3])


def test_permuting_the_batch_permutes_the_result() -> None:
    cube = make().double()
    states = random_states(cube, batch=4, dtype=torch.float64)
    order = torch.tensor([2, 0, 3, 1])
    with torch.no_grad():
        torch.testing.assert_close(cube(states[order]).final, cube(states).final[order])


@pytest.mark.parametrize("tier", TIERS)
def test_silencing_removes_one_proposal_and_leaves_the_gate(tier: Tier) -> None:
    cube = make()
    states = random_states(cube)
    with torch.no_grad():
        whole = cube(states, steps=1, keep_trace=True)
        part = cube(states, steps=1, keep_trace=True, intervention=Intervention(silenced={tier}))
    assert torch.equal(whole.trace[0].gate, part.trace[0].gate)
    place = TIERS.index(tier)
    missing = whole.trace[0].gate[..., place, None] * whole.trace[0].changes[:, :, place]
    torch.testing.assert_close(part.final, whole.final - missing)


def test_an_untrained_lattice_computes_but_leaves_channel_0_alone() -> None:
    cube = make()
    initialize(cube, cube.settings.init)
    for train in (True, False):
        cube.train(train)
        states = random_states(cube)
        found = cube(states)
        assert torch.equal(found.final[..., 0], states[..., 0])
        assert (found.final[..., 1:] != states[..., 1:]).all()
        assert 0.001 < found.relative_change.min() < found.relative_change.max() < 0.5


def test_an_untrained_lattice_with_an_expert_gain_of_0_is_the_identity() -> None:
    cube = make(init={"expert_gain": 0.0})
    initialize(cube, cube.settings.init)
    states = random_states(cube)
    assert torch.equal(cube(states).final, states)


def test_normalization_keeps_the_size_of_small_states_and_bounds_that_of_large_ones() -> None:
    normalize = make().normalize
    torch.nn.init.constant_(normalize.weight, 5.0**0.5)
    state = torch.randn(SIZE, dtype=torch.float64)
    state /= state.square().mean().sqrt()
    normalize.double()
    torch.testing.assert_close(normalize(state), state)
    half, huge = normalize(0.5 * state).norm() / state.norm(), normalize(1e6 * state).norm() / state.norm()
    assert 0.5 < half < 0.6
    assert abs(huge - 5.0**0.5) < 1e-6


@pytest.mark.parametrize("morton", [True, False])
def test_the_order_in_which_states_come_does_not_matter(morton: bool) -> None:
    cube = make(lattice={"enable_morton_encoding": morton})
    states = random_states(cube)
    order = torch.randperm(states.shape[1], generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        one = cube(states, keep_trace=True)
        other = cube(CellValues(states.transpose(0, 1)[order], torch.argsort(order)), keep_trace=True)
    assert torch.equal(one.initial, states)
    assert torch.equal(other.initial, states)
    assert torch.equal(one.final, other.final)
    for a, b in zip(one.trace, other.trace, strict=True):
        assert torch.equal(a.states, b.states)
        assert torch.equal(a.gate, b.gate)
        assert torch.equal(a.changes, b.changes)


def test_a_run_ends_early_only_when_asked_and_only_when_settled() -> None:
    cube = make(model={"state_size": SIZE, "steps": 6, "convergence_threshold": 1e-3})
    with torch.no_grad():
        for expert in (cube.local, cube.functional, cube.distant):
            for parameter in expert.parameters():
                parameter.mul_(1e-3)
    states = random_states(cube)
    with torch.no_grad():
        settled = cube(states, keep_trace=True)
        whole = cube(states, stop_early=False)
    assert settled.converged
    assert settled.relative_change.shape == (1, 3)
    assert len(settled.trace) == 1
    assert float(settled.relative_change.max()) < 1e-3
    assert not whole.converged
    assert whole.relative_change.shape == (6, 3)
    one_alive = states.clone()
    one_alive[1] *= 1e-4  # The same change is large next to a small state, so this sample has not settled.
    with torch.no_grad():
        assert not cube(one_alive).converged
    cube.settings = cube.settings.replace(
        model={"state_size": SIZE, "steps": 6, "convergence_threshold": 0.0}
    )
    with torch.no_grad():
        assert cube(states).relative_change.shape == (6, 3)


def test_the_trace_is_kept_only_when_asked_for() -> None:
    cube = make()
    states = random_states(cube)
    with torch.no_grad():
        assert cube(states).trace == ()
        found = cube(states, keep_trace=True, steps=2)
    assert len(found.trace) == 2
    for step in found.trace:
        assert step.states.shape == (3, 96, SIZE)
        assert step.gate.shape == (3, 96, 3)
        assert step.changes.shape == (3, 96, 3, SIZE)
        torch.testing.assert_close(step.gate.sum(dim=-1), torch.ones(3, 96))
    assert torch.equal(found.trace[-1].states, found.final)
    assert torch.equal(found.initial, states)
    mixed = (found.trace[1].gate.unsqueeze(-1) * found.trace[1].changes).sum(dim=2)
    torch.testing.assert_close(found.trace[0].states + mixed, found.final)


def test_no_steps_give_the_states_back() -> None:
    cube = make()
    states = random_states(cube)
    found = cube(states, steps=0)
    assert torch.equal(found.final, states)
    assert found.relative_change.shape == (0, 3)


def test_activation_checkpointing_gives_the_same_gradients() -> None:
    gradients = []
    for recompute in (False, True):
        cube = make(memory={"activation_checkpointing": recompute})
        states = random_states(cube).requires_grad_()
        found = cube(states)
        (found.final.square().sum() + found.relative_change.sum()).backward()
        gradients.append([states.grad, *(parameter.grad for parameter in cube.parameters())])
    for one, two in zip(*gradients, strict=True):
        assert one is not None
        assert one.any()
        assert torch.equal(one, two)


def test_gradient_equals_finite_differences() -> None:
    cube = make((3, 3, 4), lattice={"adaptive_radius_ratio": 0.44}).double()
    states = random_states(cube, batch=1, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: cube(s, steps=2).final, (states,), fast_mode=True)


def test_new_ratios_change_connections_and_no_parameter() -> None:
    cube = make()
    before = {name: value.clone() for name, value in cube.state_dict().items()}
    states = random_states(cube)
    with torch.no_grad():
        first = cube(states).final
        old = cube.settings.lattice
        cube.set_lattice(old.replace(adaptive_radius_ratio=0.3))
        second = cube(states).final
        cube.set_lattice(old)
        assert torch.equal(cube(states).final, first)
    assert not torch.equal(first, second)
    assert before.keys() == cube.state_dict().keys()
    assert all(torch.equal(before[name], value) for name, value in cube.state_dict().items())


def test_connections_are_cached_and_counted() -> None:
    cube = make()
    states = random_states(cube)
    with torch.no_grad():
        for _ in range(3):
            cube(states)
        assert (cube.cache_misses, cube.cache_hits) == (1, 2)
        cube.set_lattice(cube.settings.lattice.replace(adaptive_radius_ratio=0.3))
        cube(states)
    assert (cube.cache_misses, cube.cache_hits) == (2, 2)


def test_dimensions_are_fixed() -> None:
    cube = make()
    for change in ({"dimensions": (4, 4, 4)}, {"boundary": "toroidal"}):
        with pytest.raises(ValueError, match="fixed for the life"):
            cube.set_lattice(cube.settings.lattice.replace(**change))
