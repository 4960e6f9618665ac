"""The trainer: forward, training, validation, live control, checkpoints, monitoring, and a golden curve."""

import dataclasses
import json
import logging
import math
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cellnet.errors import CheckpointError, DataError, SettingsError
from cellnet.losses import LOSS_NAMES
from cellnet.settings import Settings, differences, with_changes
from cellnet.training import (
    ChangeEvent,
    CheckpointEvent,
    EmbeddingTrainer,
    StateEvent,
    StepEvent,
    TrainerEvent,
    TrainerState,
    TrainingData,
    ValidationEvent,
)

GOLDEN = Path(__file__).parents[1] / "golden" / "loss_curve.json"
WIDTH = 24
PATIENCE = 60.0
"""Seconds after which a test that waits for another thread fails."""


def make_settings(**changes: Any) -> Settings:
    """Return a small training with every value that shapes it spelled out, whatever the defaults are."""
    settings = Settings(
        lattice={
            "dimensions": (4, 4, 4),
            "adaptive_radius_ratio": 0.44,
            "local_distance_ratio": 0.6,
            "functional_distance_ratio": 0.85,
            "distant_distance_ratio": 1.0,
            "boundary": "open",
            "enable_morton_encoding": True,
            "target_performance_ms": 1e6,
        },
        neighbors={"block_cells": 32},
        model={"state_size": 8, "steps": 3, "convergence_threshold": 1e-4},
        local={"hidden_size": 16},
        functional={"hidden_size": 16, "heads": 1, "ode_method": "euler", "integration_steps": 2},
        distant={"hidden_size": 16, "ode_method": "euler", "integration_steps": 2},
        gate={"hidden_size": 8, "temperature": 1.0},
        embedding={
            "teacher_width": WIDTH,
            "type": "linear",
            "pca_initialization": True,
            "placement_strategy": "faces",
            "extraction_strategy": "surface_mean",
        },
        loss={
            "reconstruction": 1.0,
            "similarity": 0.5,
            "diversity": 0.1,
            "emergence": 0.1,
            "lattice_dynamics": 0.1,
            "spatial_consistency": 0.05,
            "emergence_amplitude": 0.1,
        },
        training={
            "max_steps": 6,
            "batch_size": 16,
            "accumulation_steps": 1,
            "learning_rate": 2e-3,
            "min_learning_rate_ratio": 0.02,
            "warmup_steps": 2,
            "weight_decay": 0.01,
            "linear_path_warmup": 0.0,
            "clip_norm": 1.0,
            "precision": "float32",
            "validate_every": 100,
            "early_stopping_patience": 0,
            "checkpoint_every": 100,
        },
        init={
            "seed": 0,
            "reproducible": False,
            "init_method": "xavier",
            "gain": 1.0,
            "expert_gain": 0.3,
        },
        memory={"activation_checkpointing": False},
    )
    return with_changes(settings, {name.replace("__", "."): value for name, value in changes.items()})


def make_data(rows: int = 200, held_out: int = 48, hidden: int = 4) -> TrainingData:
    """Return embeddings on a curved sheet, which spans far more directions than it has dimensions."""
    generator = np.random.default_rng(7)
    factors = generator.uniform(-1.0, 1.0, (rows + held_out, hidden))
    waves = np.concatenate([np.sin(2.0 * factors), np.cos(2.0 * factors)], axis=1)
    products = (waves[:, :, None] * waves[:, None, :]).reshape(len(waves), -1)
    features = np.concatenate([waves, products], axis=1)
    mixed = features @ generator.standard_normal((features.shape[1], WIDTH)) + 1.0
    both = mixed.astype(np.float32)
    return TrainingData(train=both[:rows].copy(), validation=both[rows:].copy())


def make_trainer(
    data: TrainingData | None = None, checkpoints: Path | None = None, **changes: Any
) -> tuple[EmbeddingTrainer, list[TrainerEvent]]:
    trainer = EmbeddingTrainer(make_settings(**changes), data or make_data(), checkpoints)
    events: list[TrainerEvent] = []
    trainer.subscribe(events.append)
    return trainer, events


def weights_of(trainer: EmbeddingTrainer) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}


def assert_same_weights(one: dict[str, Tensor], two: dict[str, Tensor]) -> None:
    assert one.keys() == two.keys()
    for name in one:
        assert torch.equal(one[name], two[name]), name


