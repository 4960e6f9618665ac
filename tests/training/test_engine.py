"""One optimizer step: accumulation, clipping, decay and refusal of what is not finite."""

from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from cellnet.errors import DeviceError
from cellnet.losses import LOSS_NAMES
from cellnet.settings import Settings, flat_fields
from cellnet.student.student import CellNet
from cellnet.training.engine import ENGINES, StepEngine, choose_engine, make_optimizer
from cellnet.training.monitor import PerformanceMonitor, memory_megabytes

CPU = torch.device("cpu")


def make(monitored: bool = True, **training: Any) -> StepEngine:
    settings = Settings(
        lattice={
            "dimensions": (4, 4, 4),
            "adaptive_radius_ratio": 0.44,
            "local_distance_ratio": 0.6,
            "functional_distance_ratio": 0.85,
        },
        model={"state_size": 6, "steps": 2},
        embedding={"teacher_width": 20},
        training={"learning_rate": 1e-2, **training},
    )
    model = CellNet(settings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(9)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    engine = StepEngine(
        model,
        make_optimizer(model, settings, CPU),
        settings,
        CPU,
        PerformanceMonitor(CPU, enabled=monitored),
    )
    engine.weights.copy_(torch.tensor([1.0, 0.5, 0.1, 0.1, 0.1, 0.05]))
    return engine


def batches(count: int, size: int = 8) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return list(torch.randn(count, size, 20, generator=generator))


def gradient(engine: StepEngine) -> Tensor:
    return torch.cat([p.grad.flatten() for p in engine.parameters if p.grad is not None])


def test_accumulated_gradient_is_the_mean_of_the_gradients() -> None:
    given = batches(3)
    expected: Tensor | float = 0.0
    totals = []
    for batch in given:
        engine = make()
        _, total = engine.compute(batch)
        total.backward()
        expected = expected + gradient(engine) / 3
        totals.append(float(total.detach()))
    engine = make(accumulation_steps=3, clip_norm=1e9)
    result = engine.step(given, 0.0)
    assert isinstance(expected, Tensor)
    torch.testing.assert_close(gradient(engine), expected, rtol=1e-4, atol=1e-6)
    assert result.total == pytest.approx(sum(totals) / 3, rel=1e-5)
    assert result.gradient_norm == pytest.approx(float(expected.norm()), rel=1e-4)


def test_two_batches_equal_one_of_twice_the_size_for_a_loss_over_samples() -> None:
    small = batches(1)[0]
    together = torch.cat([small, small.flip(0)])  # Both halves have the same variance.
    one, two = make(clip_norm=1e9), make(accumulation_steps=2, clip_norm=1e9)
    for engine in (one, two):
        engine.weights.copy_(torch.tensor([0.0, 0.0, 0.0, 0.0, 1.0, 1.0]))
    one.step([together], 0.0)
    two.step([small, small.flip(0)], 0.0)
    torch.testing.assert_close(gradient(one), gradient(two), rtol=1e-4, atol=1e-7)


def test_gradients_are_clipped_to_the_norm_and_reported_before() -> None:
    free, clipped = make(clip_norm=1e9), make(clip_norm=0.01)
    results = [engine.step(batches(1), 0.0) for engine in (free, clipped)]
    assert results[0].gradient_norm == pytest.approx(results[1].gradient_norm)
    assert results[0].gradient_norm > 0.01
    assert float(gradient(clipped).norm()) == pytest.approx(0.01, rel=1e-3)
    torch.testing.assert_close(
        gradient(clipped) * results[0].gradient_norm / 0.01, gradient(free), rtol=1e-3, atol=1e-6
    )


def test_a_step_reports_its_losses_and_their_weighted_sum() -> None:
    engine = make()
    raw, _ = engine.compute(batches(1)[0])
    result = engine.step(batches(1), 1e-3)
    assert tuple(result.losses) == LOSS_NAMES
    assert result.losses == pytest.approx(
        {name: float(value.detach()) for name, value in raw.items()}, rel=1e-5
    )
    weights = (1.0, 0.5, 0.1, 0.1, 0.1, 0.05)
    total = sum(w * x for w, x in zip(weights, result.losses.values(), strict=True))
    assert result.total == pytest.approx(total, rel=1e-5)
    assert result.is_finite


def test_only_matrices_of_layers_decay_and_the_linear_path_does_not() -> None:
    engine = make(weight_decay=0.3)
    names = {id(parameter): name for name, parameter in engine.model.named_parameters()}
    seen = set()
    for group in engine.optimizer.param_groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            seen.add(name)
            is_matrix = parameter.ndim >= 2 and name.endswith("weight")
            linear_path = name.startswith(("codec.to_surface", "codec.from_surface"))
            assert group["weight_decay"] == (0.3 if is_matrix and not linear_path else 0.0), name
    assert seen == set(names.values())
    engine.step(batches(1), 0.5)
    assert {group["lr"] for group in engine.optimizer.param_groups} == {0.5}


def test_the_first_step_is_that_of_adam() -> None:
    engine = make(weight_decay=0.0, clip_norm=1e9)
    before = {name: p.detach().clone() for name, p in engine.model.named_parameters()}
    engine.step(batches(1), 1e-3)
    for name, parameter in engine.model.named_parameters():
        assert parameter.grad is not None
        expected = before[name] - 1e-3 * parameter.grad / (parameter.grad.abs() + 1e-8)
        torch.testing.assert_close(parameter.detach(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_step_that_is_not_finite_changes_nothing_and_the_next_one_works(value: float) -> None:
    engine = make()
    engine.step(batches(1), 1e-3)
    before = {name: tensor.clone() for name, tensor in engine.model.state_dict().items()}
    moments = [state["exp_avg"].clone() for state in engine.optimizer.state.values()]
    bad = batches(1)
    bad[0][3, 2] = value
    assert not engine.step(bad, 1e-3).is_finite
    assert all(torch.equal(before[name], tensor) for name, tensor in engine.model.state_dict().items())
    after = [state["exp_avg"] for state in engine.optimizer.state.values()]
    assert all(torch.equal(one, two) for one, two in zip(moments, after, strict=True))
    assert engine.step(batches(1), 1e-3).is_finite
    assert any(not torch.equal(before[name], tensor) for name, tensor in engine.model.state_dict().items())


@pytest.mark.parametrize(
    ("requested", "device", "name"),
    [
        ("auto", "cpu", "eager"),
        ("eager", "cpu", "eager"),
        ("auto", "cuda:1", "cuda-graphs"),
        ("eager", "cuda", "eager"),
        ("cuda-graphs", "cuda", "cuda-graphs"),
    ],
)
def test_an_engine_is_chosen_by_name(requested: str, device: str, name: str) -> None:
    settings = Settings(training={"engine": requested})
    assert choose_engine(settings, torch.device(device)) == name
    assert ENGINES[name].name == name


def test_an_engine_that_cannot_run_is_refused_with_the_reason() -> None:
    settings = Settings(training={"engine": "cuda-graphs"})
    with pytest.raises(DeviceError, match="needs a CUDA device, and the device is cpu; set it to 'auto'"):
        choose_engine(settings, CPU)


def test_the_setting_offers_every_engine() -> None:
    offered = get_args(dict(flat_fields())["training.engine"].annotation)
    assert set(offered) == {"auto", *ENGINES}


def test_stages_are_measured_and_start_over() -> None:
    engine = make(accumulation_steps=2)
    engine.step(batches(2), 1e-3)
    stages = engine.monitor.collect()
    assert set(stages) == {"forward", "backward", "clip", "optimizer"}
    assert all(seconds > 0.0 for seconds in stages.values())
    assert engine.monitor.collect() == {}


def test_nothing_is_measured_when_the_monitor_is_off() -> None:
    engine = make(monitored=False)
    engine.step(batches(1), 1e-3)
    assert engine.monitor.collect() == {}


def test_memory_of_the_process() -> None:
    memory = memory_megabytes(CPU)
    assert set(memory) == {"process"}
    assert 10.0 < memory["process"] < 1e6
