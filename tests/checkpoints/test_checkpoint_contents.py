"""A checkpoint that names other tensors than a training needs is refused before any of them is loaded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from small_student import SETTINGS
from torch import Tensor

from cellnet.checkpoints import load_checkpoint, pack, save_checkpoint
from cellnet.errors import CheckpointError
from cellnet.runs import RunStore
from cellnet.runs.transfer import import_checkpoint
from cellnet.training import EmbeddingTrainer
from cellnet.training.benchmark import random_data

DATA = random_data(SETTINGS, 52)

Tensors = dict[str, dict[str, Tensor]]
Tamper = Callable[[Tensors, dict[str, Any]], None]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    trainer = EmbeddingTrainer(SETTINGS, DATA)
    for _ in range(2):
        trainer.step()
    return trainer.save_checkpoint(tmp_path_factory.mktemp("saved") / "a")


def forge(saved: Path, folder: Path, tamper: Tamper) -> Path:
    """Write the checkpoint with other contents and right checksums."""
    checkpoint = load_checkpoint(saved)
    tamper(checkpoint.tensors, checkpoint.state)
    return save_checkpoint(folder, checkpoint.tensors, checkpoint.state, checkpoint.settings)


def entry(state: dict[str, Any], index: int) -> list[Any]:
    """The ``[key, {"tensor": name}]`` pairs of one parameter."""
    moments: list[Any] = dict(state["optimizer"]["items"])["state"]["items"]
    pairs: list[Any] = dict(moments)[index]["items"]
    return pairs


def group(state: dict[str, Any]) -> list[Any]:
    """The ``[key, value]`` pairs of the first group of parameters."""
    pairs: list[Any] = dict(state["optimizer"]["items"])["param_groups"][0]["items"]
    return pairs


def small_and_large(tensors: Tensors) -> tuple[int, int]:
    sizes = {
        int(name.split(".")[1]): value.numel()
        for name, value in tensors["optimizer"].items()
        if name.endswith(".exp_avg")
    }
    ordered = sorted(sizes, key=sizes.__getitem__)
    assert sizes[ordered[0]] * 10 < sizes[ordered[-1]]
    return ordered[0], ordered[-1]


def swap_moments(tensors: Tensors, state: dict[str, Any]) -> None:
    small, large = (entry(state, index) for index in small_and_large(tensors))
    small[:], large[:] = [*large], [*small]


def alias_moments(tensors: Tensors, state: dict[str, Any]) -> None:
    pairs = entry(state, 0)
    dict(pairs)["exp_avg_sq"].update(dict(pairs)["exp_avg"])


def remove_key(tensors: Tensors, state: dict[str, Any]) -> None:
    entry(state, 0).pop()


def add_key(tensors: Tensors, state: dict[str, Any]) -> None:
    tensors["optimizer"]["more"] = torch.zeros(1)
    entry(state, 0).append(["max_exp_avg_sq", {"tensor": "more"}])


def add_parameter(tensors: Tensors, state: dict[str, Any]) -> None:
    dict(state["optimizer"]["items"])["state"]["items"].append([10**6, {"items": []}])


def remove_group(tensors: Tensors, state: dict[str, Any]) -> None:
    dict(state["optimizer"]["items"])["param_groups"].pop()


def nest(tensors: Tensors, state: dict[str, Any]) -> None:
    value: list[Any] = []
    for _ in range(400):
        value = [value]
    group(state).append(["nested", value])


def moment(name: str, change: Callable[[Tensor], Tensor]) -> Tamper:
    def tamper(tensors: Tensors, state: dict[str, Any]) -> None:
        key = f"state.0.{name}"
        tensors["optimizer"][key] = change(tensors["optimizer"][key])

    return tamper


def in_group(key: str, value: Any) -> Tamper:
    def tamper(tensors: Tensors, state: dict[str, Any]) -> None:
        pairs = group(state)
        pairs[:] = [pair for pair in pairs if pair[0] != key] + [[key, value]]

    return tamper


def weight(change: Callable[[Tensor], Tensor]) -> Tamper:
    def tamper(tensors: Tensors, state: dict[str, Any]) -> None:
        tensors["model"]["mapper.lift"] = change(tensors["model"]["mapper.lift"])

    return tamper


def random_state(change: Callable[[Tensor], Tensor]) -> Tamper:
    def tamper(tensors: Tensors, state: dict[str, Any]) -> None:
        tensors["random"]["cpu"] = change(tensors["random"]["cpu"])

    return tamper


def skip_words(random: Tensor) -> Tensor:
    """Say that many words are left and the last comes next: one more would lie beyond the table."""
    changed = random.clone()
    changed[8:12] = torch.tensor([624], dtype=torch.int32).view(torch.uint8)
    changed[16:24] = torch.tensor([624]).view(torch.uint8)
    return changed


def drop(name: str) -> Tamper:
    return lambda tensors, state: tensors.__delitem__(name)


def put(**values: Any) -> Tamper:
    return lambda tensors, state: state.update(values)


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        pytest.param(swap_moments, r"exp_avg.* is no tensor of shape", id="moments of another parameter"),
        pytest.param(alias_moments, r"'state.0.exp_avg' is used twice", id="one tensor for two moments"),
        pytest.param(remove_key, "state.0 does not have exactly step", id="a moment less"),
        pytest.param(add_key, "state.0 does not have exactly step", id="a moment more"),
        pytest.param(add_parameter, "unknown parameter 1000000", id="an unknown parameter"),
        pytest.param(remove_group, "does not have 3 groups", id="a group less"),
        pytest.param(nest, "use another checkpoint", id="a key that is nested deeply"),
        pytest.param(moment("exp_avg", lambda t: t * torch.nan), "exp_avg is not finite", id="nan"),
        pytest.param(moment("exp_avg", torch.Tensor.double), "dtype torch.float32", id="float64"),
        pytest.param(moment("exp_avg", lambda t: t.long()), "dtype torch.float32", id="whole numbers"),
        pytest.param(moment("exp_avg_sq", lambda t: t - 1), "or negative", id="negative square"),
        pytest.param(moment("step", lambda t: -t), "step is not finite, or negative", id="negative step"),
        pytest.param(moment("step", lambda t: t.expand(3)), "step is no tensor", id="three steps"),
        pytest.param(in_group("params", [0]), "param_groups.0.params is impossible", id="parameters"),
        pytest.param(in_group("lr", -1.0), "lr is impossible", id="negative rate"),
        pytest.param(in_group("lr", "much"), "lr is impossible", id="text for a rate"),
        pytest.param(in_group("lr", True), "lr is impossible", id="truth for a rate"),
        pytest.param(in_group("betas", {"tuple": [0.9, 1.0]}), "betas is impossible", id="beta of 1"),
        pytest.param(in_group("betas", [0.9, 0.9]), "betas is impossible", id="list of betas"),
        pytest.param(in_group("eps", 0.0), "eps is impossible", id="eps of 0"),
        pytest.param(in_group("weight_decay", None), "weight_decay is impossible", id="no decay"),
        pytest.param(in_group("amsgrad", True), "amsgrad is impossible", id="amsgrad"),
        pytest.param(in_group("fused", 1), "fused is impossible", id="number for a flag"),
        pytest.param(in_group("linear_path", True), "linear_path is impossible", id="linear path"),
        pytest.param(in_group("more", 1), "does not have the keys", id="a setting more"),
        pytest.param(weight(torch.Tensor.double), "mapper.lift has shape", id="weights of float64"),
        pytest.param(weight(lambda t: t * torch.inf), "not finite: mapper.lift", id="infinite weights"),
        pytest.param(random_state(lambda t: t[:-1]), "random generator", id="random state too short"),
        pytest.param(random_state(torch.Tensor.float), "random generator", id="random state of floats"),
        pytest.param(random_state(torch.zeros_like), "random generator", id="random state of zeros"),
        pytest.param(random_state(skip_words), "beyond its table", id="random state beyond its table"),
        pytest.param(drop("optimizer"), "has no optimizer", id="no optimizer"),
        pytest.param(drop("random"), "has no random", id="no random state"),
        pytest.param(put(step=True), "step is impossible", id="truth for a step"),
        pytest.param(put(step=[[[1]]]), "step is impossible", id="lists for a step"),
        pytest.param(put(order={"rows": 48}), "order.passes is impossible", id="half an order"),
        pytest.param(put(best_step=3), "comes after step 2", id="best step to come"),
        pytest.param(put(best_validation="0"), "best_validation is impossible", id="text for a number"),
        pytest.param(put(block_cells=-8), "block_cells is impossible", id="negative block"),
        pytest.param(put(changes=[[]]), "changes.0 is impossible", id="list for a change"),
    ],
)
def test_neither_resume_nor_import_takes_what_does_not_fit(
    saved: Path, tmp_path: Path, tamper: Tamper, message: str
) -> None:
    folder = forge(saved, tmp_path / "forged", tamper)
    with pytest.raises(CheckpointError, match=message) as resumed:
        EmbeddingTrainer.from_checkpoint(folder, DATA)
    assert "use another checkpoint" in str(resumed.value)
    store = RunStore(tmp_path / "runs")
    with pytest.raises(CheckpointError, match=message):
        import_checkpoint(store, pack(folder, tmp_path / "forged.zip"))
    assert store.list() == []


def test_a_group_that_another_version_of_pytorch_wrote_is_taken(saved: Path, tmp_path: Path) -> None:
    def forget(tensors: Tensors, state: dict[str, Any]) -> None:
        for pairs in dict(state["optimizer"]["items"])["param_groups"]:
            pairs["items"] = [pair for pair in pairs["items"] if pair[0] != "decoupled_weight_decay"]

    trainers = [
        EmbeddingTrainer.from_checkpoint(folder, DATA)
        for folder in (saved, forge(saved, tmp_path / "forged", forget))
    ]
    for trainer in trainers:
        trainer.train()
    one, two = (trainer.model.state_dict() for trainer in trainers)
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_rate_may_be_a_tensor_as_on_cuda(saved: Path, tmp_path: Path) -> None:
    def as_tensor(tensors: Tensors, state: dict[str, Any]) -> None:
        tensors["optimizer"]["rate"] = torch.tensor(1e-3)
        in_group("lr", {"tensor": "rate"})(tensors, state)

    trainer = EmbeddingTrainer.from_checkpoint(forge(saved, tmp_path / "forged", as_tensor), DATA)
    assert trainer.learner.optimizer.param_groups[0]["lr"] == pytest.approx(1e-3)