def of_kind(events: list[TrainerEvent], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


class Background:
    """A training in another thread whose states and steps can be waited for."""

    def __init__(self, trainer: EmbeddingTrainer) -> None:
        self.trainer = trainer
        self.events: list[TrainerEvent] = []
        self.news = threading.Condition()
        trainer.subscribe(self._hear)
        self.thread = threading.Thread(target=trainer.train)

    def _hear(self, event: TrainerEvent) -> None:
        with self.news:
            self.events.append(event)
            self.news.notify_all()

    def wait_for(self, state: TrainerState, times: int = 1) -> StateEvent:
        """Wait until the state has been reported ``times`` times; return the last report."""

        def reports() -> list[StateEvent]:
            return [event for event in of_kind(self.events, StateEvent) if event.state is state]

        with self.news:
            assert self.news.wait_for(lambda: len(reports()) >= times, PATIENCE)
            return reports()[times - 1]

    def finish(self) -> None:
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


# Forward and training.


def test_before_the_first_step_the_student_is_pca() -> None:
    trainer, _ = make_trainer()
    data = trainer.data.validation
    assert trainer.measure(data).explained_variance == pytest.approx(
        trainer.measure_pca(data).explained_variance, abs=1e-4
    )
    mean = trainer.data.train.mean(axis=0, dtype=np.float64)
    _, _, vt = np.linalg.svd(trainer.data.train - mean, full_matrices=False)
    centered = data - mean
    error = ((centered - centered @ vt[:16].T @ vt[:16]) ** 2).sum()
    expected = 1.0 - error / ((data - data.mean(axis=0, dtype=np.float64)) ** 2).sum()
    assert trainer.measure_pca(data).explained_variance == pytest.approx(expected, abs=1e-5)


def test_a_small_cube_trained_end_to_end_beats_pca() -> None:
    trainer, events = make_trainer(
        make_data(rows=600),
        lattice__dimensions=(3, 3, 3),
        lattice__adaptive_radius_ratio=0.6,
        training__max_steps=150,
        training__batch_size=32,
        training__learning_rate=1e-2,
    )
    assert trainer.train() is TrainerState.FINISHED
    data = trainer.data.validation
    student, pca = trainer.measure(data), trainer.measure_pca(data)
    assert student.explained_variance > pca.explained_variance + 0.05
    totals = [event.total for event in of_kind(events, StepEvent)]
    assert len(totals) == 150
    assert np.mean(totals[-10:]) < 0.8 * np.mean(totals[:10])
    assert of_kind(events, ValidationEvent)[-1].measures == student


def test_a_validation_refines_each_code_once(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, _ = make_trainer(embedding__refinement_steps=2)
    put, sizes = trainer.model.put_on_surface, []

    def count(embeddings: Tensor, *, steps: int | None = None) -> Tensor:
        sizes.append(len(embeddings))
        return put(embeddings, steps=steps)

    monkeypatch.setattr(trainer.model, "put_on_surface", count)
    event = trainer.validate()
    assert sum(sizes) == len(trainer.data.validation)
    again = trainer.measure(trainer.data.validation)
    assert dataclasses.asdict(event.measures) == pytest.approx(dataclasses.asdict(again), rel=1e-5)


@pytest.mark.parametrize("kind", ["linear", "autoencoder", "attention", "hierarchical"])
def test_every_codec_trains_in_the_whole_student(kind: str) -> None:
    trainer, events = make_trainer(embedding__type=kind, embedding__hidden_size=16, training__max_steps=3)
    before = weights_of(trainer)
    trainer.train()
    after = weights_of(trainer)
    still = {name for name in before if torch.equal(before[name], after[name])}
    assert still == {"codec.mean", "codec.scale"}
    assert all(math.isfinite(event.total) for event in of_kind(events, StepEvent))


@pytest.mark.parametrize("dimensions", [(3, 4, 6), (6, 3, 4)])
def test_lattices_that_are_no_cubes_train(dimensions: tuple[int, int, int]) -> None:
    trainer, events = make_trainer(
        lattice__dimensions=dimensions, lattice__adaptive_radius_ratio=0.4, training__max_steps=2
    )
    assert trainer.train() is TrainerState.FINISHED
    assert len(of_kind(events, StepEvent)) == 2


def test_the_events_of_a_training_are_complete_and_in_order() -> None:
    trainer, events = make_trainer(training__max_steps=4, training__validate_every=2)
    trainer.train()
    kinds = [type(event).__name__ for event in events]
    step, validation, state = "StepEvent", "ValidationEvent", "StateEvent"
    assert kinds == [state, step, step, validation, step, step, validation, state]
    assert [event.step for event in of_kind(events, StepEvent)] == [1, 2, 3, 4]
    for event in of_kind(events, StepEvent):
        assert tuple(event.losses) == LOSS_NAMES
        for name in LOSS_NAMES:
            weight = getattr(trainer.settings.loss, name)
            assert event.weighted[name] == pytest.approx(weight * event.losses[name])
        assert event.total == pytest.approx(sum(event.weighted.values()), rel=1e-5)
        assert event.gradient_norm > 0.0
        assert event.seconds > 0.0
        assert not event.too_slow
    assert [e.learning_rate for e in of_kind(events, StepEvent)] == pytest.approx(
        [1e-3, 2e-3, 2e-3, 2e-3 * (0.02 + 0.98 * 0.5)]
    )
    assert [e.state for e in of_kind(events, StateEvent)] == [TrainerState.RUNNING, TrainerState.FINISHED]


def test_equal_settings_train_equally_and_other_seeds_do_not() -> None:
    results = []
    for seed in (0, 0, 1):
        trainer, _ = make_trainer(training__max_steps=3, init__seed=seed)
        trainer.train()
        results.append(weights_of(trainer))
    assert_same_weights(results[0], results[1])
    assert any(not torch.equal(results[0][name], results[2][name]) for name in results[0])


def test_the_golden_loss_curve() -> None:
    """Compare with the stored curve.

    After a change that is meant to alter it, delete the file: the failing test says what belongs in it.
    """
    trainer, events = make_trainer(training__max_steps=8, training__validate_every=4)
    trainer.train()
    curve = {
        "total": [event.total for event in of_kind(events, StepEvent)],
        **{name: [event.losses[name] for event in of_kind(events, StepEvent)] for name in LOSS_NAMES},
        "validation": [event.total for event in of_kind(events, ValidationEvent)],
    }
    text = json.dumps(curve, indent=1)
    assert GOLDEN.is_file(), f"store this in {GOLDEN}, if it is meant:\n{text}"
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert curve.keys() == golden.keys(), text
    for name, values in curve.items():
        assert values == pytest.approx(golden[name], rel=1e-4, abs=1e-6), f"{name} differs in\n{text}"


# Data.


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"train": np.zeros((200, 5), np.float32)}, "embedding.teacher_width is 24"),
        ({"train": np.ones((3, WIDTH), np.float32)}, "lower training.batch_size or give more data"),
        ({"validation": np.ones((3, WIDTH), np.float32)}, "at least 4"),
        ({"train": np.ones((200, WIDTH))}, "convert them to float32"),
        (
            {"train": np.full((200, WIDTH), np.nan, np.float32)},
            "row 0 of the training embeddings is not finite",
        ),
        ({"validation": np.full((9, WIDTH), np.inf, np.float32)}, "row 0 of the validation"),
    ],
)
def test_data_that_do_not_suit_are_refused(change: dict[str, Any], match: str) -> None:
    data = make_data()
    given = {"train": data.train, "validation": data.validation, **change}
    with pytest.raises(DataError, match=match):
        make_trainer(TrainingData(**given))


