"""The six losses against references written with loops or eigenvalues in float64."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from cellnet.errors import TrainingError
from cellnet.losses import (
    LOSS_NAMES,
    DiversityLoss,
    EmergenceLoss,
    LatticeDynamicsLoss,
    LossInput,
    ReconstructionLoss,
    SimilarityLoss,
    SpatialConsistencyLoss,
    loss_weights,
    make_losses,
    total_loss,
)
from cellnet.settings import LossSettings

MakeBatch = Callable[..., LossInput]
DIMENSIONS = (4, 3, 5)


def test_reconstruction(make_batch: MakeBatch) -> None:
    batch = make_batch()
    y, answer = batch.target.double().numpy(), batch.output.embeddings.double().numpy()
    variance = np.mean([y[:, d].var(ddof=1) for d in range(7)])
    assert float(ReconstructionLoss()(batch)) == pytest.approx(
        ((answer - y) ** 2).mean() / variance, rel=1e-5
    )


def test_reconstruction_is_about_one_for_a_constant_answer_and_zero_for_the_truth(
    make_batch: MakeBatch,
) -> None:
    y = torch.randn(4000, 7) + 5.0
    assert float(ReconstructionLoss()(make_batch(target=y, answer=y))) == 0.0
    constant = make_batch(target=y, answer=torch.full_like(y, 5.0))
    assert float(ReconstructionLoss()(constant)) == pytest.approx(1.0, abs=0.01)


def test_similarity(make_batch: MakeBatch) -> None:
    batch = make_batch()
    y, answer = batch.target.double().tolist(), batch.output.embeddings.double().tolist()

    def cosine(a: list[float], b: list[float]) -> float:
        return sum(p * q for p, q in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)

    own = sum(1 - cosine(a, b) for a, b in zip(y, answer, strict=True)) / 6
    pairs = [
        (cosine(answer[i], answer[j]) - cosine(y[i], y[j])) ** 2
        for i, j in itertools.permutations(range(6), 2)
    ]
    assert float(SimilarityLoss()(batch)) == pytest.approx(own + sum(pairs) / 30, rel=1e-5)


def test_similarity_ignores_length_and_sees_direction(make_batch: MakeBatch) -> None:
    y = torch.randn(6, 7)
    assert float(SimilarityLoss()(make_batch(target=y, answer=3.0 * y))) == pytest.approx(0.0, abs=1e-6)
    assert float(SimilarityLoss()(make_batch(target=y, answer=-y))) == pytest.approx(2.0, abs=1e-6)


def test_diversity(make_batch: MakeBatch) -> None:
    batch = make_batch(target=torch.randn(6, 7) * torch.arange(1, 8))
    y, answer = batch.target.double().numpy(), batch.output.embeddings.double().numpy()
    expected = np.mean([max(0.0, 1 - answer[:, d].std(ddof=1) / y[:, d].std(ddof=1)) for d in range(7)])
    assert float(DiversityLoss()(batch)) == pytest.approx(expected, rel=1e-5)


def test_diversity_is_one_for_a_collapsed_answer_and_zero_for_a_wide_one(make_batch: MakeBatch) -> None:
    y = torch.randn(6, 7)
    collapsed = make_batch(target=y, answer=torch.ones(6, 7))
    assert float(DiversityLoss()(collapsed)) == pytest.approx(1.0, abs=1e-5)
    assert float(DiversityLoss()(make_batch(target=y, answer=2.0 * y))) == 0.0


def emergence(batch: LossInput, amplitude: float) -> float:
    """Compute the loss from the eigenvalues of the covariance between directions of the interior."""
    lattice = batch.output.lattice
    start = lattice.initial[:, batch.interior].double().numpy()
    change = lattice.final[:, batch.interior].double().numpy() - start
    flat = change.reshape(len(change), -1)
    eigenvalues = np.linalg.eigvalsh(np.cov(flat.T)).clip(0.0)
    ratio = eigenvalues.sum() ** 2 / (eigenvalues**2).sum()
    moved = math.sqrt((change**2).mean()) / math.sqrt((start**2).mean())
    spread = min(1.0, (ratio - 1) / min(len(flat) - 2, 32))
    return float(1 - spread + max(0.0, 1 - moved / amplitude))


@pytest.mark.parametrize(("size", "scale"), [(4, 1.0), (6, 0.02), (6, 0.1), (50, 1.0), (9, 1e-4)])
def test_emergence(make_batch: MakeBatch, size: int, scale: float) -> None:
    start = torch.randn(size, 60, 2)
    directions = torch.randn(3, 60, 2)
    change = torch.einsum("bk,kne->bne", torch.randn(size, 3) * torch.tensor([3.0, 1.0, 0.3]), directions)
    batch = make_batch(initial=start, final=start + scale * change)
    assert float(EmergenceLoss(0.1)(batch)) == pytest.approx(emergence(batch, 0.1), rel=1e-3)


def test_emergence_by_hand(make_batch: MakeBatch) -> None:
    start = torch.ones(5, 60, 2)
    same = start + 1.0  # Every input gets the same answer: nothing of it is the input's own.
    assert float(EmergenceLoss(0.1)(make_batch(initial=start, final=same))) == pytest.approx(1.0, abs=1e-3)
    one_direction = start + torch.arange(5.0).view(5, 1, 1)
    assert float(EmergenceLoss(0.1)(make_batch(initial=start, final=one_direction))) == pytest.approx(
        1.0, abs=1e-4
    )
    orthogonal = start.clone()
    for sample, cell in enumerate((21, 22, 23, 36, 37)):
        orthogonal[sample, cell] += 1.0
    # Five equal orthogonal answers, centered, span four equal directions: PR - 1 = 3 = B - 2.
    assert float(EmergenceLoss(0.1)(make_batch(initial=start, final=orthogonal))) == pytest.approx(
        0.0, abs=1e-4
    )


def test_emergence_looks_at_the_interior_alone(make_batch: MakeBatch) -> None:
    start, final = torch.randn(6, 60, 2), torch.randn(6, 60, 2)
    batch = make_batch(initial=start, final=final)
    outside = torch.ones(60, dtype=torch.bool)
    outside[batch.interior] = False
    other = final.clone()
    other[:, outside] = 100.0
    assert torch.equal(
        EmergenceLoss(0.1)(batch), EmergenceLoss(0.1)(make_batch(initial=start, final=other))
    )


@pytest.mark.parametrize("size", [2, 3])
def test_emergence_is_an_error_below_four(make_batch: MakeBatch, size: int) -> None:
    with pytest.raises(TrainingError, match=f"at least 4, got {size}"):
        EmergenceLoss(0.1)(make_batch(target=torch.randn(size, 7)))


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_lattice_dynamics(make_batch: MakeBatch, steps: int) -> None:
    r = torch.rand(steps, 6)
    weights = [t + 1 for t in range(steps)]
    expected = sum(
        w / sum(weights) * sum(float(x) ** 2 for x in row) / 6 for w, row in zip(weights, r, strict=True)
    )
    assert float(LatticeDynamicsLoss()(make_batch(relative_change=r))) == pytest.approx(expected, rel=1e-5)


def test_late_change_costs_more_than_early_change(make_batch: MakeBatch) -> None:
    early = torch.tensor([[1.0], [0.0], [0.0]]).expand(3, 6)
    loss = LatticeDynamicsLoss()
    assert float(loss(make_batch(relative_change=early))) == pytest.approx(1 / 6)
    assert float(loss(make_batch(relative_change=early.flip(0)))) == pytest.approx(3 / 6)


def geary(x: list[float]) -> float:
    """Compute Geary's C of one field over ordered pairs of cells that share a face."""
    cells = list(itertools.product(*map(range, DIMENSIONS)))
    mean = sum(x) / len(x)
    numerator = pairs = 0.0
    for (i, a), (j, b) in itertools.permutations(enumerate(cells), 2):
        if sum(abs(p - q) for p, q in zip(a, b, strict=True)) == 1:
            numerator += (x[i] - x[j]) ** 2
            pairs += 1
    return (len(x) - 1) * numerator / (2 * pairs * sum((value - mean) ** 2 for value in x))


