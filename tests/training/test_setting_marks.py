"""The marks of every setting (live, fork) and its generated help agree with the code."""

from functools import cache
from typing import Any, Literal, get_args, get_origin

import pytest
import torch
from torch import Tensor

from cellnet.cli.main import Parser
from cellnet.cli.options import add_settings
from cellnet.errors import SettingsError
from cellnet.settings import Settings, flat_fields, get_value, marked, with_changes
from cellnet.student.codec import fit_pca
from cellnet.student.student import CellNet
from cellnet.training import EmbeddingTrainer
from cellnet.training.benchmark import random_data
from cellnet.training.engine import StepResult
from cellnet.training.fork import FORKABLE, fork_settings
from cellnet.training.learner import Learner
from lab.widgets.forms import field_help

FIELDS = dict(flat_fields())
LIVE = marked("live", True)
SETTINGS = with_changes(
    Settings(),
    {
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
        "embedding.teacher_width": 12,
        "embedding.hidden_size": 8,
        "training.batch_size": 8,
        "device.threads": 1,
    },
)
DATA = random_data(SETTINGS, 60)
PCA = fit_pca(DATA.train)


def another(name: str) -> Any:
    """Return a value of a setting that differs from the one it has, if there is one on a CPU."""
    kind, value = FIELDS[name].annotation, get_value(SETTINGS, name)
    if get_origin(kind) is Literal:
        others = [choice for choice in get_args(kind) if choice not in (value, "bfloat16", "cuda-graphs")]
        return others[0] if others else value
    if kind is bool:
        return not value
    if kind is int:
        return 2 * value if value else 16
    if kind is float:
        return 0.9 * value if value else 0.5
    if kind is str:
        return {"device.device": "cuda", "data.source": "other.txt"}.get(name, "minilm")
    return (5, 5, 5)


def changed(name: str) -> Settings:
    return with_changes(SETTINGS, {name: another(name)})


@cache
def start_of(settings: Settings) -> dict[str, Tensor]:
    """Return the weights that a new student starts with."""
    model = CellNet(settings)
    model.start_from(PCA)
    return model.state_dict()


@cache
def steps_of_a_fork(settings: Settings) -> list[StepResult]:
    """Return two steps of a training that begins with the weights of another."""
    model = CellNet(settings)
    model.load_state_dict(start_of(SETTINGS))
    learner = Learner(model, DATA, settings, torch.device("cpu"))
    return [learner.step(step).result for step in range(2)]


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        one[name].shape == other[name].shape and torch.equal(one[name], other[name]) for name in one
    )


@pytest.fixture(scope="module")
def trainer() -> EmbeddingTrainer:
    return EmbeddingTrainer(SETTINGS, DATA)


@pytest.mark.parametrize("name", LIVE)
def test_a_live_setting_acts_on_the_next_step(name: str) -> None:
    def second_step(changes: dict[str, Any]) -> tuple[dict[str, float], float, list[float]]:
        trainer = EmbeddingTrainer(SETTINGS, DATA)
        trainer.step()
        trainer.apply(changes)
        event = trainer.step()
        assert event is not None
        return event.weighted, event.learning_rate, trainer.learner.engine.weights.tolist()

    assert second_step({}) != second_step({name: another(name)})


@pytest.mark.parametrize("name", sorted(FIELDS.keys() - set(LIVE)))
def test_any_other_setting_is_refused_while_a_training_runs(trainer: EmbeddingTrainer, name: str) -> None:
    with pytest.raises(SettingsError) as refused:
        trainer.apply({name: another(name)})
    assert "cannot change while training" in refused.value.problems[name]
    assert trainer.control.requested == SETTINGS


@pytest.mark.parametrize("name", FORKABLE)
def test_what_a_fork_may_change_needs_no_other_weights(name: str) -> None:
    settings = changed(name)
    assert fork_settings(SETTINGS, {name: get_value(settings, name)}) == settings
    CellNet(settings).load_state_dict(CellNet(SETTINGS).state_dict())


@pytest.mark.parametrize("name", [*marked("fork", "fixed"), *marked("fork", "unused")])
def test_nothing_else_can_change_in_a_fork(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        fork_settings(SETTINGS, {name: another(name)})
    assert fork_settings(SETTINGS, {name: get_value(SETTINGS, name)}) == SETTINGS


@pytest.mark.parametrize("name", [*FORKABLE, *marked("fork", "unused")])
def test_a_fork_does_not_use_what_only_says_how_weights_start(name: str) -> None:
    settings = changed(name)
    starts_otherwise = not same(start_of(settings), start_of(SETTINGS))
    without_use = starts_otherwise and steps_of_a_fork(settings) == steps_of_a_fork(SETTINGS)
    assert without_use == (name in marked("fork", "unused"))


def test_the_help_says_what_the_marks_mean() -> None:
    parser = Parser(prog="cellnet")
    add_settings(parser)
    command_line = {action.dest.removeprefix("setting:"): action.help for action in parser._actions}
    sentences = {
        "can change while a training runs": LIVE,
        "A fork of a run cannot change it": marked("fork", "fixed"),
        "A fork of a run does not use it": marked("fork", "unused"),
    }
    for name in FIELDS:
        for text in (command_line[name], field_help(name)):
            for sentence, names in sentences.items():
                assert (sentence in str(text)) == (name in names), (name, sentence)