# Validation.


def test_validation_measures_the_held_out_data_and_trains_nothing() -> None:
    trainer, events = make_trainer()
    trainer.step()
    before = weights_of(trainer)
    event = trainer.validate()
    assert of_kind(events, ValidationEvent) == [event]
    assert_same_weights(before, weights_of(trainer))
    assert event.improved
    trainer.data.train[:] = 0.0
    again = trainer.validate()
    assert again.losses == event.losses
    assert again.measures == event.measures
    assert not again.improved
    with torch.no_grad():
        y = torch.from_numpy(trainer.data.validation)
        answer = trainer.model(y).embeddings.double().numpy()
    y64 = trainer.data.validation.astype(np.float64)
    expected = 1 - ((answer - y64) ** 2).sum() / ((y64 - y64.mean(axis=0)) ** 2).sum()
    assert event.measures.explained_variance == pytest.approx(expected, rel=1e-5)
    trainer.data.validation[:] += np.random.default_rng(0).standard_normal(y.shape).astype(np.float32)
    assert trainer.validate().losses != event.losses


def test_early_stopping_after_validations_without_improvement() -> None:
    trainer, events = make_trainer(
        training__max_steps=100,
        training__validate_every=1,
        training__early_stopping_patience=3,
        training__learning_rate=1e-12,
        training__warmup_steps=0,
    )
    trainer.subscribe(
        lambda event: trainer.data.validation.__imul__(-1.1) if isinstance(event, ValidationEvent) else None
    )
    assert trainer.train() is TrainerState.FINISHED
    improved = [event.improved for event in of_kind(events, ValidationEvent)]
    assert improved[0]
    assert not any(improved[-3:])
    assert trainer.step_count == len(improved) < 100


