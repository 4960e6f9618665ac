"""Predicted costs against what PyTorch really keeps, and against the index and the model themselves."""

import threading
from typing import Any

import pytest
import torch

from cellnet.lattice.connections import ConnectionIndex
from cellnet.losses import LossInput, make_losses
from cellnet.settings import LatticeSettings, NeighborSettings, Settings, preset, with_changes
from cellnet.student.cost import attention_width, parameter_count, predict_seconds, step_cost
from cellnet.student.student import CellNet

BASE = with_changes(preset("quickstart"), {"training.batch_size": 4, "device.threads": 1})
CHANGES: list[dict[str, Any]] = [
    {},
    {"lattice.adaptive_radius_ratio": 0.4},
    {"lattice.functional_distance_ratio": 0.6},
    {"lattice.dimensions": (6, 8, 5), "lattice.boundary": "toroidal"},
    {"model.steps": 2, "model.state_size": 16},
    {"functional.hidden_size": 128, "functional.ode_method": "midpoint"},
    {"distant.ode_method": "rk4", "distant.integration_steps": 2},
    {"gate.hidden_size": 128, "local.hidden_size": 16},
    {"embedding.lifting_strategy": "whole_surface"},
]


def kept_bytes(settings: Settings) -> int:
    """Bytes of all different buffers that a forward pass and its losses keep for the backward pass."""
    model = CellNet(settings)
    own = {x.untyped_storage().data_ptr() for x in (*model.parameters(), *model.buffers())}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.setdefault(tensor.untyped_storage().data_ptr(), tensor.untyped_storage())
        return tensor

    batch = torch.randn(settings.training.batch_size, settings.embedding.teacher_width)
    model.lattice.connections(batch.device)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = model.learn(batch)
        seen = LossInput(batch, output, model.interior, settings.lattice.dimensions)
        for loss in make_losses(settings.loss).values():
            loss(seen)
    return sum(storage.nbytes() for place, storage in kept.items() if place not in own)


@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_activations_are_what_pytorch_keeps(changes: dict[str, Any]) -> None:
    settings = with_changes(BASE, changes)
    assert step_cost(settings).activation_bytes == pytest.approx(kept_bytes(settings), rel=0.1)


@pytest.mark.parametrize(
    "changes",
    [
        *CHANGES,
        {"embedding.type": "autoencoder"},
        {"embedding.type": "attention", "embedding.extraction_strategy": "weighted_surface"},
        {"embedding.type": "hierarchical", "embedding.extraction_strategy": "volume_projection"},
        {"embedding.placement_strategy": "corners", "lattice.dimensions": (4, 5, 7)},
    ],
    ids=str,
)
def test_parameters_are_those_of_the_model(changes: dict[str, Any]) -> None:
    settings = with_changes(BASE, changes)
    expected = sum(parameter.numel() for parameter in CellNet(settings).parameters())
    assert parameter_count(settings) == step_cost(settings).parameters == expected


@pytest.mark.parametrize(
    ("dimensions", "radius", "block"),
    [((8, 8, 8), 0.22, 64), ((8, 8, 8), 0.9, 64), ((12, 12, 12), 0.4, 64), ((8, 8, 8), 0.4, 32)],
)
def test_the_width_of_attention_is_that_of_the_index(
    dimensions: tuple[int, int, int], radius: float, block: int
) -> None:
    lattice = LatticeSettings(
        dimensions=dimensions,
        adaptive_radius_ratio=radius,
        local_distance_ratio=0.6,
        functional_distance_ratio=0.85,
    )
    index = ConnectionIndex(lattice, NeighborSettings(), block_cells=block)
    assert attention_width(lattice, block) == index.tiers["functional"].blocks.keys.shape[1]
    assert step_cost(with_changes(BASE, {f"lattice.{k}": v for k, v in lattice})).connections == sum(
        len(tier.lists.rows) for tier in index.tiers.values()
    )


def test_a_prediction_is_a_measured_time_scaled_by_the_work() -> None:
    assert predict_seconds(BASE, BASE, 0.25) == 0.25
    more = with_changes(BASE, {"training.batch_size": 8})
    ratio = predict_seconds(more, BASE, 1.0)
    assert 1.3 < ratio < 2.0
    assert predict_seconds(BASE, more, ratio) == pytest.approx(1.0)
    wider = with_changes(BASE, {"lattice.adaptive_radius_ratio": 0.8})
    assert predict_seconds(wider, BASE, 1.0) > 1.2


def test_recomputing_steps_costs_time_and_saves_memory() -> None:
    recomputed = with_changes(BASE, {"memory.activation_checkpointing": True})
    assert step_cost(recomputed).activation_bytes < 0.45 * step_cost(BASE).activation_bytes
    assert 1.2 < predict_seconds(recomputed, BASE, 1.0) < 1.4


def test_counting_does_not_touch_a_student_in_another_thread() -> None:
    model = CellNet(BASE)
    batch = torch.randn(BASE.training.batch_size, BASE.embedding.teacher_width)
    state = torch.get_rng_state()
    failures: list[BaseException] = []
    done = threading.Event()

    def train() -> None:
        try:
            while not done.is_set():
                model(batch).embeddings.square().mean().backward()
        except (AssertionError, RuntimeError) as error:
            failures.append(error)

    thread = threading.Thread(target=train)
    thread.start()
    for hidden in range(20, 40):
        step_cost(with_changes(BASE, {"gate.hidden_size": hidden}))
    done.set()
    thread.join()
    assert failures == []
    assert torch.equal(torch.get_rng_state(), state)


def test_the_flops_of_a_state_are_those_of_its_layers() -> None:
    settings = with_changes(BASE, {"functional.integration_steps": 1, "distant.integration_steps": 1})
    model = CellNet(settings)
    lattice, mixture = model.lattice, model.mapper.mixture
    assert mixture is not None
    weights = sum(layer.weight.numel() for layer in lattice.modules() if isinstance(layer, torch.nn.Linear))
    cells, batch = settings.lattice.cell_count, settings.training.batch_size
    once = model.parameter_counts()["codec"] + mixture.weight.numel()
    expected = 3 * 2 * batch * (cells * settings.model.steps * weights + once)
    assert step_cost(settings).dense_flops == pytest.approx(expected, rel=1e-6)
