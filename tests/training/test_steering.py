"""Sequences of presses: a stop always ends the training, else its state follows the last press."""

import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cellnet.settings import Settings, with_changes
from cellnet.student.student import StudentOutput
from cellnet.training import (
    CheckpointEvent,
    EmbeddingTrainer,
    StateEvent,
    StepEvent,
    TrainerEvent,
    TrainerState,
    TrainingData,
    ValidationEvent,
)

PATIENCE = 60.0
WIDTH = 16
PRESSES = ("pause", "resume", "single_step")


def make_trainer(max_steps: int = 10**6, validate_every: int = 3) -> EmbeddingTrainer:
    settings = with_changes(
        Settings(),
        {
            "lattice.dimensions": (4, 4, 4),
            "model.state_size": 4,
            "model.steps": 1,
            "local.hidden_size": 4,
            "functional.hidden_size": 4,
            "distant.hidden_size": 4,
            "embedding.teacher_width": WIDTH,
            "device.threads": 1,
            "training.batch_size": 4,
            "training.max_steps": max_steps,
            "training.validate_every": validate_every,
            "training.checkpoint_every": 10**6,
        },
    )
    rows = np.random.default_rng(0).standard_normal((44, WIDTH)).astype(np.float32)
    return EmbeddingTrainer(settings, TrainingData(train=rows[:32], validation=rows[32:]))


class Running:
    """A training in a thread of its own."""

    def __init__(self, trainer: EmbeddingTrainer) -> None:
        self.trainer = trainer
        self.events: list[TrainerEvent] = []
        self.news = threading.Condition()
        trainer.subscribe(self._hear)
        self.thread = threading.Thread(target=trainer.train, daemon=True)
        self.thread.start()

    def _hear(self, event: TrainerEvent) -> None:
        with self.news:
            self.events.append(event)
            self.news.notify_all()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        with self.news:
            assert self.news.wait_for(condition, PATIENCE)

    def end(self) -> None:
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()
        assert self.trainer.state is TrainerState.STOPPED


def on_first(
    trainer: EmbeddingTrainer, kind: type[TrainerEvent], step: int, action: Callable[[], None]
) -> None:
    """Call ``action`` in the training thread at the first event of a kind and a step."""
    waiting = [action]

    def hear(event: TrainerEvent) -> None:
        if waiting and isinstance(event, kind) and event.step == step:
            waiting.pop()()

    trainer.subscribe(hear)


def states(events: list[TrainerEvent]) -> list[TrainerState]:
    return [event.state for event in events if isinstance(event, StateEvent)]


@pytest.mark.parametrize("presses", [("pause", "single_step", "stop"), ("stop", "pause", "resume")])
def test_a_stop_wins_over_what_was_pressed_before_and_after_while_a_step_was_made(
    presses: tuple[str, ...],
) -> None:
    trainer = make_trainer()
    on_first(trainer, StepEvent, 2, lambda: [getattr(trainer, name)() for name in presses] and None)
    running = Running(trainer)
    running.end()
    assert trainer.step_count == 2
    assert TrainerState.PAUSED not in states(running.events)
    trainer.stop()  # nothing is left over: only this one counts in the next training
    assert trainer.train() is TrainerState.STOPPED
    assert trainer.step_count == 2


def press_in_second_batch(
    trainer: EmbeddingTrainer, monkeypatch: pytest.MonkeyPatch, name: str
) -> list[int]:
    """Press while the first validation measures its second batch; return the sizes of all batches."""
    sizes: list[int] = []
    measure = trainer.learner.engine.losses_of

    def press(batch: Tensor, output: StudentOutput) -> Any:
        if not torch.is_grad_enabled():
            sizes.append(len(batch))
            if len(sizes) == 2:
                getattr(trainer, name)()
        return measure(batch, output)

    monkeypatch.setattr(trainer.learner.engine, "losses_of", press)
    return sizes


def test_a_stop_ends_a_validation_between_two_batches_and_saves(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trainer = make_trainer()
    trainer.checkpoints = tmp_path
    sizes = press_in_second_batch(trainer, monkeypatch, "stop")
    running = Running(trainer)
    running.end()
    assert sizes == [4, 4]
    kinds = [type(event) for event in running.events]
    assert ValidationEvent not in kinds
    assert kinds[-2:] == [CheckpointEvent, StateEvent]
    assert trainer.step_count == 3


def test_a_pause_in_a_validation_takes_effect_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make_trainer()
    press_in_second_batch(trainer, monkeypatch, "pause")
    running = Running(trainer)
    running.wait_for(lambda: TrainerState.PAUSED in states(running.events))
    assert trainer.step_count == 3
    assert isinstance(running.events[-2], ValidationEvent)
    trainer.stop()
    running.end()


def test_a_stop_in_the_last_validation_is_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make_trainer(max_steps=2)
    press_in_second_batch(trainer, monkeypatch, "stop")
    running = Running(trainer)
    running.end()
    assert trainer.step_count == 2
    assert not any(isinstance(event, ValidationEvent) for event in running.events)


@pytest.mark.parametrize("seed", range(40))
def test_the_state_follows_the_last_press_until_a_stop_ends_the_training(seed: int) -> None:
    chance = random.Random(seed)
    trainer = make_trainer()
    presses = chance.choices(PRESSES, k=chance.randint(1, 8))
    early = chance.randint(0, len(presses))  # so many are pressed by the training thread, in a step
    on_first(
        trainer,
        StepEvent,
        chance.randint(1, 4),
        lambda: [getattr(trainer, name)() for name in presses[:early]] and None,
    )
    running = Running(trainer)
    running.wait_for(lambda: trainer.step_count >= 1)
    for name in presses[early:]:
        getattr(trainer, name)()
    trainer.stop()
    for name in chance.choices(PRESSES, k=2):
        getattr(trainer, name)()
    running.end()


@pytest.mark.parametrize("seed", range(40))
def test_without_a_stop_the_state_is_that_of_the_last_press(seed: int) -> None:
    chance = random.Random(seed)
    trainer = make_trainer()
    presses = chance.choices(PRESSES, k=chance.randint(1, 8))
    running = Running(trainer)
    running.wait_for(lambda: trainer.step_count >= chance.randint(0, 3))
    for name in presses:
        getattr(trainer, name)()
    # What is asked now is answered after all presses before it; a step pauses after it was made.
    trainer.ask(lambda: None).result(PATIENCE)
    steps = trainer.step_count
    if presses[-1] == "resume":
        running.wait_for(lambda: trainer.step_count >= steps + 2)
    else:
        assert trainer.state is TrainerState.PAUSED
        trainer.single_step()
        trainer.ask(lambda: None).result(PATIENCE)
        assert (trainer.step_count, trainer.state) == (steps + 1, TrainerState.PAUSED)
    trainer.stop()
    running.end()
