import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from cellnet.errors import DataError
from cellnet.evaluation import (
    Evaluation,
    Pairs,
    Perceptron,
    as_dict,
    evaluate,
    measure_lattice,
)
from cellnet.evaluation.lattice import participation_ratio
from cellnet.inspection import carry
from cellnet.proof.subject import draw_last_layers
from cellnet.settings import Settings
from cellnet.student.codec import PCA, fit_pca
from cellnet.student.damage import Intervention
from cellnet.student.student import CellNet
from cellnet.training import TrainingData
from cellnet.training.benchmark import random_data

CPU = torch.device("cpu")


@pytest.fixture
def data(settings: Settings) -> TrainingData:
    return random_data(settings, 120)


@pytest.fixture
def pca(data: TrainingData) -> PCA:
    return fit_pca(data.train)


@pytest.fixture
def model(settings: Settings, pca: PCA) -> CellNet:
    """A student whose experts act, and which therefore is worse than PCA."""
    student = CellNet(settings)
    student.start_from(pca)
    draw_last_layers(student.lattice)
    return student.eval()


def drawn_pairs(count: int = 40, width: int = 32) -> Pairs:
    generator = np.random.default_rng(5)
    first = generator.standard_normal((count, width)).astype(np.float32)
    second = (first + generator.standard_normal((count, width))).astype(np.float32)
    return Pairs(first, second, generator.integers(6, size=count).astype(np.float64))


def test_read_outs_step_by_step_end_where_the_whole_run_ends(settings: Settings, model: CellNet) -> None:
    embeddings = torch.from_numpy(random_data(settings, 16).train)
    [part] = carry(model, embeddings)
    with torch.no_grad():
        assert part.readouts.shape[1] == 4
        assert torch.equal(part.readouts[:, -1], model(embeddings).embeddings)
        assert torch.equal(part.readouts[:, 1], model(embeddings, steps=1).embeddings)
        assert part.gate.shape[1] == 3
        assert torch.equal(part.gate[:, 2], model(embeddings, keep_trace=True).lattice.trace[2].gate)


def test_a_fresh_student_is_pca_and_its_experts_are_worth_nothing(
    settings: Settings, data: TrainingData, pca: PCA
) -> None:
    model = CellNet(settings)
    model.start_from(pca)
    result = evaluate(model, pca, data.validation, device=CPU, batch_size=8, resamples=40)
    explained = result.scores["pca"]["explained_variance"].value
    assert result.scores["student"]["explained_variance"].value == pytest.approx(explained, abs=1e-5)
    assert [step.value for step in result.steps.explained_variance] == pytest.approx(
        [explained] * 4, abs=1e-5
    )
    for difference in result.differences["student_minus_pca"].values():
        assert (difference.value, difference.low, difference.high) == pytest.approx((0, 0, 0), abs=1e-4)
    assert [ablation.value for ablation in result.expert_ablation.values()] == pytest.approx(
        [0.0] * 3, abs=1e-6
    )
    assert sum(result.gate_mass.values()) == pytest.approx(1.0, abs=1e-6)
    assert 0.0 < result.gate_entropy <= 1.0
    teacher = result.scores["teacher"]
    assert (teacher["knn_overlap_10"].value, teacher["recall_1"].value) == (1.0, 1.0)
    assert set(result.scores) == {"student", "teacher", "pca"}
    assert result.novelty == ()