# Live control.


def test_live_changes_take_effect_between_two_batches_and_are_logged() -> None:
    trainer, events = make_trainer()
    trainer.step()
    before, old = weights_of(trainer), trainer.settings
    trainer.apply({"lattice.adaptive_radius_ratio": 0.3, "loss.similarity": 0.25})
    trainer.apply({"training.learning_rate": 5e-3, "gate.temperature": 0.5})
    assert trainer.settings == old
    calls: list[dict[str, Tensor]] = []
    trainer.subscribe(
        lambda event: calls.append(weights_of(trainer)) if isinstance(event, ChangeEvent) else None
    )
    event = trainer.step()
    assert event is not None
    expected = {
        "lattice.adaptive_radius_ratio": (0.44, 0.3),
        "loss.similarity": (0.5, 0.25),
        "training.learning_rate": (2e-3, 5e-3),
        "gate.temperature": (1.0, 0.5),
    }
    logged = of_kind(events, ChangeEvent)
    assert {change.key: (change.old, change.new) for change in logged} == expected
    assert {change.step for change in logged} == {1}
    assert differences(old, trainer.settings) == expected
    for seen in calls:
        assert_same_weights(before, seen)
    assert event.weighted["similarity"] == pytest.approx(0.25 * event.losses["similarity"])
    assert event.total == pytest.approx(sum(event.weighted.values()), rel=1e-5)
    assert event.learning_rate == pytest.approx(5e-3)
    assert trainer.model.lattice.settings.lattice.adaptive_radius_ratio == 0.3
    assert float(trainer.model.lattice.gate.temperature) == 0.5
    assert trainer.cache_statistics()["connection_misses"] == 2


def test_a_change_of_ratios_changes_no_parameter_and_the_next_losses() -> None:
    losses = []
    for changed in (False, True):
        trainer, _ = make_trainer()
        for _ in range(3):
            trainer.step()
        if changed:
            before = weights_of(trainer)
            trainer._change(with_changes(trainer.settings, {"lattice.local_distance_ratio": 0.0}))
            assert_same_weights(before, weights_of(trainer))
        event = trainer.step()
        assert event is not None
        losses.append(event.losses)
    assert losses[0] != losses[1]


@pytest.mark.parametrize(
    "change",
    [{"model.steps": 2}, {"loss.similarity": -1.0}, {"lattice.local_distance_ratio": 0.99}, {"x.y": 1}],
)
def test_impossible_changes_are_refused_and_nothing_happens(change: dict[str, Any]) -> None:
    trainer, events = make_trainer()
    with pytest.raises(SettingsError):
        trainer.apply(change)
    trainer.step()
    assert trainer.settings == make_settings()
    assert not of_kind(events, ChangeEvent)


def test_pause_step_resume_and_stop_from_another_thread(tmp_path: Path) -> None:
    trainer, _ = make_trainer(checkpoints=tmp_path, training__max_steps=10**6)
    trainer.pause()
    background = Background(trainer)
    background.thread.start()
    assert background.wait_for(TrainerState.PAUSED).step == 0
    for count in (1, 2, 3):
        trainer.single_step()
        assert background.wait_for(TrainerState.PAUSED, count + 1).step == count
    trainer.apply({"loss.similarity": 0.25})
    trainer.single_step()
    assert background.wait_for(TrainerState.PAUSED, 5).step == 4
    assert [(e.step, e.new) for e in of_kind(background.events, ChangeEvent)] == [(3, 0.25)]
    with background.news:
        trainer.resume()
        assert background.news.wait_for(lambda: trainer.step_count >= 8, PATIENCE)
    trainer.pause()
    background.wait_for(TrainerState.PAUSED, 6)
    trainer.stop()
    background.wait_for(TrainerState.STOPPED)
    background.finish()
    assert trainer.state is TrainerState.STOPPED
    assert of_kind(background.events, ValidationEvent)[-1].step == trainer.step_count
    assert of_kind(background.events, CheckpointEvent)[-1].step == trainer.step_count
    steps = [event.step for event in of_kind(background.events, StepEvent)]
    assert steps == list(range(1, trainer.step_count + 1))


