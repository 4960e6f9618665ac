"""Damage to the cube, in float64 against lattices and loops that are written differently."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from test_cube import DenseReference, make, random_states
from torch import Tensor

from cellnet.lattice.geometry import TIERS, Tier
from cellnet.student.cube import Lattice3D, LatticeOutput
from cellnet.student.damage import Intervention

CELLS = 8 * 3 * 4
LESION = (0, 17, 40, 41, CELLS - 1)


@pytest.fixture
def cube() -> Lattice3D:
    return make().double()


@pytest.fixture
def states(cube: Lattice3D) -> Tensor:
    return random_states(cube, dtype=torch.float64)


def run(cube: Lattice3D, states: Tensor, **what: Any) -> LatticeOutput:
    with torch.no_grad():
        found: LatticeOutput = cube(states, keep_trace=True, intervention=Intervention(**what))
    return found


def follow(reference: DenseReference, states: Tensor, change: Callable[[Tensor, int], Tensor]) -> Tensor:
    """Make three steps of the reference, changing the states before and after each."""
    for step in range(3):
        states, *_ = reference.step(change(states, step))
        states = change(states, step)
    return states


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_no_intervention_changes_no_bit(cube: Lattice3D, states: Tensor, training: bool) -> None:
    cube.train(training)
    plain = cube(states, keep_trace=True)
    for none in (None, Intervention(), Intervention(from_step=2, seed=9)):
        found = cube(states, keep_trace=True, intervention=none)
        assert torch.equal(found.initial, states)
        assert torch.equal(found.final, plain.final)
        assert torch.equal(found.relative_change, plain.relative_change)
        assert all(torch.equal(a.gate, b.gate) for a, b in zip(found.trace, plain.trace, strict=True))


def test_lesioned_cells_stay_zero_and_all_others_follow_the_reference(
    cube: Lattice3D, states: Tensor
) -> None:
    alive = torch.ones(CELLS, 1, dtype=torch.float64)
    alive[list(LESION)] = 0.0
    found = run(cube, states, lesioned=LESION)
    for seen in (found.initial, *(step.states for step in found.trace), found.final):
        assert (seen[:, list(LESION)] == 0).all()
    close(found.final, follow(DenseReference(cube), states, lambda s, _: s * alive))
    assert not torch.allclose(found.final, cube(states).final * alive)


def test_a_lesion_lasts_from_its_first_to_its_last_step(cube: Lattice3D, states: Tensor) -> None:
    found = run(cube, states, lesioned=LESION, from_step=1, to_step=1)
    plain = run(cube, states)
    dead = list(LESION)
    alive = [cell for cell in range(CELLS) if cell not in LESION]
    assert torch.equal(found.initial, states)
    assert torch.equal(found.trace[0].states[:, alive], plain.trace[0].states[:, alive])
    assert (found.trace[0].states[:, dead] == 0).all()
    assert (found.trace[1].states[:, dead] == 0).all()
    assert (found.trace[2].states[:, dead] != 0).any()
    assert torch.equal(found.relative_change[0], plain.relative_change[0])


@pytest.mark.parametrize("tier", TIERS)
def test_a_cut_tier_is_an_empty_tier(cube: Lattice3D, states: Tensor, tier: Tier) -> None:
    reference = DenseReference(cube)
    assert reference.adjacent[tier].any()
    reference.adjacent[tier].zero_()
    found = run(cube, states, cut={tier})
    close(found.final, follow(reference, states, lambda s, _: s))
    assert not torch.allclose(found.final, run(cube, states).final)


def test_a_cut_outermost_tier_is_a_smaller_radius(cube: Lattice3D, states: Tensor) -> None:
    smaller = make(lattice={"functional_distance_ratio": 0.85, "distant_distance_ratio": 0.85}).double()
    assert torch.equal(run(cube, states, cut={"distant"}).final, run(smaller, states).final)


def test_a_cut_lasts_from_its_first_to_its_last_step(cube: Lattice3D, states: Tensor) -> None:
    whole, severed = DenseReference(cube), DenseReference(cube)
    severed.adjacent["functional"].zero_()
    found = run(cube, states, cut={"functional"}, from_step=1, to_step=1)
    for step, reference in enumerate((whole, severed, whole)):
        states, *_ = reference.step(states)
        close(found.trace[step].states, states)


@pytest.mark.parametrize("tier", TIERS)
def test_a_silenced_expert_has_the_weight_zero(cube: Lattice3D, states: Tensor, tier: Tier) -> None:
    reference, place = DenseReference(cube), TIERS.index(tier)
    found = run(cube, states, silenced={tier}, from_step=1)
    for step in range(3):
        before = states
        states, gate, changes = reference.step(states)
        if step >= 1:
            gate = gate.clone()
            gate[..., place] = 0.0
            states = before + (gate.unsqueeze(-1) * changes).sum(dim=2)
        close(found.trace[step].states, states)
        close(found.trace[step].changes, changes)


def test_silencing_all_experts_leaves_the_states_alone(cube: Lattice3D, states: Tensor) -> None:
    found = run(cube, states, silenced=set(TIERS))
    assert torch.equal(found.final, states)
    assert len(found.trace) == 3


def test_noise_is_added_once_relative_to_the_rms_of_each_sample(cube: Lattice3D, states: Tensor) -> None:
    states = states * torch.tensor([1.0, 10.0, 0.1], dtype=torch.float64).view(3, 1, 1)
    found = run(cube, states, noise=0.3, seed=4, from_step=1)
    plain = run(cube, states)
    assert torch.equal(found.initial, states)
    before = plain.trace[0].states
    added = (found.trace[0].states - before) / before.square().mean(dim=(1, 2), keepdim=True).sqrt()
    assert added.std().item() == pytest.approx(0.3, rel=0.1)
    torch.testing.assert_close(added[0], added[1])
    torch.testing.assert_close(added[0], added[2])
    after, *_ = DenseReference(cube).step(found.trace[0].states)
    close(found.trace[1].states, after)


def test_noise_depends_on_the_seed_alone(cube: Lattice3D, states: Tensor) -> None:
    found = run(cube, states, noise=0.2, seed=4)
    assert torch.equal(run(cube, states, noise=0.2, seed=4).final, found.final)
    torch.testing.assert_close(run(cube, states[1:2], noise=0.2, seed=4).initial, found.initial[1:2])
    assert not torch.allclose(run(cube, states, noise=0.2, seed=5).initial, found.initial)
    linear = make(lattice={"enable_morton_encoding": False}).double()
    torch.testing.assert_close(run(linear, states, noise=0.2, seed=4).initial, found.initial)
    single = run(make(), states.float(), noise=0.2, seed=4).initial
    torch.testing.assert_close(single, found.initial.float())


def test_dead_cells_have_no_noise(cube: Lattice3D, states: Tensor) -> None:
    found = run(cube, states, noise=1.0, lesioned=LESION)
    assert (found.initial[:, list(LESION)] == 0).all()


def test_damage_that_is_to_come_keeps_a_settled_cube_from_stopping() -> None:
    cube = make(model={"state_size": 4, "steps": 3, "convergence_threshold": 0.99}).double().eval()
    for parameter in cube.parameters():
        torch.nn.init.normal_(parameter, std=0.01)
    states = random_states(cube, dtype=torch.float64)
    assert cube(states).converged
    assert len(cube(states, stop_early=False).relative_change) == 3
    damaged = cube(states, intervention=Intervention(noise=1.0, from_step=2), keep_trace=True)
    assert len(damaged.trace) == 3
    assert not damaged.converged


def test_gradients_pass_through_damage(cube: Lattice3D, states: Tensor) -> None:
    states.requires_grad_(True)
    damage = Intervention(lesioned=LESION, cut={"distant"}, noise=0.1)
    cube(states, intervention=damage).final.sum().backward()
    assert states.grad is not None
    assert (states.grad[:, list(LESION)] == 0).all()
    assert (states.grad != 0).any()


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ({"noise": -0.1}, "noise is -0.1"),
        ({"noise": float("nan")}, "noise is nan"),
        ({"noise": float("inf")}, "noise is inf"),
        ({"seed": -1}, "seed is -1"),
        ({"from_step": -1}, "from_step is -1"),
        ({"from_step": 2, "to_step": 1}, "before from_step 2"),
        ({"silenced": {"far"}}, "silenced names far; the experts are local, functional, distant"),
        ({"cut": {"near"}}, "cut names near"),
    ],
)
def test_what_no_cube_can_suffer_is_refused_at_once(what: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Intervention(**what)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ({"lesioned": (CELLS,)}, f"no cell {CELLS}; the cells of this cube are 0 to {CELLS - 1}"),
        ({"lesioned": (3, -1)}, "no cell -1"),
        ({"noise": 0.1, "from_step": 3}, "from_step is 3, but the run has the steps 0 to 2"),
        ({"lesioned": (1,), "to_step": 3}, "to_step is 3"),
    ],
)
def test_what_this_cube_cannot_suffer_is_refused(
    cube: Lattice3D, states: Tensor, what: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        run(cube, states, **what)


def test_equal_damage_is_an_equal_value() -> None:
    one = Intervention(lesioned=(5, 1, 5), silenced={"local"}, cut=frozenset({"distant"}))
    two = Intervention(lesioned=(1, 5), silenced=frozenset({"local"}), cut={"distant"})
    assert one == two
    assert hash(one) == hash(two)
    assert one.lesioned == (1, 5)
    assert not one.is_none
    assert Intervention(from_step=3).is_none
