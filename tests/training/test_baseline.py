"""The MLP student is trained as the cube is: the same batches, losses, rates, live changes and refusals."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from cellnet.errors import TrainingError
from cellnet.evaluation import Perceptron
from cellnet.losses import LossInput, make_losses
from cellnet.measures import measure_reconstruction
from cellnet.settings import Settings, with_changes
from cellnet.student.codec import fit_pca
from cellnet.student.student import CellNet
from cellnet.training.baseline import train_perceptron
from cellnet.training.benchmark import random_data
from cellnet.training.data import TrainingData
from cellnet.training.events import ChangeEvent
from cellnet.training.learner import Learner

CPU = torch.device("cpu")


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


def test_ratios_that_were_changed_together_are_changed_together(settings: Settings) -> None:
    lattice = settings.lattice
    wide = {"lattice.functional_distance_ratio": 1.0, "lattice.local_distance_ratio": 0.95}
    student = CellNet(with_changes(settings, wide))
    changes = [  # the local ratio first, which alone would lie above the functional one
        ChangeEvent(2, "lattice.local_distance_ratio", lattice.local_distance_ratio, 0.95),
        ChangeEvent(2, "lattice.functional_distance_ratio", lattice.functional_distance_ratio, 1.0),
    ]
    data = random_data(settings, 120)
    changed, plain = (
        train_perceptron(student, data, steps=4, changes=made, device=CPU) for made in (changes, ())
    )
    pairs = zip(changed.parameters(), plain.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_it_measures_the_losses_that_need_no_lattice(settings: Settings) -> None:
    student = CellNet(settings)
    data = random_data(settings, 120)
    cube, mlp = (
        Learner(model, data, settings, CPU).step(0).result.losses
        for model in (student, Perceptron.like(student))
    )
    losses = make_losses(settings.loss)
    assert list(cube) == list(losses)
    assert list(mlp) == [name for name, loss in losses.items() if not loss.needs_lattice]
    assert all(math.isfinite(value) for value in mlp.values())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_ends_it_with_the_step(settings: Settings, value: float) -> None:
    data = random_data(settings, 120)
    pca = fit_pca(data.train)
    data.train[3, 2] = value
    with pytest.raises(TrainingError, match=r"gradient of step \d+ of the MLP student is not finite"):
        train_perceptron(CellNet(settings), data, steps=20, pca=pca, device=CPU)


def test_it_can_be_ended_by_whoever_is_told_of_its_progress(settings: Settings) -> None:
    steps = []

    def end(done: int, total: int) -> None:
        steps.append(done)
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_perceptron(CellNet(settings), random_data(settings, 120), steps=9, device=CPU, progress=end)
    assert steps == [1, 2, 3]


def test_it_leaves_the_random_numbers_of_the_process_alone(settings: Settings) -> None:
    data, student = random_data(settings, 120), CellNet(settings)
    before = torch.get_rng_state()
    train_perceptron(student, data, steps=2, device=CPU)
    assert torch.equal(before, torch.get_rng_state())
