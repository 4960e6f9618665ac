"""Runs that leave as one file, and checkpoints that come in as one; what comes in is treated as hostile."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import torch

from cellnet.checkpoints import MAX_ARCHIVE_BYTES, Checkpoint, check_training, load_checkpoint, pack, unpack
from cellnet.checkpoints.contents import TrainingState
from cellnet.errors import CheckpointError, SettingsError
from cellnet.files import new_file
from cellnet.runs import RunRecord, RunStore
from cellnet.runs.schema import PHASES
from cellnet.settings import Settings
from cellnet.student.student import CellNet
from cellnet.student.surface.placement import surface_size
from cellnet.training.engine import make_optimizer

IMPORTS_FOLDER = ".imports"
"""Below the runs: where archives are unpacked before they are checked; may be cleared at any start."""
MAX_CHANGES = 10_000

_CHUNK_BYTES = 2**20
_MOST_NOTE = 200
_CELLS = ("mapper.positional_encoding.vectors", "mapper.volume.states")
_FRAMES = "frames"
_README = """This is one run of cellnet.

run.json          its name, note, tags, state and figures
settings.toml     its settings: cellnet train --config settings.toml
metrics-*.csv     its curves
changes.csv       what was changed while it trained
checkpoints/      each file can be imported on the page Runs of the lab, or unpacked and given to
                  cellnet probe, cellnet evaluate and cellnet export
