import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cellnet import Proof, prove
from cellnet.errors import DataError
from cellnet.lattice.cells import CellValues
from cellnet.lattice.geometry import TIERS, Tier
from cellnet.proof.exactness import prove_reference
from cellnet.proof.geometry import dense_masks, displacements, small_enough, spread
from cellnet.proof.locality import prove_tiers
from cellnet.proof.subject import draw_last_layers, make_subject
from cellnet.settings import Settings, preset, with_changes
from cellnet.student.cube import Lattice3D, LatticeOutput
from cellnet.student.damage import Intervention
from cellnet.student.experts import LocalExpert, Neighborhood
from cellnet.student.student import CellNet
from cellnet.training import EmbeddingTrainer
from cellnet.training.benchmark import random_data

NAMES = ["called", "reach", "tiers", "reference", "gradients", "samples", "ablation", "not the identity"]
TRAINED_ONLY = {"ablation", "not the identity"}


def tiny(changes: dict[str, Any] | None = None) -> Settings:
    small = {
        "lattice.dimensions": (5, 5, 5),
        "lattice.adaptive_radius_ratio": 0.35,
        "model.state_size": 8,
        "model.steps": 3,
        "embedding.teacher_width": 32,
        "training.batch_size": 8,
        "training.learning_rate": 4e-3,
        "init.gain": 1.0,
    }
    return with_changes(preset("quickstart"), small | (changes or {}))


def embeddings(settings: Settings) -> Tensor:
    return torch.from_numpy(random_data(settings, 32).train[:8])


def failed(proofs: list[Proof]) -> set[str]:
    return {proof.name for proof in proofs if proof.passed is False}


@pytest.fixture(scope="module")
def trained() -> CellNet:
    settings = tiny()
    trainer = EmbeddingTrainer(settings, random_data(settings, 64))
    for _ in range(10):
        trainer.step()
    return trainer.model


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"lattice.local_distance_ratio": 0.1},
        {"lattice.functional_distance_ratio": 0.6, "lattice.boundary": "toroidal"},
        {"lattice.distant_distance_ratio": 0.85, "functional.ode_method": "rk4", "functional.heads": 4},
        {"lattice.dimensions": (3, 4, 6), "distant.ode_method": "midpoint", "gate.temperature": 0.3},
        {"lattice.enable_morton_encoding": False, "embedding.placement_strategy": "uniform"},
        {"embedding.type": "autoencoder", "embedding.extraction_strategy": "volume_projection"},
        {"embedding.refinement_steps": 3},
        {"embedding.lifting_strategy": "whole_surface"},
    ],
)
def test_a_fresh_model_is_proven(changes: dict[str, Any]) -> None:
    settings = tiny(changes)
    proofs = prove(CellNet(settings), embeddings(settings))
    assert [proof.name for proof in proofs] == NAMES
    assert not failed(proofs), proofs
    assert {proof.name for proof in proofs if proof.passed is None} == TRAINED_ONLY
    assert "drawn at random" in proofs[1].detail


def test_a_trained_model_whose_codes_are_refined_is_proven(trained: CellNet) -> None:
    proofs = prove(trained.refining(3), embeddings(trained.settings))
    assert all(proof.passed for proof in proofs), proofs


def test_a_trained_model_is_proven_and_left_alone(trained: CellNet) -> None:
    trained.train()
    before = copy.deepcopy(trained.state_dict())
    proofs = prove(trained, embeddings(trained.settings))
    assert all(proof.passed for proof in proofs), proofs
    assert "drawn at random" not in proofs[1].detail
    assert trained.training
    assert next(trained.parameters()).dtype == torch.float32
    for name, value in trained.state_dict().items():
        assert torch.equal(value, before[name])
    assert not any(module._forward_hooks for module in trained.modules())


def test_weights_that_read_only_an_empty_tier_are_listed() -> None:
    settings = tiny({"lattice.functional_distance_ratio": 0.6})
    proof = prove(CellNet(settings), embeddings(settings))[4]
    assert proof.passed
    assert "not applicable, since they read only the empty tier (functional)" in proof.detail
    # Query, key and value read the tier, and so does all that reads their context.
    size, hidden = settings.model.state_size, settings.functional.hidden_size
    count = 3 * size * size + (2 * hidden + size) * size
    assert f"{count} weights in functional.from_context.weight, functional.from_own.weight" in proof.detail
    assert "distant" not in proof.detail


def test_the_halves_that_read_an_empty_mean_are_listed() -> None:
    settings = tiny({"lattice.local_distance_ratio": 0.0, "lattice.functional_distance_ratio": 1.0})
    proof = prove(CellNet(settings), embeddings(settings))[4]
    assert proof.passed
    size = settings.model.state_size
    count = (settings.local.hidden_size + settings.distant.hidden_size) * size
    assert f"{count} weights in distant.from_mean.weight, local.update.0.weight" in proof.detail