def test_spatial_consistency(make_batch: MakeBatch) -> None:
    final = torch.randn(4, 60, 2).cumsum(dim=1)
    batch = make_batch(final=final)
    expected = np.mean([geary(final[b, :, c].double().tolist()) for b in range(4) for c in range(2)])
    assert float(SpatialConsistencyLoss()(batch)) == pytest.approx(expected, rel=1e-4)


def test_spatial_consistency_of_noise_checkers_and_slopes(make_batch: MakeBatch) -> None:
    loss = SpatialConsistencyLoss()
    cells = torch.cartesian_prod(*map(torch.arange, DIMENSIONS))
    assert float(loss(make_batch(final=torch.randn(500, 60, 2)))) == pytest.approx(1.0, abs=0.02)
    checkers = (cells.sum(dim=1) % 2).float().view(1, 60, 1).expand(4, 60, 2)
    assert float(loss(make_batch(final=checkers))) > 1.9
    slope = cells.sum(dim=1).float().view(1, 60, 1).expand(4, 60, 2)
    assert float(loss(make_batch(final=slope))) < 0.2


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_degenerate_batches_give_finite_values_and_gradients(make_batch: MakeBatch, name: str) -> None:
    loss = make_losses(LossSettings())[name]
    start = torch.randn(5, 60, 2)
    y = torch.randn(5, 7)
    cases: list[dict[str, Tensor]] = [
        {"initial": start, "final": start.clone(), "relative_change": torch.zeros(3, 5)},
        {"initial": start, "final": start[:1].expand(5, 60, 2).clone()},
        {"initial": torch.zeros(5, 60, 2), "final": torch.zeros(5, 60, 2)},
        {"target": y[:1].expand(5, 7), "answer": y[:1].expand(5, 7).clone()},
        {"target": y[:1].expand(5, 7), "answer": y.clone()},
        {"target": y, "answer": torch.zeros(5, 7)},
        {"target": torch.zeros(5, 7), "answer": torch.zeros(5, 7)},
    ]
    for case in cases:
        leaves = {
            key: value.clone().requires_grad_()
            for key, value in case.items()
            if key not in ("target", "initial")
        }
        value = loss(make_batch(**{**case, **leaves}))
        assert value.isfinite()
        if value.requires_grad:
            value.backward()
            for leaf in leaves.values():
                assert leaf.grad is None or leaf.grad.isfinite().all()


def test_an_unmoved_interior_is_as_bad_as_can_be(make_batch: MakeBatch) -> None:
    start = torch.randn(5, 60, 2)
    assert float(EmergenceLoss(0.1)(make_batch(initial=start, final=start))) == pytest.approx(2.0, abs=1e-3)


def test_total_is_the_weighted_sum_in_the_order_of_the_names(make_batch: MakeBatch) -> None:
    settings = LossSettings()
    assert list(make_losses(settings)) == list(LOSS_NAMES) == list(loss_weights(settings))
    assert tuple(loss_weights(settings).values()) == (1.0, 0.5, 0.1, 0.1, 0.1, 0.05)
    raw = {name: torch.tensor(10.0**place) for place, name in enumerate(LOSS_NAMES)}
    weights = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    assert float(total_loss(raw, weights)) == 654321.0
