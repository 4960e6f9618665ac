"""A checkpoint as a folder of safetensors and JSON, written atomically and verified when read."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

import cellnet
from cellnet.checkpoints.manifest import (
    FORMAT,
    GROUP_PATTERN,
    MAX_FILES,
    MAX_SETTINGS_BYTES,
    SETTINGS_FILE,
    FileEntry,
    Manifest,
    check_total,
    read_manifest,
    write_manifest,
)
from cellnet.errors import CheckpointError, SettingsError
from cellnet.files import new_folder
from cellnet.settings import Settings, from_toml, save_toml

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"

_SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint.

    Attributes:
        tensors: ``{group: {name: tensor}}``, bit-equal to what was saved.
        state: the JSON state that was saved.
        settings: the settings that were saved beside it, or None if none were.
        cellnet_version: the version of cellnet that wrote the checkpoint.
    """

    tensors: dict[str, dict[str, Tensor]]
    state: dict[str, Any]
    settings: Settings | None
    cellnet_version: str


def save_checkpoint(
    folder: Path,
    tensors: Mapping[str, Mapping[str, Tensor]],
    state: Mapping[str, JSON],
    settings: Settings | None = None,
) -> Path:
    """Write a checkpoint, replacing the one that is in ``folder`` only when the new one is complete.

    Args:
        folder: where the checkpoint goes; its parent is created.
        tensors: ``{group: {name: tensor}}``, of any device, layout in memory and shape; each group (such
            as model, optimizer, random) becomes one file. Copies are taken, so tensors may share memory.
        state: JSON values; tuples come back as lists.
        settings: saved beside them as `settings.toml`.

    Returns:
        ``folder``.

    Raises:
        CheckpointError: if a group's name is not of ``a-z_``, or something is too large or not JSON.
    """
    for group in tensors:
        if not re.fullmatch(GROUP_PATTERN, group):
            raise CheckpointError(f"{group!r} cannot name a group of tensors; use 1 to 64 of a-z and _")
    if len(tensors) >= MAX_FILES:
        raise CheckpointError(f"{len(tensors)} groups are too many; merge them into fewer than {MAX_FILES}")
    with new_folder(folder) as new:
        for group, named in tensors.items():
            copies = {
                name: torch.clone(tensor.detach().cpu(), memory_format=torch.contiguous_format)
                for name, tensor in named.items()
            }
            safetensors.torch.save_file(copies, new / f"{group}{_SUFFIX}")
        if settings is not None:
            save_toml(settings, new / SETTINGS_FILE)
        files = {path.name: _describe(path) for path in sorted(new.iterdir())}
        check_total({name: entry.bytes for name, entry in files.items()})
        manifest = Manifest(format=FORMAT, cellnet=cellnet.__version__, files=files, state=dict(state))
        write_manifest(new, manifest)
    return folder


def load_checkpoint(folder: Path, device: torch.device | str = "cpu") -> Checkpoint:
    """Read a checkpoint, every file of it checked against its recorded size and sha256.

    Args:
        folder: a folder that `save_checkpoint` wrote.
        device: where all tensors go. Random states, and the steps of an optimizer that is neither fused
            nor capturable, belong on the CPU; ``load_state_dict`` copies the rest where it is needed.

    Raises:
        CheckpointError: if anything is missing, truncated, altered, too large or of a newer format.
    """
    manifest = read_manifest(folder)
    tensors: dict[str, dict[str, Tensor]] = {}
    settings: Settings | None = None
    for name, entry in manifest.files.items():
        data = _read_verified(folder / name, entry)
        if name == SETTINGS_FILE:
            settings = _parse_settings(data, folder)
        else:
            named = _parse_tensors(data, folder / name)
            tensors[name.removesuffix(_SUFFIX)] = {key: value.to(device) for key, value in named.items()}
    return Checkpoint(tensors, manifest.state, settings, manifest.cellnet)


def _describe(path: Path) -> FileEntry:
    with path.open("rb") as file:
        return FileEntry(bytes=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def _read_verified(path: Path, entry: FileEntry) -> bytes:
    remedy = "the checkpoint is incomplete or was altered; use another checkpoint of the run"
    if path.is_symlink() or not path.is_file():
        raise CheckpointError(f"{path} is missing: {remedy}")
    if (size := path.stat().st_size) != entry.bytes:
        raise CheckpointError(f"{path} has {size} bytes instead of {entry.bytes}: {remedy}")
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise CheckpointError(f"{path} does not have its recorded sha256: {remedy}")
    return data


def _parse_tensors(data: bytes, path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load(data)
    except (SafetensorError, KeyError, OverflowError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} is no safetensors file that cellnet can read ({error}); use another checkpoint"
        ) from None


def _parse_settings(data: bytes, folder: Path) -> Settings:
    try:
        if len(data) > MAX_SETTINGS_BYTES:
            raise SettingsError(f"more than {MAX_SETTINGS_BYTES} bytes")
        return from_toml(data.decode())
    except (SettingsError, TypeError, UnicodeDecodeError, RecursionError) as error:
        raise CheckpointError(
            f"{folder / SETTINGS_FILE} holds no settings of cellnet ({error}); use another checkpoint"
        ) from None
