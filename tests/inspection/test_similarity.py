"""Linear CKA against the Gram-matrix formula, and the experts' measures against a plain loop."""

import numpy as np
import pytest
import torch

from cellnet.inspection.similarity import linear_cka, measure_experts
from cellnet.proof.subject import draw_last_layers
from cellnet.settings import preset, with_changes
from cellnet.student.student import CellNet

WIDTH = 20


def gram_cka(x: np.ndarray, y: np.ndarray) -> float:
    """HSIC of the centered Gram matrices, as in equation 3 of Kornblith et al. (2019)."""
    count = len(x)
    center = np.eye(count) - 1 / count
    k, m = center @ (x @ x.T) @ center, center @ (y @ y.T) @ center
    return float(np.trace(k @ m) / np.sqrt(np.trace(k @ k) * np.trace(m @ m)))


def test_cka_is_that_of_gram_matrices() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 5)) + 3, rng.normal(size=(40, 7))
    y[:, :2] += x[:, :2]
    assert linear_cka(x, y) == pytest.approx(gram_cka(x, y), rel=1e-10)
    assert linear_cka(y, x) == pytest.approx(linear_cka(x, y), rel=1e-12)


def test_cka_ignores_rotation_scale_and_shift_only() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 4)) * [3.0, 1.0, 1.0, 0.5]
    rotation, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    assert linear_cka(x, 2.5 * x @ rotation + 7) == pytest.approx(1.0, abs=1e-12)
    assert linear_cka(x, x * [1.0, 1.0, 1.0, 20.0]) < 0.5


def test_cka_of_a_constant_is_unknown_and_other_examples_are_refused() -> None:
    x = np.random.default_rng(2).normal(size=(10, 3))
    assert np.isnan(linear_cka(x, np.ones((10, 2))))
    with pytest.raises(ValueError, match="same examples"):
        linear_cka(x, x[:5])


def test_the_experts_measures_are_those_of_all_cells_and_sentences() -> None:
    small = {
        "lattice.dimensions": (3, 3, 3),
        "lattice.adaptive_radius_ratio": 0.6,
        "model.state_size": 6,
        "model.steps": 2,
        "model.convergence_threshold": 0.0,
        "embedding.teacher_width": WIDTH,
    }
    model = CellNet(with_changes(preset("quickstart"), small))
    draw_last_layers(model)
    rows = np.random.default_rng(3).normal(size=(5, WIDTH)).astype(np.float32)
    found = measure_experts(model, rows)
    with torch.no_grad():
        trace = model(torch.from_numpy(rows), keep_trace=True).lattice.trace
    assert found.sentences == 5
    assert found.similarity.shape == (2, 3, 3)
    for step in range(2):
        changes = trace[step].changes.numpy().astype(np.float64)
        experts = [changes[:, :, place].reshape(5 * 27, 6) for place in range(3)]
        for one in range(3):
            for other in range(3):
                expected = gram_cka(experts[one], experts[other])
                assert found.similarity[step, one, other] == pytest.approx(expected, rel=1e-5)
            norm = np.sqrt(np.square(experts[one]).mean())
            assert found.output_norms[step, one] == pytest.approx(norm, rel=1e-6)
        gate = trace[step].gate.numpy().mean(axis=(0, 1))
        np.testing.assert_allclose(found.gate_mean[step], gate, rtol=1e-5)
    with torch.no_grad():
        surfaces = model.put_on_surface(torch.from_numpy(rows)).numpy()
    again = measure_experts(model, rows, surfaces=surfaces)
    np.testing.assert_allclose(again.similarity, found.similarity, rtol=1e-6)
    with pytest.raises(ValueError, match=r"\(n, 20\)"):
        measure_experts(model, rows[:, :3])
