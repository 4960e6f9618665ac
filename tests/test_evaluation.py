import math

import numpy as np
import pytest
import torch

from cellnet.benchmark import random_data
from cellnet.embedding import fit_pca
from cellnet.errors import DataError
from cellnet.evaluation import evaluate, readouts
from cellnet.interventions import Intervention
from cellnet.measures import measure_neighborhoods
from cellnet.model import CellNet
from cellnet.proof.subject import draw_last_layers
from cellnet.settings import Settings, preset, with_changes

CPU = torch.device("cpu")


@pytest.fixture
def settings() -> Settings:
    return with_changes(
        preset("quickstart"),
        {
            "lattice.dimensions": (5, 5, 5),
            "lattice.adaptive_radius_ratio": 0.35,
            "model.state_size": 8,
            "model.steps": 3,
            "embedding.teacher_width": 32,
        },
    )


def test_neighborhoods_equal_a_count_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    teacher = generator.standard_normal((40, 6)).astype(np.float32)
    student = (teacher + 0.5 * generator.standard_normal((40, 6))).astype(np.float32)

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        return float(a.astype(float) @ b / math.sqrt((a.astype(float) @ a) * (b.astype(float) @ b)))

    overlap = hits = 0
    for i in range(40):
        nearest = [
            set(sorted((j for j in range(40) if j != i), key=lambda j: -cosine(x[i], x[j]))[:10])
            for x in (teacher, student)
        ]
        overlap += len(nearest[0] & nearest[1])
        hits += max(range(40), key=lambda j: cosine(student[i], teacher[j])) == i
    expected = (overlap / 400, hits / 40)
    assert 0 < expected[0] < 1
    assert 0 < expected[1] < 1
    assert measure_neighborhoods(student, teacher, device=CPU) == expected
    monkeypatch.setattr("cellnet.measures._COSINES_AT_ONCE", 120)
    assert measure_neighborhoods(student, teacher, device=CPU) == expected


def test_read_outs_step_by_step_end_where_the_whole_run_ends(settings: Settings) -> None:
    model = CellNet(settings).eval()
    draw_last_layers(model.lattice)
    embeddings = torch.from_numpy(random_data(settings, 16).train)
    with torch.no_grad():
        answers = list(readouts(model, embeddings))
        assert len(answers) == 4
        assert torch.equal(answers[-1][0], model(embeddings).embeddings)
        assert torch.equal(answers[1][0], model(embeddings, steps=1).embeddings)
        gates = [gate for _, gate in answers if gate is not None]
        assert len(gates) == 3
        assert torch.equal(gates[2], model(embeddings, keep_trace=True).lattice.trace[2].gate)


def test_a_fresh_student_is_pca_and_its_experts_are_worth_nothing(settings: Settings) -> None:
    data = random_data(settings, 120)
    pca = fit_pca(data.train)
    model = CellNet(settings)
    model.start_from(pca)
    result = evaluate(model, pca, data.validation, device=CPU, batch_size=8)
    assert result.student.explained_variance == pytest.approx(result.pca.explained_variance, abs=1e-5)
    assert result.lattice.steps == pytest.approx([result.pca.explained_variance] * 4, abs=1e-5)
    assert list(result.lattice.expert_ablation.values()) == pytest.approx([0.0] * 3, abs=1e-6)
    assert sum(result.lattice.gate_mass.values()) == pytest.approx(1.0, abs=1e-6)
    assert 0.0 < result.lattice.gate_entropy <= 1.0
    assert (result.teacher.knn_overlap_10, result.teacher.recall_1) == (1.0, 1.0)


def test_figures_do_not_depend_on_the_batch(settings: Settings) -> None:
    data = random_data(settings, 120)
    pca = fit_pca(data.train)
    model = CellNet(settings)
    model.start_from(pca)
    draw_last_layers(model.lattice)
    small = evaluate(model, pca, data.validation, device=CPU, batch_size=7).as_dict()
    large = evaluate(model, pca, data.validation, device=CPU, batch_size=64).as_dict()
    for key in ("student", "pca", "expert_ablation", "gate_mass"):
        assert small[key] == pytest.approx(large[key], abs=1e-5)
    assert small["gate_entropy"] == pytest.approx(large["gate_entropy"], abs=1e-6)
    loss = 1.0 - large["student"]["explained_variance"]
    with torch.no_grad():
        target = torch.from_numpy(data.validation)
        silent = model(target, intervention=Intervention(silenced={"distant"})).embeddings
        error = (silent - target).square().sum() / (target - target.mean(dim=0)).square().sum()
    assert large["expert_ablation"]["distant"] == pytest.approx(float(error) / loss - 1.0, abs=1e-4)


def test_too_few_sentences_are_refused(settings: Settings) -> None:
    data = random_data(settings, 40)
    with pytest.raises(DataError, match="more than 10"):
        evaluate(CellNet(settings), fit_pca(data.train), data.validation, device=CPU)
