"""One student and one sentence give one cube, whoever asks, and in whatever mode the module is."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from test_inspection import embeddings, make

from cellnet.evaluation.lattice import measure_lattice
from cellnet.evaluation.scores import errors_and_cosines
from cellnet.evaluation.sentences import StepByStep
from cellnet.inspection import FloatArray, inspect
from cellnet.inspection.similarity import measure_experts
from cellnet.student.codec import fit_pca
from cellnet.student.student import CellNet
from lab.training import Probe

ROWS = 3


def refining(training: bool) -> CellNet:
    """A student whose codes are refined and that stops early if it may, in training or evaluation mode."""
    model = make(**{"embedding.refinement_steps": 3, "model.convergence_threshold": 0.99})
    model.start_from(fit_pca(embeddings(60)))
    generator = torch.Generator().manual_seed(2)
    torch.nn.init.normal_(model.codec.from_channels.weight, std=0.05, generator=generator)
    return model.train(training)


@torch.no_grad()
def expected() -> dict[str, FloatArray]:
    """Carry the embeddings by hand: refined codes, then every step."""
    model = refining(False)
    batch = torch.from_numpy(embeddings(ROWS))
    surfaces = model.put_on_surface(batch)
    assert not torch.equal(surfaces, model.codec.encode(batch))
    output = model.carry(surfaces, keep_trace=True, stop_early=False)
    states = torch.stack([output.lattice.initial, *(step.states for step in output.lattice.trace)], dim=1)
    gate = torch.stack([step.gate for step in output.lattice.trace], dim=1)
    return {
        "code": surfaces.flatten(1).numpy(),
        "answer": output.embeddings.numpy(),
        "states": states.numpy(),
        "gate": gate.numpy(),
    }


def by_forward(model: CellNet) -> dict[str, FloatArray]:
    with torch.no_grad():
        output = model(torch.from_numpy(embeddings(ROWS)), stop_early=False)
    return {
        "code": output.surface_in.flatten(1).numpy(),
        "answer": output.embeddings.numpy(),
        "final": output.lattice.final.numpy(),
    }


def by_codes(model: CellNet) -> dict[str, FloatArray]:
    with torch.no_grad():
        return {"code": model.codes(torch.from_numpy(embeddings(ROWS))).numpy()}


def by_inspection(model: CellNet) -> dict[str, FloatArray]:
    carried = inspect(model, embeddings(ROWS))
    return {
        "code": carried.surface_in.reshape(ROWS, -1),
        "answer": carried.readouts[:, -1],
        "states": carried.states,
        "gate": carried.gate,
    }


def by_the_probe_of_the_lab(model: CellNet) -> dict[str, FloatArray]:
    carried = [Probe("a sentence", row[None]).carry(model) for row in embeddings(ROWS)]
    return {
        "states": np.stack([states for states, _, _ in carried]),
        "gate": np.stack([gate for _, gate, _ in carried]),
    }


def by_the_evaluation(model: CellNet) -> dict[str, FloatArray]:
    with torch.no_grad():
        return {"answer": StepByStep(model)(torch.from_numpy(embeddings(ROWS))).numpy()}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    "ask", [by_forward, by_codes, by_inspection, by_the_probe_of_the_lab, by_the_evaluation]
)
def test_whoever_asks_gets_the_same_cube(
    ask: Callable[[CellNet], dict[str, FloatArray]], training: bool
) -> None:
    model = refining(training)
    reference = expected()
    reference["final"] = reference["states"][:, -1]
    for name, values in ask(model).items():
        np.testing.assert_allclose(values, reference[name], rtol=1e-4, atol=1e-5, err_msg=name)
    assert model.training is training


@pytest.mark.parametrize("training", [False, True])
def test_measures_of_experts_and_lattice_are_of_that_cube(training: bool) -> None:
    model, reference, rows = refining(training), expected(), embeddings(ROWS)
    gate_mean = reference["gate"].mean(axis=(0, 2))
    np.testing.assert_allclose(measure_experts(model, rows).gate_mean, gate_mean, rtol=1e-5)
    measures = measure_lattice(model, rows, device=torch.device("cpu"), batch_size=2)
    errors, _ = errors_and_cosines(torch.from_numpy(reference["answer"]), torch.from_numpy(rows))
    np.testing.assert_allclose(measures.intact_error, errors.numpy(), rtol=1e-4)
    np.testing.assert_allclose(measures.experts.gate_mean, gate_mean, rtol=1e-5)
    assert model.training is training


@torch.no_grad()
@pytest.mark.parametrize("training", [False, True])
def test_a_forward_pass_refines_and_stops_early_unless_told_otherwise(training: bool) -> None:
    model, batch = refining(training), torch.from_numpy(embeddings(ROWS))
    output, surfaces = model(batch), refining(False).put_on_surface(batch)
    assert output.lattice.converged
    assert torch.equal(output.surface_in, surfaces)
    assert torch.equal(output.embeddings, refining(False).carry(surfaces).embeddings)
    whole = model(batch, stop_early=False).lattice
    assert not whole.converged
    assert len(whole.relative_change) == model.settings.model.steps
    assert model.training is training


def test_only_training_learns_from_codes_that_are_not_refined() -> None:
    model, batch = refining(True), torch.from_numpy(embeddings(ROWS))
    guessed = model(batch, refine=False, stop_early=False).surface_in
    assert torch.equal(guessed, model.codec.encode(batch))