def test_orders_given_at_once_are_carried_out_in_order() -> None:
    trainer, events = make_trainer(training__max_steps=6)
    trainer.pause()
    for _ in range(2):
        trainer.single_step()
    trainer.resume()
    assert trainer.train() is TrainerState.FINISHED
    assert trainer.step_count == 6
    states = [(event.step, event.state.value) for event in of_kind(events, StateEvent)]
    assert states == [
        (0, "running"),
        (0, "paused"),
        (0, "running"),
        (1, "paused"),
        (1, "running"),
        (2, "paused"),
        (2, "running"),
        (6, "finished"),
    ]


def test_stop_before_the_first_step_makes_none() -> None:
    trainer, events = make_trainer()
    trainer.stop()
    assert trainer.train() is TrainerState.STOPPED
    assert trainer.step_count == 0
    assert not of_kind(events, ValidationEvent)
    assert trainer.train() is TrainerState.FINISHED


def test_an_error_in_a_listener_ends_the_training_as_failed() -> None:
    trainer, events = make_trainer()

    def fail(event: TrainerEvent) -> None:
        if isinstance(event, StepEvent) and event.step == 2:
            raise RuntimeError("the disk is full")

    trainer.subscribe(fail)
    with pytest.raises(RuntimeError, match="the disk is full"):
        trainer.train()
    assert trainer.state is TrainerState.FAILED
    assert events[-1] == StateEvent(2, TrainerState.FAILED, "RuntimeError: the disk is full")


# What is not finite.


def test_nan_pauses_with_the_last_good_weights_and_says_what_to_do() -> None:
    trainer, _ = make_trainer(training__max_steps=5)
    kept: list[dict[str, Tensor]] = []
    clean = trainer.data.train.copy()

    def poison(event: TrainerEvent) -> None:
        if isinstance(event, StepEvent) and event.step == 2:
            kept.append(weights_of(trainer))
            trainer.data.train[:] = np.nan

    trainer.subscribe(poison)
    background = Background(trainer)
    background.thread.start()
    report = background.wait_for(TrainerState.PAUSED)
    assert report.step == 2
    for part in ("step 3 is not finite", "not applied", "Lower the learning rate", "resume", "checkpoint"):
        assert part in report.error
    assert_same_weights(kept[0], weights_of(trainer))
    trainer.single_step()
    again = background.wait_for(TrainerState.PAUSED, 2)
    assert "step 3 is not finite" in again.error
    assert_same_weights(kept[0], weights_of(trainer))
    trainer.data.train[:] = clean
    trainer.resume()
    background.wait_for(TrainerState.FINISHED)
    background.finish()
    assert [event.step for event in of_kind(background.events, StepEvent)] == [1, 2, 3, 4, 5]
    paused = [e for e in of_kind(background.events, StateEvent) if e.state is TrainerState.PAUSED]
    assert all(event.error for event in paused)
    assert all(tensor.isfinite().all() for tensor in weights_of(trainer).values())


def test_one_nan_row_makes_a_single_step_return_nothing() -> None:
    trainer, _ = make_trainer()
    trainer.data.train[int(trainer.learner.batches._order._permutation[5])] = np.nan
    before = weights_of(trainer)
    assert trainer.step() is None
    assert trainer.state is TrainerState.PAUSED
    assert trainer.step_count == 0
    assert_same_weights(before, weights_of(trainer))


# A codec that learns alone first.


