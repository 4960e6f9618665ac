"""The readout solved by ridge regression: against least squares written anew, and within a training."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cellnet.embedding import fit_pca
from cellnet.errors import SettingsError
from cellnet.model import CellNet
from cellnet.settings import Settings, with_changes
from cellnet.training import (
    ChangeEvent,
    EmbeddingTrainer,
    ReadoutEvent,
    StateEvent,
    StepEvent,
    TrainerEvent,
    TrainerState,
    TrainingData,
    ValidationEvent,
)
from cellnet.training.readout import MAX_FITTED_INPUTS, ReadoutRegression, linear_readout

WIDTH = 40
BASE = with_changes(
    Settings(),
    {
        "lattice.dimensions": (4, 4, 4),
        "lattice.adaptive_radius_ratio": 0.44,
        "lattice.local_distance_ratio": 0.6,
        "lattice.functional_distance_ratio": 0.85,
        "model.state_size": 4,
        "model.steps": 2,
        "local.hidden_size": 8,
        "functional.hidden_size": 8,
        "distant.hidden_size": 8,
        "embedding.teacher_width": WIDTH,
        "training.batch_size": 16,
        "training.max_steps": 6,
        "training.validate_every": 2,
    },
)


def make_data(rows: int = 600) -> TrainingData:
    """Embeddings on a curved sheet, which a linear readout of few numbers cannot follow."""
    generator = np.random.default_rng(3)
    factors = generator.standard_normal((rows + 100, 8))
    products = (factors[:, :, None] * factors[:, None, :]).reshape(len(factors), -1)
    features = np.concatenate([2.0 * factors, 0.5 * products], axis=1)
    y = (features @ generator.standard_normal((features.shape[1], WIDTH)) + 1.0).astype(np.float32)
    return TrainingData(train=y[:rows].copy(), validation=y[rows:].copy())


def make_model(data: TrainingData, **changes: Any) -> CellNet:
    model = CellNet(with_changes(BASE, {name.replace("__", "."): v for name, v in changes.items()}))
    model.start_from(fit_pca(data.train))
    return model.eval()


@torch.no_grad()
def error(model: CellNet, rows: Tensor) -> float:
    return float((model(rows).embeddings - rows).square().mean())


def test_refined_codes_and_the_readout_in_turn_come_nearer() -> None:
    data = make_data()
    model = make_model(data, embedding__refinement_steps=3)
    rows = torch.from_numpy(data.train)
    errors = [error(model, rows)]
    for _ in range(3):
        regression = ReadoutRegression(linear_readout(model))
        regression.add(rows)
        regression.solve()
        errors.append(error(model, rows))
    assert errors == sorted(errors, reverse=True)
    plain = make_model(data)
    regression = ReadoutRegression(linear_readout(plain))
    regression.add(rows)
    regression.solve()
    assert errors[-1] < 0.9 * error(plain, rows)


@pytest.mark.parametrize("codec", ["linear", "autoencoder"])
def test_the_solution_is_that_of_penalized_least_squares(codec: str) -> None:
    data = make_data()
    model = make_model(data, embedding__type=codec).double()
    if codec == "autoencoder":
        torch.nn.init.normal_(model.codec.decoder[2].weight, std=0.1)
    rows = torch.from_numpy(data.train).double()
    before = error(model, rows)
    regression = ReadoutRegression(linear_readout(model))
    for part in rows.split(150):
        regression.add(part)
    found = regression.solve()
    assert found.penalty is not None
    assert error(model, rows) < 0.9 * before
    with torch.no_grad():
        surface = model(rows, stop_early=False).surface_out
        free = torch.cat([surface[..., 0].flatten(1), torch.ones(len(rows), 1)], dim=1)
        channels = surface[..., 1:].flatten(1)
        codec_ = model.codec
        target = (rows - codec_.mean) / codec_.scale - codec_.decode_nonlinear(surface)
        spread = (channels - free @ torch.linalg.lstsq(free, channels).solution).norm(dim=0)
        # The penalty as rows of their own: least squares over both is ridge regression.
        penalty = torch.diag(found.penalty**0.5 * spread)
        left = torch.cat([torch.cat([free, channels], 1), torch.cat([torch.zeros(48, 17), penalty], 1)])
        right = torch.cat([target, torch.zeros(48, WIDTH)])
        expected = torch.linalg.lstsq(left, right, driver="gelsd").solution
    torch.testing.assert_close(codec_.from_channels.weight.T, expected[17:], rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(codec_.from_surface.weight.T, expected[:16], rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(codec_.from_surface.bias, expected[16], rtol=1e-6, atol=1e-8)


def test_the_penalty_is_the_one_that_tells_best_on_every_tenth_row() -> None:
    data = make_data()
    rows = torch.from_numpy(data.train)
    held = rows[::10]
    seen = rows[torch.arange(len(rows)) % 10 != 0]
    model = make_model(data)
    regression = ReadoutRegression(linear_readout(model))
    for part in rows.split(64):
        regression.add(part)
    found = regression.solve()
    assert found.penalty is not None
    # What is taken in without the rows held back, and solved with the same penalty, explains as much.
    again = make_model(data)
    other = ReadoutRegression(linear_readout(again))
    other.add(seen)
    weights = other._weights(other._moments.sum(0), found.penalty)
    with torch.no_grad():
        again.codec.from_surface.weight.copy_(weights[:16].T)
        again.codec.from_surface.bias.copy_(weights[16])
        again.codec.from_channels.weight.copy_(weights[17:].T)
    unexplained = error(again, held) / float((held - held.mean(dim=0)).square().mean())
    assert unexplained == pytest.approx(found.unexplained, rel=1e-3)


def test_coordinates_and_channels_without_variance_do_no_harm() -> None:
    data = make_data()
    flat = TrainingData(data.train.copy(), data.validation.copy())
    flat.train[:, 10:] = np.tile(flat.train[:, :10], 3)
    model = make_model(flat)
    rows = torch.from_numpy(flat.train)
    regression = ReadoutRegression(linear_readout(model))
    regression.add(rows)
    regression.solve()
    assert all(bool(torch.isfinite(p).all()) for p in model.parameters())
    assert error(model, rows) < 1e-3


def test_a_readout_that_few_sentences_cannot_better_is_kept() -> None:
    data = make_data()
    model = make_model(data)
    before = [p.clone() for p in model.parameters()]
    regression = ReadoutRegression(linear_readout(model))
    rows = torch.from_numpy(data.train[:30])
    regression.add(rows)
    found = regression.solve()
    assert found.penalty is None
    held = rows[::10]
    unexplained = error(model, held) / float((held - held.mean(dim=0)).square().mean())
    assert found.unexplained == pytest.approx(unexplained, rel=1e-3)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_too_few_rows_are_refused() -> None:
    regression = ReadoutRegression(linear_readout(make_model(make_data())))
    regression.add(torch.randn(19, WIDTH))
    with pytest.raises(ValueError, match="19 sentences are too few"):
        regression.solve()


def make_trainer(**changes: Any) -> tuple[EmbeddingTrainer, list[TrainerEvent]]:
    settings = with_changes(BASE, {name.replace("__", "."): value for name, value in changes.items()})
    trainer = EmbeddingTrainer(settings, make_data())
    events: list[TrainerEvent] = []
    trainer.subscribe(events.append)
    return trainer, events


def test_a_readout_too_large_to_be_fitted_is_refused() -> None:
    assert MAX_FITTED_INPUTS == 8192
    with pytest.raises(SettingsError, match=r"a code of 36 .* has 9,216; set it to 0"):
        make_trainer(training__fit_readout_every=5, lattice__dimensions=(6, 6, 6), model__state_size=256)


def test_a_training_fits_when_it_is_due_and_validates_after() -> None:
    trainer, events = make_trainer(training__fit_readout_every=4)
    assert trainer.train() is TrainerState.FINISHED
    fits = [event for event in events if isinstance(event, ReadoutEvent)]
    assert {event.step for event in fits} == {4}
    assert [event.done for event in fits] == [0, 120, 240, 360, 480, 600]
    assert [event.fit is None for event in fits] == [True] * 5 + [False]
    told = [e for e in events if isinstance(e, StepEvent | ReadoutEvent | ValidationEvent)]
    last_fit = told.index(fits[-1])
    assert isinstance(told[told.index(fits[0]) - 1], StepEvent)
    assert isinstance(told[last_fit + 1], ValidationEvent)
    measured = {e.step: e.measures.explained_variance for e in events if isinstance(e, ValidationEvent)}
    assert 1.0 - measured[4] < 0.8 * (1.0 - measured[2])


def test_nothing_is_fitted_for_a_cube_that_rests() -> None:
    trainer, events = make_trainer(training__fit_readout_every=2, training__codec_steps=4)
    trainer.train()
    last = trainer.settings.training.max_steps
    assert {event.step for event in events if isinstance(event, ReadoutEvent)} == set(range(4, last + 1, 2))


def test_a_fit_is_the_same_when_the_training_is_repeated() -> None:
    weights = []
    for _ in range(2):
        trainer, _ = make_trainer(training__fit_readout_every=3)
        trainer.train()
        weights.append(trainer.model.codec.from_channels.weight.detach().clone())
    assert torch.equal(*weights)


def test_orders_are_obeyed_in_the_middle_of_a_fit() -> None:
    trainer, events = make_trainer(training__fit_readout_every=2, training__max_steps=4)

    def steer(event: TrainerEvent) -> None:
        match event:
            case ReadoutEvent(step=2, done=240) if not any(isinstance(e, ChangeEvent) for e in events):
                trainer.apply({"lattice.functional_distance_ratio": 0.9})
            case ReadoutEvent(step=4, done=120):
                trainer.stop()

    trainer.subscribe(steer)
    assert trainer.train() is TrainerState.STOPPED
    fits = [(event.step, event.done) for event in events if isinstance(event, ReadoutEvent)]
    # The change makes another cube, for which the fit begins anew; the stop gives it up.
    whole = [(2, done) for done in (0, 120, 240, 360, 480, 600)]
    assert fits == [*whole[:3], *whole, (4, 0), (4, 120)]


def test_a_single_step_that_is_followed_by_a_fit_pauses_after_it() -> None:
    trainer, events = make_trainer(training__fit_readout_every=1, training__max_steps=3)
    trainer.pause()
    trainer.single_step()

    def go_on(event: TrainerEvent) -> None:
        if getattr(event, "state", None) is TrainerState.PAUSED and trainer.step_count == 1:
            trainer.resume()

    trainer.subscribe(go_on)
    assert trainer.train() is TrainerState.FINISHED
    told = [e for e in events if isinstance(e, ReadoutEvent) or getattr(e, "state", None) is not None]
    paused = [i for i, e in enumerate(told) if getattr(e, "state", None) is TrainerState.PAUSED]
    assert len(paused) == 2
    before = told[paused[1] - 1]
    assert isinstance(before, ReadoutEvent)
    assert before.done == before.total == 600


def test_a_single_step_asked_for_in_a_fit_is_not_lost_when_the_fit_begins_anew() -> None:
    trainer, events = make_trainer(training__fit_readout_every=2, training__max_steps=3)

    def steer(event: TrainerEvent) -> None:
        match event:
            case ReadoutEvent(step=2, done=240) if not any(isinstance(e, ChangeEvent) for e in events):
                trainer.pause()
                trainer.single_step()
                trainer.apply({"lattice.functional_distance_ratio": 0.9})
            case StateEvent(step=2, state=TrainerState.PAUSED) if isinstance(events[-2], ValidationEvent):
                trainer.resume()

    trainer.subscribe(steer)
    assert trainer.train() is TrainerState.FINISHED
    paused = [event.step for event in events if getattr(event, "state", None) is TrainerState.PAUSED]
    assert paused == [2, 2]
