"""A decoder that is saved is the same when it is read; anything else is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from cellnet.checkpoints import save_checkpoint
from cellnet.decoder import DecoderData, GenerativeDecoder, Vocabulary, train_decoder
from cellnet.errors import CheckpointError
from cellnet.settings import Settings, with_changes


@pytest.fixture
def decoder(data: DecoderData, vocabulary: Vocabulary, settings: Settings) -> GenerativeDecoder:
    quick = with_changes(settings, {"decoder.max_steps": 3})
    return train_decoder(data, vocabulary, quick, device=torch.device("cpu"))


@pytest.fixture
def folder(decoder: GenerativeDecoder, tmp_path: Path) -> Path:
    decoder.save_pretrained(tmp_path / "decoder")
    return tmp_path / "decoder"


def rewrite(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change what the state says; the weights and settings keep their checksums."""
    values = json.loads((folder / "state.json").read_text("utf-8"))
    change(values["state"])
    (folder / "state.json").write_text(json.dumps(values), "utf-8")


def test_round_trip(decoder: GenerativeDecoder, folder: Path, embeddings: np.ndarray) -> None:
    again = GenerativeDecoder.from_pretrained(folder)
    assert again.write(embeddings) == decoder.write(embeddings)
    assert again.facts == decoder.facts
    assert again.settings == decoder.settings
    assert again.width == decoder.width
    assert sorted(path.suffix for path in folder.iterdir()) == [".json", ".safetensors", ".toml"]


def test_an_older_decoder_is_replaced_and_nothing_else(
    decoder: GenerativeDecoder, folder: Path, tmp_path: Path, settings: Settings
) -> None:
    decoder.facts["note"] = "second"
    decoder.save_pretrained(folder)
    assert GenerativeDecoder.from_pretrained(folder).facts["note"] == "second"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work", "utf-8")
    save_checkpoint(tmp_path / "other", {"model": {"a": torch.zeros(2)}}, {}, settings)
    (tmp_path / "link").symlink_to(folder)
    for name in ("mine", "other", "mine/thesis.txt", "link"):
        with pytest.raises(CheckpointError, match="give a new name"):
            decoder.save_pretrained(tmp_path / name)
    assert (tmp_path / "mine" / "thesis.txt").read_text("utf-8") == "years of work"


def test_other_folders_are_refused(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(CheckpointError, match="no file"):
        GenerativeDecoder.from_pretrained(tmp_path / "nowhere")
    save_checkpoint(tmp_path / "student", {"model": {"a": torch.zeros(2)}}, {"step": 3}, settings)
    with pytest.raises(CheckpointError, match="holds no decoder"):
        GenerativeDecoder.from_pretrained(tmp_path / "student")


@pytest.mark.parametrize("name", ["decoder.safetensors", "settings.toml"])
def test_damage_is_noticed(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(CheckpointError, match="sha256"):
        GenerativeDecoder.from_pretrained(folder)
    (folder / name).write_bytes(content[:-9])
    with pytest.raises(CheckpointError, match="bytes instead of"):
        GenerativeDecoder.from_pretrained(folder)
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match="missing"):
        GenerativeDecoder.from_pretrained(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.update(kind="other"), "holds no decoder"),
        (lambda state: state.update(version=2), "version 2"),
        (lambda state: state.update(width=True), "lacks settings, weights or width"),
        (lambda state: state.update(width=10**9), "reads width 1000000000"),
        (lambda state: state.pop("vocabulary"), "vocabulary"),
        (lambda state: state["vocabulary"]["tokens"].pop(), "do not fit its settings"),
        (lambda state: state["vocabulary"].update(decoder={"type": 3}), "cannot be read"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(
    folder: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    rewrite(folder, change)
    with pytest.raises(CheckpointError, match=message):
        GenerativeDecoder.from_pretrained(folder)


def test_settings_of_a_huge_network_allocate_nothing(decoder: GenerativeDecoder, folder: Path) -> None:
    tensors = load_file(folder / "decoder.safetensors")
    state = json.loads((folder / "state.json").read_text("utf-8"))["state"]
    huge = with_changes(decoder.settings, {"decoder.width": 2048, "decoder.layers": 24})
    save_checkpoint(folder, {"decoder": tensors}, state, huge)
    with pytest.raises(CheckpointError, match="do not fit its settings"):
        GenerativeDecoder.from_pretrained(folder)


def test_weights_that_are_not_finite_are_refused(decoder: GenerativeDecoder, folder: Path) -> None:
    with torch.no_grad():
        decoder.network.bias[3] = float("nan")
    decoder.save_pretrained(folder)
    with pytest.raises(CheckpointError, match=r"'bias' .* not finite"):
        GenerativeDecoder.from_pretrained(folder)


def test_files_that_the_manifest_does_not_name_are_not_read(folder: Path) -> None:
    save_file({"evil": torch.zeros(1)}, folder / "other.safetensors")
    values = json.loads((folder / "state.json").read_text("utf-8"))
    values["files"]["../other.safetensors"] = values["files"].pop("decoder.safetensors")
    GenerativeDecoder.from_pretrained(folder)
    (folder / "state.json").write_text(json.dumps(values), "utf-8")
    with pytest.raises(CheckpointError, match="describes no checkpoint"):
        GenerativeDecoder.from_pretrained(folder)