def test_while_the_cube_rests_only_the_codec_learns() -> None:
    trainer, events = make_trainer(
        embedding__type="autoencoder", training__codec_steps=3, training__weight_decay=0.0
    )
    experts = ("local", "functional", "distant", "gate", "normalize")

    def lattice() -> dict[str, Tensor]:
        return {
            name: tensor
            for name, tensor in weights_of(trainer).items()
            if name.removeprefix("lattice.").split(".")[0] in experts
        }

    before, codec = lattice(), weights_of(trainer)["codec.decoder.2.weight"]
    rested = [trainer.step() for _ in range(3)]
    assert_same_weights(before, lattice())
    assert not torch.equal(codec, weights_of(trainer)["codec.decoder.2.weight"])
    resting, _ = trainer.learner.engine.compute(torch.from_numpy(trainer.data.train[:16]))
    assert resting["lattice_dynamics"] == 0.0
    assert trainer.step() is not None
    assert all(event is not None and event.losses["lattice_dynamics"] == 0.0 for event in rested)
    assert of_kind(events, StepEvent)[-1].losses["lattice_dynamics"] > 0.0
    moved = [name for name, tensor in lattice().items() if not torch.equal(tensor, before[name])]
    assert {name.split(".")[1] for name in moved} == set(experts)


def test_the_student_that_is_validated_is_the_one_that_is_trained() -> None:
    trainer, _ = make_trainer(embedding__type="autoencoder", training__codec_steps=2)
    trainer.step()
    batch = torch.from_numpy(trainer.data.validation)
    measured = trainer.validate().measures.mse
    with torch.no_grad():
        alone = trainer.model(batch, steps=0).embeddings
    assert measured == pytest.approx(float((alone - batch).square().mean()), rel=1e-5)
    trainer.step()
    trainer.step()
    with torch.no_grad():
        whole = trainer.model(batch).embeddings
    assert trainer.validate().measures.mse == pytest.approx(
        float((whole - batch).square().mean()), rel=1e-5
    )


# Variants.


def test_variants_are_trained_on_and_nothing_else() -> None:
    plain = make_data()
    far = dataclasses.replace(plain, variants=plain.train + 1e3)
    with_far, _ = make_trainer(far)
    without, _ = make_trainer(plain)
    assert_same_weights(weights_of(without), weights_of(with_far))  # PCA knows only the sentences
    with_far.step()
    without.step()
    moved = with_far.model.codec.to_surface.bias - without.model.codec.to_surface.bias
    assert moved.abs().max() > 0
    with pytest.raises(DataError, match="variant embeddings have shape"):
        make_trainer(dataclasses.replace(plain, variants=plain.train[:, :5]))


# Checkpoints.


@pytest.mark.parametrize(
    "more",
    [
        {},
        {
            "embedding__type": "autoencoder",
            "training__codec_steps": 6,
            "training__interpolation": 0.5,
        },
    ],
)
def test_resumed_training_is_bit_equal_to_uninterrupted_training(
    tmp_path: Path, more: dict[str, Any]
) -> None:
    changes: dict[str, Any] = {
        "training__max_steps": 8,
        "training__checkpoint_every": 5,
        "training__accumulation_steps": 2,
        **more,
    }
    data = make_data(rows=70)  # Passes over the data end between the checkpoint and the last step.
    whole, whole_events = make_trainer(data, tmp_path / "whole", **changes)

    def steer(trainer: EmbeddingTrainer, event: TrainerEvent) -> None:
        if isinstance(event, StepEvent) and event.step == 3:
            trainer.apply(
                {"lattice.local_distance_ratio": 0.0, "gate.temperature": 0.5, "loss.diversity": 0.3}
            )

    whole.subscribe(lambda event: steer(whole, event))
    whole.train()
    folder = tmp_path / "whole" / "step-00000005"
    torch.manual_seed(12345)
    resumed = EmbeddingTrainer.from_checkpoint(folder, data)
    events: list[TrainerEvent] = []
    resumed.subscribe(events.append)
    assert resumed.step_count == 5
    assert resumed.settings == whole.settings
    assert resumed.train() is TrainerState.FINISHED
    assert_same_weights(weights_of(whole), weights_of(resumed))
    for one, two in zip(of_kind(whole_events, StepEvent)[5:], of_kind(events, StepEvent), strict=True):
        assert (one.step, one.losses, one.total) == (two.step, two.losses, two.total)
        assert (one.learning_rate, one.gradient_norm) == (two.learning_rate, two.gradient_norm)
    assert of_kind(whole_events, ValidationEvent)[-1] == of_kind(events, ValidationEvent)[-1]
    assert whole.learner.batches.state() == resumed.learner.batches.state()
    one_state, two_state = (t.learner.optimizer.state_dict()["state"] for t in (whole, resumed))
    for index in one_state:
        for key in one_state[index]:
            assert torch.equal(one_state[index][key], two_state[index][key])
    assert resumed._progress.changes == whole._progress.changes
    assert [change["step"] for change in resumed._progress.changes] == [3, 3, 3]