class Bypass(nn.Module):
    """An expert that ignores its tier."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, own: Tensor, *_: object) -> Tensor:
        return own * self.factor


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("factor", [0.0, 1.0])
def test_an_expert_replaced_by_nothing_or_the_identity_is_found(tier: Tier, factor: float) -> None:
    model = CellNet(tiny())
    setattr(model.lattice, tier, Bypass(factor))
    assert {"tiers", "reference"} <= failed(prove(model, embeddings(model.settings)))


class OneStep(Lattice3D):
    """A lattice that stops after its first step."""

    def forward(
        self,
        states: Tensor | CellValues,
        *,
        steps: int | None = None,
        keep_trace: bool = False,
        intervention: Intervention | None = None,
        stop_early: bool = True,
    ) -> LatticeOutput:
        return super().forward(states, steps=1, keep_trace=keep_trace, intervention=intervention)


def test_experts_that_are_not_called_in_every_step_are_found() -> None:
    model = CellNet(tiny())
    model.lattice.__class__ = OneStep
    assert "called" in failed(prove(model, embeddings(model.settings)))


def test_a_wrong_neighbor_is_found() -> None:
    model = CellNet(tiny())
    index = model.lattice.connections(torch.device("cpu"))
    rows = index.tiers["distant"].lists.rows
    center = int(index.rank[62])
    first = int((rows == center).nonzero()[0])
    rows[first] = (center + 60) % 125  # one cell no longer sees the center, but some other cell
    assert {"tiers", "reference"} <= failed(prove(model, embeddings(model.settings)))


def test_a_neighbor_beyond_reach_is_found() -> None:
    model = CellNet(tiny({"model.steps": 1}))
    index = model.lattice.connections(torch.device("cpu"))
    index.tiers["local"].lists.rows[-1] = index.rank[0]  # the last corner sees the first one
    assert {"reach", "tiers", "reference"} <= failed(prove(model, embeddings(model.settings)))


@pytest.mark.parametrize("tier", TIERS)
def test_a_wrong_neighbor_anywhere_is_found_without_the_reference(tier: Tier) -> None:
    model = CellNet(tiny())
    rows = model.lattice.connections(torch.device("cpu")).tiers[tier].lists.rows
    rows[0] = (int(rows[0]) + 60) % 125
    assert prove_tiers(make_subject(model, embeddings(model.settings))).passed is False


class Whispering(nn.Module):
    """An extractor that lets a little of each sample into the others."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, states: CellValues, initial: CellValues) -> Tensor:
        answer: Tensor = self.inner(states, initial)
        return answer + 1e-9 * answer.mean(dim=0)


def test_samples_that_mix_are_found(trained: CellNet) -> None:
    model = copy.deepcopy(trained)
    model.extractor = Whispering(model.extractor)  # type: ignore[assignment]
    assert failed(prove(model, embeddings(model.settings))) == {"samples"}


class Detached(LocalExpert):
    """An expert that answers well and never learns."""

    def forward(self, own: Tensor, neighborhood: Neighborhood) -> Tensor:
        return super().forward(own, neighborhood).detach()


def test_an_expert_without_gradient_is_found() -> None:
    model = CellNet(tiny())
    model.lattice.local.__class__ = Detached
    proofs = prove(model, embeddings(model.settings))
    assert failed(proofs) == {"gradients"}
    assert "local.update.0.weight" in proofs[4].detail


def test_a_silent_expert_of_a_trained_model_is_found(trained: CellNet) -> None:
    model = copy.deepcopy(trained)
    with torch.no_grad():
        model.lattice.distant.field.to_change.weight.zero_()
        model.lattice.distant.field.to_change.bias.zero_()
    assert "ablation" in failed(prove(model, embeddings(model.settings)))


def test_a_gate_that_sees_only_its_cell_is_found(trained: CellNet) -> None:
    model = copy.deepcopy(trained)
    width = model.settings.model.state_size
    with torch.no_grad():
        model.lattice.gate.score[0].weight[:, width:] = 0.0
    proofs = prove(model, embeddings(model.settings))
    assert failed(proofs) == {"tiers"}
    assert "gate: " in proofs[2].detail


def test_adaptive_steps_tie_cells_and_samples_together_and_that_is_said() -> None:
    settings = tiny({"distant.ode_method": "dopri5", "model.steps": 1})
    proofs = prove(CellNet(settings), embeddings(settings))
    assert "reach" in failed(proofs)
    assert "dopri5" in proofs[1].detail


def test_unsuitable_embeddings_are_refused() -> None:
    model = CellNet(tiny())
    for wrong in (torch.zeros(3, 32), torch.zeros(8, 16), torch.zeros(32)):
        with pytest.raises(DataError, match="at least 4 of width 32"):
            prove(model, wrong)


@pytest.mark.parametrize("boundary", ["open", "toroidal"])
@pytest.mark.parametrize("dimensions", [(4, 4, 4), (3, 5, 6)])
def test_shifts_and_pairwise_distances_agree(boundary: str, dimensions: tuple[int, int, int]) -> None:
    settings = tiny({"lattice.boundary": boundary, "lattice.dimensions": dimensions})
    masks, moves = dense_masks(settings), displacements(settings)
    alone = torch.eye(settings.lattice.cell_count, dtype=torch.bool)
    for tier in TIERS:
        assert torch.equal(spread(alone, moves[tier], settings), masks[tier] | alone)


def test_a_large_cube_is_compared_on_a_smaller_one_with_the_same_thresholds() -> None:
    large = tiny({"lattice.dimensions": (12, 9, 11), "lattice.adaptive_radius_ratio": 0.2})
    small = small_enough(large)
    assert small.lattice.dimensions == (10, 9, 10)
    assert small.neighbors.get_distance_thresholds(small.lattice) == pytest.approx(
        large.neighbors.get_distance_thresholds(large.lattice)
    )
    assert small_enough(tiny()) == tiny()
    model = CellNet(large)
    draw_last_layers(model.lattice)
    subject = make_subject(model, embeddings(large))
    for name, value in model.lattice.state_dict().items():
        assert torch.equal(subject.small.lattice.state_dict()[name], value.double())
    proof = prove_reference(subject)
    assert proof.passed
    assert "10 x 9 x 10" in proof.detail