def test_every_score_is_that_of_a_plain_computation(model: CellNet, data: TrainingData, pca: PCA) -> None:
    y, bank, pairs = data.validation, data.train[:50], drawn_pairs()
    result = evaluate(model, pca, y, device=CPU, bank=bank, pairs=pairs, training=data.train, resamples=40)
    found = {name: score.value for name, score in result.scores["student"].items()}

    def carried(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return model(torch.from_numpy(x)).embeddings.double().numpy()

    answers, wide = carried(y), y.astype(np.float64)
    error = ((answers - wide) ** 2).sum()
    assert found["explained_variance"] == pytest.approx(
        1 - error / ((wide - wide.mean(axis=0)) ** 2).sum(), abs=1e-6
    )
    assert found["mse"] == pytest.approx(error / y.size, rel=1e-6)
    unit, units = unit_rows(answers), unit_rows(wide)
    assert found["mean_cosine"] == pytest.approx((unit * units).sum(axis=1).mean(), abs=1e-6)
    assert found["knn_overlap_10"] == pytest.approx(overlap(unit, units), abs=1e-9)
    across = unit @ np.concatenate([units, unit_rows(bank)]).T
    rank = (across > np.diag(across)[:, None] + 1e-6).sum(axis=1)
    for k in (1, 5, 10):
        assert found[f"recall_{k}"] == pytest.approx((rank < k).mean(), abs=1e-9)
    cosines = (unit_rows(carried(pairs.first)) * unit_rows(carried(pairs.second))).sum(axis=1)
    assert found["spearman"] == pytest.approx(stats.spearmanr(cosines, pairs.scores).statistic, abs=1e-6)
    with torch.no_grad():
        one, other = (
            unit_rows(model.codec.encode(torch.from_numpy(side)).flatten(1).numpy())
            for side in (pairs.first, pairs.second)
        )
    expected = stats.spearmanr((one * other).sum(axis=1), pairs.scores).statistic
    assert found["spearman_code"] == pytest.approx(expected, abs=1e-6)
    assert "spearman_code" not in result.scores["teacher"]
    assert (result.sentences, result.bank, result.pairs) == (30, 80, 40)
    assert_bands(result, units, unit_rows(data.train), answers, wide)


def unit_rows(x: np.ndarray) -> np.ndarray:
    x = x.astype(np.float64)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def overlap(unit: np.ndarray, units: np.ndarray) -> float:
    shared = 0
    for i in range(len(unit)):
        one, other = (
            set(sorted((j for j in range(len(x)) if j != i), key=lambda j, x=x: -(x[i] @ x[j]))[:10])
            for x in (unit, units)
        )
        shared += len(one & other)
    return shared / (10 * len(unit))


def assert_bands(
    result: Evaluation, units: np.ndarray, training: np.ndarray, answers: np.ndarray, wide: np.ndarray
) -> None:
    nearest = (units @ training.T).max(axis=1)
    order = np.argsort(nearest)
    assert [band.sentences for band in result.novelty] == [6] * 5
    spread = ((wide - wide.mean(axis=0)) ** 2).sum(axis=1)
    error = ((answers - wide) ** 2).sum(axis=1)
    for rows, band in zip(np.split(order, 5), result.novelty, strict=True):
        assert (band.lowest, band.highest) == pytest.approx((nearest[rows[0]], nearest[rows[-1]]), abs=1e-5)
        expected = 1 - error[rows].sum() / spread[rows].sum()
        score = band.scores["student"]["explained_variance"]
        assert score.value == pytest.approx(expected, abs=1e-6)
        assert score.low < score.value < score.high


def test_figures_do_not_depend_on_the_batch(model: CellNet, data: TrainingData, pca: PCA) -> None:
    small, large = (
        as_dict(evaluate(model, pca, data.validation, device=CPU, batch_size=size, resamples=40))
        for size in (7, 64)
    )
    for key in ("student", "pca", "expert_ablation", "gate_mass"):
        assert small[key] == pytest.approx(large[key], abs=1e-5)
    assert small["gate_entropy"] == pytest.approx(large["gate_entropy"], abs=1e-6)
    loss = 1.0 - large["student"]["explained_variance"]
    with torch.no_grad():
        target = torch.from_numpy(data.validation)
        silent = model(target, intervention=Intervention(silenced=frozenset({"distant"}))).embeddings
        error = (silent - target).square().sum() / (target - target.mean(dim=0)).square().sum()
    assert large["expert_ablation"]["distant"] == pytest.approx(float(error) / loss - 1.0, abs=1e-4)


def test_the_difference_to_the_mlp_is_measured_in_full_and_by_step(
    model: CellNet, data: TrainingData, pca: PCA
) -> None:
    mlp = Perceptron.like(model)
    mlp.start_from(pca)
    values = as_dict(
        evaluate(model, pca, data.validation, device=CPU, perceptron=mlp, training=data.train, resamples=40)
    )
    gain = values["differences"]["student_minus_mlp"]["explained_variance"]
    expected = values["student"]["explained_variance"] - values["mlp"]["explained_variance"]
    assert gain["value"] == pytest.approx(expected, abs=1e-12)
    assert gain["low"] < gain["value"] < gain["high"] < 0
    assert values["mlp"] == pytest.approx(values["pca"], abs=1e-4)
    assert values["lattice_gain"]["over_mlp"][-1] == pytest.approx(expected, abs=1e-9)
    assert values["lattice_gain"]["over_first"][0] == 0.0
    low, high = values["lattice_gain"]["intervals"]["over_pca"][-1]
    assert low < values["lattice_gain"]["over_pca"][-1] < high
    assert [band["differences"]["student_minus_mlp"] is None for band in values["novelty"]] == [False] * 5


def test_what_was_not_asked_for_is_none(model: CellNet, data: TrainingData, pca: PCA) -> None:
    values = as_dict(evaluate(model, pca, data.validation, device=CPU, resamples=40))
    assert values["mlp"] is None
    assert values["novelty"] is None
    assert values["pairs"] is None
    assert values["student"]["spearman"] is None
    assert values["differences"]["student_minus_mlp"] is None
    assert values["lattice_gain"]["over_mlp"] is None


def test_the_sample_is_that_of_the_seed(model: CellNet, data: TrainingData, pca: PCA) -> None:
    options = {"device": CPU, "resamples": 40, "lattice_sentences": 12}
    first = evaluate(model, pca, data.validation, seed=1, **options)
    assert first.lattice.sentences == 12
    rows = np.sort(np.random.default_rng(1).choice(30, 12, replace=False))
    expected = measure_lattice(model, data.validation[rows], device=CPU)
    assert np.array_equal(expected.intact_error, first.lattice.intact_error)
    again = evaluate(model, pca, data.validation, seed=1, **options)
    assert as_dict(first) == as_dict(again)


def test_the_effective_dimension_counts_directions(
    model: CellNet, data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(50, 4, generator=generator) @ torch.randn(4, 200, generator=generator)
    covariance = np.cov(values.double().numpy().T)
    expected = np.trace(covariance) ** 2 / (covariance**2).sum()
    assert 2 < expected < 4
    assert participation_ratio(values) == pytest.approx(expected, rel=1e-5)
    assert participation_ratio(values[:, :3]) == pytest.approx(
        np.trace(covariance[:3, :3]) ** 2 / (covariance[:3, :3] ** 2).sum(), rel=1e-5
    )
    assert math.isnan(participation_ratio(torch.ones(5, 3)))

    def interior(count: int) -> Tensor:
        with torch.no_grad():
            lattice = model(torch.from_numpy(data.validation[:count])).lattice
        return (lattice.final - lattice.initial)[:, model.interior].flatten(1)

    found = measure_lattice(model, data.validation, device=CPU, batch_size=7).interior
    assert found is not None
    assert found.effective_dimension == pytest.approx(participation_ratio(interior(30)), rel=1e-5)
    assert (found.highest, found.sentences) == (29, 30)
    monkeypatch.setattr("cellnet.evaluation.lattice._INTERIOR_NUMBERS", 27 * 8 * 10)
    fewer = measure_lattice(model, data.validation, device=CPU, batch_size=7).interior
    assert fewer is not None
    assert fewer.effective_dimension == pytest.approx(participation_ratio(interior(10)), rel=1e-5)
    assert fewer.sentences == 10


def test_what_cannot_be_evaluated_is_refused(model: CellNet, data: TrainingData, pca: PCA) -> None:
    y = data.validation
    constant = Pairs(y, y, np.ones(len(y)))
    for embeddings, options, message in (
        (y[:10], {}, "more than 10"),
        (y[:, :31], {}, "width 32"),
        (y, {"bank": y[:, :31]}, "bank of shape"),
        (y, {"pairs": Pairs(y[:2], y[:2], np.arange(2.0))}, "at least 3"),
        (y, {"pairs": constant}, "same score"),
        (y, {"resamples": 10}, "at least 40"),
        (y, {"lattice_sentences": -1}, "0 for all"),
        (np.ones_like(y), {}, "no variance"),
    ):
        with pytest.raises(DataError, match=message):
            evaluate(model, pca, embeddings, device=CPU, **options)
