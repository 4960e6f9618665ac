"""A fork begins with the weights of a checkpoint, under other settings, as a run of its own."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from cellnet.checkpoints import load_checkpoint
from cellnet.errors import RunError, SettingsError
from cellnet.runs import RunStore
from cellnet.settings import Settings, with_changes
from cellnet.training import TrainerState, TrainingData, TrainingSession

WIDTH = 12
SMALL = {
    "lattice.dimensions": (4, 4, 4),
    "lattice.adaptive_radius_ratio": 0.45,
    "lattice.local_distance_ratio": 0.6,
    "lattice.functional_distance_ratio": 0.85,
    "model.state_size": 4,
    "model.steps": 2,
    "local.hidden_size": 4,
    "functional.hidden_size": 4,
    "distant.hidden_size": 4,
    "gate.hidden_size": 4,
    "embedding.teacher_width": WIDTH,
    "embedding.hidden_size": 8,
    "training.batch_size": 8,
    "training.max_steps": 6,
    "training.validate_every": 2,
    "training.checkpoint_every": 2,
    "device.threads": 1,
}
SETTINGS = with_changes(Settings(), SMALL)


def make_data() -> TrainingData:
    rows = np.tanh(np.random.default_rng(0).normal(size=(60, WIDTH))).astype(np.float32)
    return TrainingData(rows[:44], rows[44:])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RunStore]:
    with RunStore(tmp_path) as store:
        yield store


@pytest.fixture
def parent(store: RunStore) -> str:
    """A run of 6 steps whose diversity weight was changed before the first."""
    with TrainingSession.start(store, SETTINGS, make_data(), name="first") as session:
        session.trainer.apply({"loss.diversity": 0.7})
        session.trainer.train()
        return session.run_id


def test_a_fork_has_the_weights_of_the_checkpoint_and_a_life_of_its_own(
    store: RunStore, parent: str
) -> None:
    changes = {"lattice.local_distance_ratio": 0.3, "training.learning_rate": 1e-4, "training.max_steps": 3}
    with TrainingSession.fork(store, parent, make_data(), step=4, changes=changes) as fork:
        trainer = fork.trainer
        (checkpoint,) = [saved for saved in store.checkpoints(parent) if saved.step == 4]
        weights = load_checkpoint(checkpoint.path).tensors["model"]
        assert trainer.model.state_dict().keys() == weights.keys()
        for name, tensor in trainer.model.state_dict().items():
            assert torch.equal(tensor, weights[name]), name
        assert trainer.step_count == 0
        assert trainer.learner.optimizer.state_dict()["state"] == {}
        assert trainer.settings.lattice.local_distance_ratio == 0.3
        assert trainer.settings.loss.diversity == 0.7  # as it was when the checkpoint was written
        assert trainer.train() is TrainerState.FINISHED
    run = store.get(fork.run_id)
    assert (run.parent, run.name, run.step, run.max_steps, run.state) == (parent, "first", 3, 3, "finished")
    assert "at step 4" in run.note
    assert "lattice.local_distance_ratio 0.6 -> 0.3" in run.note
    assert Settings(**run.settings) == trainer.settings
    steps = store.metrics(run.id, phase="train")["step"].tolist()
    assert steps == [1, 2, 3]
    assert store.get(parent).step == 6


def test_the_best_checkpoint_is_taken_by_default(store: RunStore, parent: str) -> None:
    (best,) = [saved for saved in store.checkpoints(parent) if saved.best]
    with TrainingSession.fork(store, parent, make_data(), name="second") as fork:
        assert f"at step {best.step}. Changed: nothing." in store.get(fork.run_id).note
        assert store.get(fork.run_id).name == "second"


def test_the_architecture_cannot_change_and_no_run_is_made(store: RunStore, parent: str) -> None:
    with pytest.raises(SettingsError, match="start a new run") as caught:
        TrainingSession.fork(
            store, parent, make_data(), changes={"model.state_size": 8, "training.max_steps": 9}
        )
    assert list(caught.value.problems) == ["model.state_size"]
    with pytest.raises(SettingsError, match=r"loss\.diversity"):
        TrainingSession.fork(store, parent, make_data(), changes={"loss.diversity": -1.0})
    with pytest.raises(RunError, match="no checkpoint of step 5"):
        TrainingSession.fork(store, parent, make_data(), step=5)
    assert [run.id for run in store.list()] == [parent]