frames/           pictures of the cube over the training, if it was trained in the lab
"""


def import_checkpoint(
    store: RunStore, source: Path | IO[bytes], *, name: str = "", max_bytes: int = MAX_ARCHIVE_BYTES
) -> str:
    """Make a new run of a packed checkpoint and return the run's id.

    The run has the settings, the step and the live changes of the checkpoint, no curves, and can be looked
    into, resumed and forked like any other. Everything is checked before the run appears: the archive (see
    `cellnet.checkpoints.unpack`), and that weights, optimizer and progress fit the settings and are finite
    (see `cellnet.checkpoints.check_training`).

    Args:
        store: gets the run.
        source: the zip file, as a path or an open, seekable binary file such as an upload.
        name: of the run, for people; by default the step says what it is.
        max_bytes: most bytes that the archive may take, packed and unpacked.

    Raises:
        CheckpointError: if it is anything but one sound checkpoint of a student; it says why.
    """
    parent = store.root / IMPORTS_FOLDER
    parent.mkdir(exist_ok=True)
    folder = unpack(source, parent, f"import-{secrets.token_hex(6)}", max_bytes)
    try:
        saved = load_checkpoint(folder)
        settings, progress = _check_student(saved)
        step = progress.step
        run = store.create(settings, name=name or f"imported, step {step:,}")
        try:
            target = store.folder(run.id) / "checkpoints" / f"step-{step:08d}"
            os.replace(folder, target)
            store.add_checkpoint(run.id, step, target, best=progress.best_step == step)
            for change in progress.changes:
                store.log_change(run.id, **change.model_dump())
            store.update(run.id, note=f"Imported; written by cellnet {saved.cellnet_version[:_MOST_NOTE]}.")
            store.set_state(run.id, "stopped", step=step)
        except BaseException:
            store.delete(run.id)
            raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return run.id


def export_run(store: RunStore, run_id: str, target: Path) -> Path:
    """Write a run as one zip file: settings, curves, changes, checkpoints (packed) and frames.

    Nothing is held in memory but one checkpoint at a time. A checkpoint that the run removes meanwhile is
    left out.

    Args:
        store: has the run.
        run_id: its exact id.
        target: the file; it is replaced only when the new one is complete.

    Returns:
        ``target``.

    Raises:
        RunError: if there is no such run.
        CheckpointError: if a checkpoint is damaged.
    """
    folder, run = store.folder(run_id), store.get(run_id)
    with new_file(target) as new, ZipFile(new, "w", ZIP_STORED) as archive:
        _write_text(archive, "README.txt", _README)
        _write_text(archive, "run.json", json.dumps(_description(run), indent=2) + "\n")
        _write_file(archive, "settings.toml", folder / "settings.toml")
        for phase in PHASES:
            table = store.metrics(run_id, phase=phase).drop(columns="phase")
            _write_text(archive, f"metrics-{phase}.csv", table.to_csv(index=False))
        changes = [asdict(change) for change in store.changes(run_id)]
        _write_text(archive, "changes.csv", _as_csv(("step", "time", "key", "old", "new"), changes))
        for step in [checkpoint.step for checkpoint in store.checkpoints(run_id)]:
            _write_checkpoint(archive, store, run_id, step, new.with_suffix(".part"))
        for frame in sorted((folder / _FRAMES).glob("*.safetensors")):
            _write_file(archive, f"{_FRAMES}/{frame.name}", frame)
    return target


# What comes in.


def _check_student(saved: Checkpoint) -> tuple[Settings, TrainingState]:
    """Return the settings and the progress if everything fits them.

    Sizes are compared before a student is made, so that settings alone cannot ask for more memory than the
    archive itself has.
    """
    settings, weights = saved.settings, saved.tensors.get("model")
    if settings is None or weights is None:
        raise _refusal("it holds no student; give a checkpoint that a training wrote")
    shapes = {key: tuple(value.shape) for key, value in weights.items()}
    cells = [shapes.get(key, (0,))[0] for key in _CELLS]
    for key, shape in _tell_tale_shapes(settings, placed=cells[0]).items():
        if shapes.get(key) != shape:
            raise _refusal(f"its settings ask for {key} of shape {shape} and it holds {shapes.get(key)}")
    if sum(cells) != settings.lattice.cell_count:
        raise _refusal(f"its settings ask for {settings.lattice.cell_count} cells and it has {sum(cells)}")
    changes = saved.state.get("changes")
    if isinstance(changes, list) and len(changes) > MAX_CHANGES:
        raise _refusal("its list of live changes is too long")
    try:
        model = CellNet(settings)
        optimizer = make_optimizer(model, settings, torch.device("cpu"))
        progress, _ = check_training(saved.tensors, saved.state, model, optimizer)
    except (CheckpointError, SettingsError) as error:
        raise _refusal(str(error)[:500]) from None
    return settings, progress


def _tell_tale_shapes(settings: Settings, placed: int) -> dict[str, tuple[int, ...]]:
    """Return shapes that bound all others but those of the experts, which are small for any settings."""
    channels, width = settings.model.state_size, settings.embedding.teacher_width
    edge = surface_size(settings.lattice.dimensions, settings.embedding.placement_strategy)
    code = edge * edge
    shapes: dict[str, tuple[int, ...]] = {
        "mapper.lift": (placed, channels),
        "codec.to_surface.weight": (code, width),
        "codec.from_channels.weight": (width, code * (channels - 1)),
    }
    if settings.embedding.lifting_strategy == "whole_surface":
        shapes["mapper.mixture.weight"] = (placed * (channels - 1), code)
    if settings.embedding.type == "autoencoder":
        shapes["codec.decoder.0.weight"] = (settings.embedding.decoder_width, code * channels)
        shapes["codec.encoder.0.weight"] = (settings.embedding.hidden_size, width)
    return shapes


def _refusal(problem: str) -> CheckpointError:
    return CheckpointError(f"this checkpoint cannot be imported: {problem}")


# What goes out.


def _description(run: RunRecord) -> dict[str, Any]:
    hidden = ("pid", "process", "host", "settings", "deleted")
    return {key: _finite(value) for key, value in asdict(run).items() if key not in hidden}


def _finite(value: Any) -> Any:
    """Replace what JSON does not know: NaN and infinity become null."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _as_csv(names: tuple[str, ...], rows: Iterable[Mapping[str, Any]]) -> str:
    output = io.StringIO()
    writer = csv.DictWriter(output, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return output.getvalue()


def _write_checkpoint(archive: ZipFile, store: RunStore, run_id: str, step: int, part: Path) -> None:
    known = {checkpoint.step: checkpoint for checkpoint in store.checkpoints(run_id)}
    if step not in known:
        return
    try:
        pack(known[step].path, part)
        _write_file(archive, f"checkpoints/step-{step:08d}.zip", part)
    except CheckpointError:
        if step in [checkpoint.step for checkpoint in store.checkpoints(run_id)]:
            raise
    finally:
        part.unlink(missing_ok=True)


def _write_text(archive: ZipFile, name: str, text: str) -> None:
    archive.writestr(_member(name), text, ZIP_DEFLATED)


def _write_file(archive: ZipFile, name: str, path: Path) -> None:
    """Copy a file into the archive; one that is gone by now is left out."""
    try:
        source = path.open("rb")
    except FileNotFoundError:
        return
    with source:
        info = _member(name)
        info.file_size = os.fstat(source.fileno()).st_size
        with archive.open(info, "w") as member:
            while chunk := source.read(_CHUNK_BYTES):
                member.write(chunk)


def _member(name: str) -> ZipInfo:
    info = ZipInfo(name, time.gmtime()[:6])
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    return info