def test_a_checkpoint_before_any_validation_can_be_written_and_resumed(tmp_path: Path) -> None:
    trainer, events = make_trainer(
        checkpoints=tmp_path,
        training__max_steps=3,
        training__checkpoint_every=2,
        training__validate_every=3,
    )
    trainer.train()
    folders = [event.folder.name for event in of_kind(events, CheckpointEvent)]
    assert folders == ["step-00000002", "step-00000003"]
    resumed = EmbeddingTrainer.from_checkpoint(tmp_path / "step-00000002", trainer.data)
    resumed.train()
    assert_same_weights(weights_of(trainer), weights_of(resumed))


def test_overrides_of_a_resumed_training(tmp_path: Path) -> None:
    trainer, _ = make_trainer(training__max_steps=2)
    trainer.train()
    folder = trainer.save_checkpoint(tmp_path / "a")
    longer = EmbeddingTrainer.from_checkpoint(folder, trainer.data, overrides={"training.max_steps": 3})
    longer.train()
    assert longer.step_count == 3
    with pytest.raises(CheckpointError, match="does not fit this training"):
        EmbeddingTrainer.from_checkpoint(folder, trainer.data, overrides={"model.state_size": 4})
    with pytest.raises(DataError, match="resume it with the same data"):
        EmbeddingTrainer.from_checkpoint(folder, make_data(rows=100))


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    trainer, _ = make_trainer()
    trainer.step()
    folder = trainer.save_checkpoint(tmp_path / "a")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00\x01")
    with pytest.raises(CheckpointError):
        EmbeddingTrainer.from_checkpoint(folder, trainer.data)


# Monitoring.


def test_stages_and_slow_steps_are_reported() -> None:
    trainer, _ = make_trainer(lattice__target_performance_ms=1e-3)
    event = trainer.step()
    assert event is not None
    assert set(event.stages) == {"data", "forward", "backward", "clip", "optimizer"}
    assert 0.0 < sum(event.stages.values()) <= event.seconds
    assert event.too_slow
    assert trainer.memory()["process"] > 10.0


def test_every_hundredth_slow_step_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("cellnet.training.trainer.SLOW_STEPS_IN_A_WARNING", 3)
    trainer, _ = make_trainer(lattice__target_performance_ms=1e-3)
    for _ in range(7):
        trainer.step()
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "6 training steps were slower than lattice.target_performance_ms = 0.001 ms" in caplog.text
    caplog.clear()
    quick, _ = make_trainer()
    for _ in range(4):
        quick.step()
    assert not caplog.records


def test_monitoring_and_counting_can_be_turned_off() -> None:
    trainer, _ = make_trainer(
        optimizer__performance_monitoring_enabled=False, optimizer__cache_statistics=False
    )
    event = trainer.step()
    assert event is not None
    assert event.stages == {}
    assert trainer.cache_statistics() == {}


def test_caches_are_counted() -> None:
    trainer, _ = make_trainer(training__accumulation_steps=2)
    for _ in range(3):
        trainer.step()
    assert trainer.cache_statistics() == {
        "connection_hits": 5,
        "connection_misses": 1,
        "pool_hits": 5,
        "pool_misses": 1,
        "pool_kept_bytes": 16 * WIDTH * 4,
    }


def test_calibration_chooses_a_block_size_and_changes_no_weight() -> None:
    plain, _ = make_trainer(neighbors__block_cells=0)
    trainer, _ = make_trainer(neighbors__block_cells=0, chunker__calibrate=True)
    chunker = trainer.model.lattice.chunker
    tried = {measurement.block_cells for measurement in chunker.history}
    assert tried == {32, 64}
    assert chunker.block_cells in tried
    before, after = (made.model.state_dict() for made in (plain, trainer))
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert plain.model.lattice.chunker.history.maxlen == 100
    assert not plain.model.lattice.chunker.history


def test_the_log_level_is_set() -> None:
    make_trainer(logging__level="error")
    assert logging.getLogger("cellnet").level == logging.ERROR
    make_trainer(logging__level="info")
    assert logging.getLogger("cellnet").level == logging.INFO
