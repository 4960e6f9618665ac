"""What an inspection shows is what the model does."""

from typing import Any

import numpy as np
import pytest
import torch

from cellnet.inspection import FloatArray, inspect, inspection_bytes
from cellnet.inspection import carrier as inspection
from cellnet.proof.subject import draw_last_layers
from cellnet.settings import preset, with_changes
from cellnet.student.damage import Intervention
from cellnet.student.student import CellNet

WIDTH = 20


def make(**changes: Any) -> CellNet:
    small = {
        "lattice.dimensions": (4, 4, 4),
        "lattice.adaptive_radius_ratio": 0.45,
        "model.state_size": 6,
        "model.steps": 3,
        "embedding.teacher_width": WIDTH,
    }
    model = CellNet(with_changes(preset("quickstart"), small | changes))
    draw_last_layers(model)
    return model.eval()


def embeddings(rows: int = 5) -> FloatArray:
    return np.random.default_rng(1).normal(size=(rows, WIDTH)).astype(np.float32)


def test_all_numbers_are_those_of_the_model() -> None:
    model, rows = make(**{"model.convergence_threshold": 0.0}), embeddings()
    found = inspect(model, rows)
    batch = torch.from_numpy(rows)
    with torch.no_grad():
        output = model(batch, keep_trace=True)
        steps = [model(batch, steps=count).embeddings.numpy() for count in range(4)]
    trace = output.lattice.trace
    assert found.dimensions == (4, 4, 4)
    assert found.intervention.is_none
    np.testing.assert_array_equal(found.teacher, rows)
    np.testing.assert_array_equal(found.surface_in, output.surface_in.numpy())
    np.testing.assert_array_equal(found.surface_out, output.surface_out.numpy())
    np.testing.assert_array_equal(found.states[:, 0], output.lattice.initial.numpy())
    for step in range(3):
        np.testing.assert_array_equal(found.states[:, step + 1], trace[step].states.numpy())
        np.testing.assert_array_equal(found.gate[:, step], trace[step].gate.numpy())
        rms = (trace[step].changes.numpy().astype(np.float64) ** 2).mean(axis=-1) ** 0.5
        np.testing.assert_allclose(found.output_norms[:, step], rms, rtol=1e-5)
    np.testing.assert_array_equal(found.readouts[:, -1], output.embeddings.numpy())
    np.testing.assert_allclose(found.readouts, np.stack(steps, axis=1), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found.relative_change, output.lattice.relative_change.T.numpy())
    product = (found.readouts * rows[:, None]).sum(axis=-1)
    norms = np.linalg.norm(found.readouts, axis=-1) * np.linalg.norm(rows, axis=-1)[:, None]
    np.testing.assert_allclose(found.cosine, product / norms, rtol=1e-5)
    assert found.nbytes > inspection_bytes(model, len(rows))


def test_all_steps_are_made_though_the_model_would_stop_and_its_mode_stays() -> None:
    model = make(**{"model.convergence_threshold": 0.999})
    for parameter in model.lattice.parameters():
        torch.nn.init.normal_(parameter, std=0.01)
    assert model(torch.from_numpy(embeddings())).lattice.converged
    assert inspect(model, embeddings()).states.shape == (5, 4, 64, 6)
    assert not model.training
    inspect(model.train(), embeddings())
    assert model.training


def test_parts_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    model, damage = make(), Intervention(noise=0.2, lesioned=(3,), from_step=1)
    whole = inspect(model, embeddings(), damage)
    monkeypatch.setattr(
        inspection, "_WORKING_BYTES", 2 * (inspection._ORDERS_FACTOR + 3) * inspection_bytes(model, 1)
    )
    parts = inspect(model, embeddings(), damage)
    for name in ("states", "gate", "readouts", "cosine", "relative_change", "surface_out"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-4, atol=1e-6)


def test_damage_is_seen_in_the_states_that_its_step_starts_from() -> None:
    model = make()
    found = inspect(model, embeddings(), Intervention(lesioned=(9, 20), from_step=1, to_step=1))
    assert (found.states[:, 0, [9, 20]] != 0).any()
    assert (found.states[:, 1:3, [9, 20]] == 0).all()
    assert (found.states[:, 3, [9, 20]] != 0).any()
    assert found.intervention.lesioned == (9, 20)


def test_too_much_at_once_is_refused_and_says_how_much_is_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make()
    monkeypatch.setattr(inspection, "MAX_KEPT_BYTES", 3 * inspection_bytes(model, 1))
    with pytest.raises(ValueError, match="5 sentences in this cube take 0 MB; look at 3 or fewer at once"):
        inspect(model, embeddings(5))
    assert len(inspect(model, embeddings(3)).states) == 3


def test_damage_may_be_looked_at_with_the_surfaces_that_were_found_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, damage = make(**{"embedding.refinement_steps": 2}), Intervention(lesioned=(9, 20))
    surfaces = inspect(model, embeddings()).surface_in
    expected = inspect(model, embeddings(), damage)
    monkeypatch.setattr(model, "put_on_surface", None)
    found = inspect(model, embeddings(), damage, surfaces=surfaces)
    np.testing.assert_array_equal(found.surface_in, surfaces)
    np.testing.assert_allclose(found.readouts, expected.readouts, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"\(4, 4, 4\) do not fit; give \(5, 4, 4\)"):
        inspect(model, embeddings(), surfaces=surfaces[:4])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.zeros((2, WIDTH + 1)), r"\(2, 21\) do not fit; give \(B, 20\)"),
        (np.zeros(WIDTH), "do not fit"),
        (np.zeros((0, WIDTH)), "do not fit"),
        (np.full((1, WIDTH), np.nan), "not finite"),
    ],
)
def test_what_does_not_fit_is_refused(rows: FloatArray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        inspect(make(), rows)


def test_an_intervention_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="no cell 64"):
        inspect(make(), embeddings(), Intervention(lesioned=(64,)))
