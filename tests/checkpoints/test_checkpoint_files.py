"""Checkpoints come back bit-equal, damage is found, and a crash leaves the old state or the new one."""

import hashlib
import json
import os
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cellnet.checkpoints import (
    JSON,
    Checkpoint,
    load_checkpoint,
    manifest,
    save_checkpoint,
)
from cellnet.errors import CheckpointError
from cellnet.settings import preset


def some_tensors() -> dict[str, dict[str, Tensor]]:
    weights = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    return {
        "model": {
            "plain": weights,
            "transposed": weights.t(),
            "slice": weights[1, ::2],
            "scalar": torch.tensor(3.5, dtype=torch.float64),
            "half": weights.bfloat16(),
            "empty": torch.empty(0, 3),
            "special": torch.tensor([float("nan"), float("inf"), -0.0]),
            "parameter": torch.nn.Parameter(weights.clone()),
        },
        "random": {"cpu": torch.get_rng_state(), "flags": torch.tensor([True, False])},
        "nothing": {},
    }


def save(folder: Path, step: int = 7) -> Path:
    return save_checkpoint(folder, some_tensors(), {"step": step, "best": None, "rate": 0.1})


def assert_bit_equal(found: Tensor, expected: Tensor) -> None:
    expected = expected.detach()
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    as_bytes = [t.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() for t in (found, expected)]
    assert as_bytes[0] == as_bytes[1]


def test_round_trip_is_bit_equal(tmp_path: Path) -> None:
    settings = preset("balanced")
    state: dict[str, JSON] = {
        "step": 7,
        "rate": 0.1 + 0.2,
        "names": ["a", "é"],
        "nested": {"on": True, "none": None},
    }
    folder = save_checkpoint(tmp_path / "runs" / "step-00000007", some_tensors(), state, settings)
    assert folder == tmp_path / "runs" / "step-00000007"
    assert sorted(path.name for path in folder.iterdir()) == [
        "model.safetensors",
        "nothing.safetensors",
        "random.safetensors",
        "settings.toml",
        "state.json",
    ]
    found = load_checkpoint(folder)
    assert isinstance(found, Checkpoint)
    assert found.state == state
    assert found.settings == settings
    assert {group: set(named) for group, named in found.tensors.items()} == {
        group: set(named) for group, named in some_tensors().items()
    }
    for group, named in some_tensors().items():
        for name, tensor in named.items():
            assert_bit_equal(found.tensors[group][name], tensor)
    torch.set_rng_state(found.tensors["random"]["cpu"])


def test_tied_weights_and_later_changes_do_not_leak(tmp_path: Path) -> None:
    weight = torch.ones(3)
    folder = save_checkpoint(tmp_path / "a", {"model": {"one": weight, "two": weight}}, {})
    loaded = load_checkpoint(folder).tensors["model"]
    loaded["one"].zero_()
    assert loaded["two"].tolist() == weight.tolist() == [1, 1, 1]
    assert load_checkpoint(folder).settings is None


@pytest.mark.parametrize("group", ["../model", "Model", "", "a.b", "model\n"])
def test_group_names_cannot_leave_the_folder(tmp_path: Path, group: str) -> None:
    with pytest.raises(CheckpointError, match="cannot name a group"):
        save_checkpoint(tmp_path / "a", {group: {}}, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, torch.zeros(1)])
def test_state_must_be_json(tmp_path: Path, value: object) -> None:
    with pytest.raises(CheckpointError, match="not JSON"):
        save_checkpoint(tmp_path / "a", {}, {"bad": value})  # type: ignore[dict-item]
    assert list(tmp_path.iterdir()) == []


def test_caps_are_enforced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save(tmp_path / "a")
    with pytest.raises(CheckpointError, match="too many"):
        save_checkpoint(tmp_path / "b", {"g" * (i + 1): {} for i in range(32)}, {})
    monkeypatch.setattr(manifest, "MAX_TOTAL_BYTES", 100)
    with pytest.raises(CheckpointError, match="a checkpoint at most 100"):
        save(tmp_path / "b")
    with pytest.raises(CheckpointError, match="a checkpoint at most 100"):
        load_checkpoint(folder)
    monkeypatch.setattr(manifest, "MAX_STATE_BYTES", 50)
    with pytest.raises(CheckpointError, match="at most 50"):
        load_checkpoint(folder)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    folder = save(tmp_path / "a")
    path = folder / "model.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    with pytest.raises(CheckpointError, match="bytes instead of"):
        load_checkpoint(folder)
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(CheckpointError, match="sha256"):
        load_checkpoint(folder)
    path.unlink()
    with pytest.raises(CheckpointError, match="missing"):
        load_checkpoint(folder)
    (tmp_path / "outside").write_bytes(data)
    path.symlink_to(tmp_path / "outside")
    with pytest.raises(CheckpointError, match="missing"):
        load_checkpoint(folder)
    path.unlink()
    path.write_bytes(data)
    load_checkpoint(folder)


