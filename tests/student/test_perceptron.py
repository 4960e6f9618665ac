"""The MLP student: as many parameters, the same start, and trained on the same data."""

import dataclasses

import numpy as np
import pytest
import torch

from cellnet.errors import DataError
from cellnet.evaluation import Perceptron, parameter_count, train_perceptron
from cellnet.losses import LossInput, make_losses
from cellnet.measures import measure_reconstruction
from cellnet.settings import Settings, preset, with_changes
from cellnet.student.codec import fit_pca
from cellnet.student.student import CellNet
from cellnet.training.benchmark import random_data
from cellnet.training.data import TrainingData
from cellnet.training.events import ChangeEvent

CPU = torch.device("cpu")


@pytest.mark.parametrize("codec", ["linear", "autoencoder"])
def test_it_has_the_parameters_of_the_student(codec: str) -> None:
    student = CellNet(with_changes(preset("quickstart"), {"embedding.type": codec}))
    mlp = Perceptron.like(student)
    assert parameter_count(mlp) == pytest.approx(parameter_count(student), rel=2e-3)
    assert mlp(torch.randn(3, 384)).surface_in.shape == (3, 8, 8)


def test_its_two_hidden_layers_are_equally_wide_whatever_those_of_the_student_are() -> None:
    changes = {"embedding.type": "autoencoder", "embedding.decoder_hidden_size": 40}
    student = CellNet(with_changes(preset("quickstart"), changes))
    mlp = Perceptron.like(student)
    assert mlp.codec.encoder[0].out_features == mlp.codec.decoder[0].out_features == mlp.hidden
    assert parameter_count(mlp) == pytest.approx(parameter_count(student), rel=2e-3)


def test_it_starts_as_pca(settings: Settings) -> None:
    data = random_data(settings, 120)
    pca = fit_pca(data.train)
    mlp = Perceptron.like(CellNet(settings))
    mlp.start_from(pca)
    x = torch.from_numpy(data.validation)
    with torch.no_grad():
        assert torch.allclose(mlp(x).embeddings, pca.reconstruct(x, 25), atol=1e-4)


def test_it_learns_with_the_losses_and_batches_of_the_student(settings: Settings) -> None:
    settings = with_changes(
        settings,
        {
            "training.batch_size": 16,
            "training.learning_rate": 4e-3,
            "training.warmup_steps": 5,
            "loss.diversity": 0.0,
            "init.gain": 1.0,
        },
    )
    data = random_data(settings, 300)
    nonlinear = np.tanh(2.0 * data.train) + data.train**2 / 4
    data = TrainingData(nonlinear, data.validation)
    student = CellNet(settings)
    before = [parameter.clone() for parameter in student.parameters()]
    told = []
    mlp = train_perceptron(student, data, steps=40, device=CPU, progress=lambda *done: told.append(done))
    assert told[-1] == (40, 40)
    assert all(torch.equal(a, b) for a, b in zip(before, student.parameters(), strict=True))
    pca = fit_pca(nonlinear)
    with torch.no_grad():
        learned, started = (
            measure_reconstruction(answer, nonlinear, device=CPU).explained_variance
            for answer in (lambda x: mlp(x).embeddings, lambda x: pca.reconstruct(x, 25))
        )
    assert learned > started + 0.0005
    again = train_perceptron(student, data, steps=40, device=CPU)
    assert all(torch.equal(a, b) for a, b in zip(mlp.parameters(), again.parameters(), strict=True))


def test_its_first_step_is_that_of_adam_on_the_weighted_losses(settings: Settings) -> None:
    settings = with_changes(settings, {"training.batch_size": 33, "training.clip_norm": 1e6})
    data = random_data(settings, 44)  # one batch holds all training sentences
    student = CellNet(settings)
    start = Perceptron.like(student)
    start.start_from(fit_pca(data.train))
    batch = torch.from_numpy(data.train)
    seen = LossInput(batch, start(batch), torch.zeros(0, dtype=torch.int64), (5, 5, 5))
    losses = make_losses(settings.loss)
    total = losses["reconstruction"](seen) + 0.5 * losses["similarity"](seen)
    (total + settings.loss.diversity * losses["diversity"](seen)).backward()
    trained = train_perceptron(student, data, steps=1, schedule_steps=4000, device=CPU)
    rate = settings.training.learning_rate / settings.training.warmup_steps
    gradient = start.codec.decoder[2].bias.grad
    assert gradient is not None
    moved = trained.codec.decoder[2].bias - start.codec.decoder[2].bias
    assert torch.allclose(moved, -rate * gradient.sign(), rtol=1e-2, atol=1e-9)


def test_what_was_changed_while_the_student_trained_is_changed_again(settings: Settings) -> None:
    data = random_data(settings, 120)
    rate = settings.training.learning_rate
    before = CellNet(settings)
    after = CellNet(with_changes(settings, {"training.learning_rate": rate / 7, "loss.similarity": 0.0}))
    changes = [
        ChangeEvent(3, "training.learning_rate", rate, rate / 7),
        ChangeEvent(3, "loss.similarity", settings.loss.similarity, 0.0),
        ChangeEvent(4, "gate.temperature", 1.0, 2.0),
    ]

    def trained(student: CellNet, steps: int, *made: ChangeEvent) -> list[torch.Tensor]:
        mlp = train_perceptron(student, data, steps=steps, schedule_steps=100, changes=made, device=CPU)
        return list(mlp.parameters())

    pairs = zip(trained(after, 3, *changes), trained(before, 3), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
    at_once = [dataclasses.replace(change, step=0) for change in changes]
    pairs = zip(trained(after, 4, *at_once), trained(after, 4), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
    later, never = (trained(student, 4, *made) for student, made in ((after, changes), (before, ())))
    assert any(not torch.equal(one, other) for one, other in zip(later, never, strict=True))


def test_a_student_with_too_few_parameters_is_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cellnet.student.perceptron.parameter_count", lambda model: 1000)
    with pytest.raises(DataError, match="1000 parameters, too few for an MLP"):
        Perceptron.like(CellNet(settings))


def test_its_codes_are_refined_as_those_of_the_student(settings: Settings) -> None:
    data = random_data(settings, 120)
    y = torch.from_numpy(data.validation)
    plain = Perceptron.like(CellNet(settings)).eval()
    refined = Perceptron.like(CellNet(with_changes(settings, {"embedding.refinement_steps": 4}))).eval()
    with torch.no_grad():
        before, after = ((mlp(y).embeddings - y).square().sum(dim=1) for mlp in (plain, refined))
        assert (after <= before * (1 + 1e-5)).all()
        assert after.mean() < before.mean()
        assert torch.equal(refined(y, refine=False).surface_in, plain(y).surface_in)