def change_state(folder: Path, **changes: object) -> None:
    values = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps({**values, **changes}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 3}, "upgrade cellnet"),
        ({"format": 0}, "checkpoint format 0"),
        ({"format": 1}, "checkpoint format 1"),
        ({"format": "1"}, "describes no checkpoint"),
        ({"extra": 1}, "describes no checkpoint"),
        ({"state": []}, "describes no checkpoint"),
        ({"files": {"../x.safetensors": {"bytes": 0, "sha256": "0" * 64}}}, "describes no checkpoint"),
        ({"files": {"model.pt": {"bytes": 0, "sha256": "0" * 64}}}, "describes no checkpoint"),
        ({"files": {"model.safetensors\n": {"bytes": 0, "sha256": "0" * 64}}}, "describes no checkpoint"),
        ({"files": {"model.safetensors": {"bytes": -1, "sha256": "0" * 64}}}, "describes no checkpoint"),
    ],
)
def test_wrong_descriptions_are_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    folder = save(tmp_path / "a")
    change_state(folder, **changes)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": NaN}', "[" * 100_000, "\xff", "9" * 10_000])
def test_malformed_json_is_refused(tmp_path: Path, text: str) -> None:
    folder = save(tmp_path / "a")
    (folder / "state.json").write_text(text, encoding="latin-1")
    with pytest.raises(CheckpointError):
        load_checkpoint(folder)
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        load_checkpoint(tmp_path)


HOSTILE = {
    "pickle": b"\x80\x04cos\nsystem\n(S'false'\ntR.",
    "empty": b"",
    "long header": (2**62).to_bytes(8, "little") + b"{}",
    "unknown type": (60).to_bytes(8, "little")
    + b'{"a":{"dtype":"X9","shape":[1],"data_offsets":[0,1]}}'.ljust(60)
    + b"\0",
    "huge shape": (75).to_bytes(8, "little")
    + b'{"a":{"dtype":"F32","shape":[9223372036854775807,4],"data_offsets":[0,0]}}'.ljust(75),
    "huge empty shape": (80).to_bytes(8, "little")
    + b'{"a":{"dtype":"F32","shape":[0,9223372036854775807,9],"data_offsets":[0,0]}}'.ljust(80),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_files_that_are_no_safetensors_are_refused(tmp_path: Path, name: str) -> None:
    data = HOSTILE[name]
    folder = save_checkpoint(tmp_path / "a", {"model": {}}, {})
    (folder / "model.safetensors").write_bytes(data)
    entry = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    change_state(folder, files={"model.safetensors": entry})
    with pytest.raises(CheckpointError, match="no safetensors"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    "text", ["x = [", "[nowhere]\nx = 1", "a = " + "[" * 5000, 'lattice = 3\n"lattice.x" = 1']
)
def test_wrong_settings_are_refused(tmp_path: Path, text: str) -> None:
    folder = save_checkpoint(tmp_path / "a", {}, {}, preset("seed"))
    data = text.encode()
    (folder / "settings.toml").write_bytes(data)
    entry = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    change_state(folder, files={"settings.toml": entry})
    with pytest.raises(CheckpointError, match="no settings"):
        load_checkpoint(folder)


@pytest.mark.parametrize("failing_call", [1, 2])
def test_failed_replacement_keeps_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing_call: int
) -> None:
    folder = save(tmp_path / "a", step=1)
    calls = 0

    def replace(source: Path, target: Path) -> None:
        nonlocal calls
        calls += 1
        if calls == failing_call:
            raise OSError("disk gone")
        Path(source).rename(target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        with pytest.raises(OSError, match="disk gone"):
            save(folder, step=2)
    assert load_checkpoint(folder).state["step"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    save(folder, step=2)
    assert load_checkpoint(folder).state["step"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
