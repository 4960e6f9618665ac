"""A student found by whatever names it: a run, a checkpoint's folder, or a folder of `save_pretrained`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from cellnet.checkpoints import load_checkpoint
from cellnet.checkpoints.manifest import STATE_FILE
from cellnet.decoder.generative import GenerativeDecoder, weights_fingerprint
from cellnet.errors import CheckpointError
from cellnet.runs import choose_checkpoint, open_runs
from cellnet.settings import Settings
from cellnet.student.student import MODEL_FILE, CellNet
from cellnet.student.weights import check_weights
from cellnet.training.events import ChangeEvent

DECODER_FOLDER = "decoder"


@dataclass(frozen=True)
class LoadedModel:
    """A student and where it comes from.

    Attributes:
        model: on the CPU, in evaluation mode.
        name: for people.
        checkpoint: folder of the checkpoint, or None for a folder of `save_pretrained`.
        run: id of the run, if it was named by its run.
        step: step of the checkpoint, if known.
        exported: the folder of `save_pretrained`, if it is one.
        changes: what was changed while it trained up to this step, in that order, if it is a checkpoint.
    """

    model: CellNet
    name: str
    checkpoint: Path | None = None
    run: str | None = None
    step: int | None = None
    exported: Path | None = None
    changes: tuple[ChangeEvent, ...] = ()

    @property
    def settings(self) -> Settings:
        """The settings of the student."""
        return self.model.settings

    @property
    def decoder_folder(self) -> Path:
        """The folder of this student's decoder: in the folder of its run, or of its export.

        Raises:
            CheckpointError: if it is a checkpoint outside of a run, beside which nothing belongs.
        """
        if self.exported is not None:
            return self.exported / DECODER_FOLDER
        if self.checkpoint is not None and self.checkpoint.resolve().parent.name == "checkpoints":
            return self.checkpoint.resolve().parent.parent / DECODER_FOLDER
        raise CheckpointError(
            f"{self.name} is a checkpoint outside of a run, so there is no place for its decoder; "
            "name its folder (train-decoder --out, probe --decoder)"
        )


def load_model(source: str, runs: Path, *, step: int | None = None) -> LoadedModel:
    """Load a student.

    Args:
        source: the folder of a checkpoint, of `save_pretrained` or of a run; or a run's id, the start of
            one, or "latest".
        runs: folder of the runs.
        step: step of the run's checkpoint; by default the best one, or if none is marked the newest.

    Raises:
        RunError: if there is no such run.
        CheckpointError: if there is no such checkpoint, or it is damaged or does not fit its settings.
    """
    folder = Path(source)
    if (folder / "checkpoints").is_dir():
        folder = folder.resolve()
        return _load_run(folder.name, folder.parent, step)
    if folder.is_dir() and step is not None:
        raise CheckpointError(f"{folder} holds one model, so there is no step to choose; leave --step out")
    if (folder / STATE_FILE).is_file():
        return _load_folder(folder)
    if (folder / MODEL_FILE).is_file():
        return LoadedModel(CellNet.from_pretrained(folder), str(folder), exported=folder)
    if folder.is_dir() and len(folder.parts) > 1:
        raise CheckpointError(
            f"{folder} holds neither a checkpoint ({STATE_FILE}) nor an exported model ({MODEL_FILE})"
        )
    return _load_run(source, runs, step)


@dataclass(frozen=True)
class LoadedDecoder:
    """A decoder and how it fits a student.

    Attributes:
        decoder: writes sentences.
        folder: where it is from.
        same_student: whether it was trained on the reconstructions of this very student.
    """

    decoder: GenerativeDecoder
    folder: Path
    same_student: bool


def load_decoder(
    loaded: LoadedModel, source: str, device: torch.device, *, teacher_fingerprint: str
) -> LoadedDecoder:
    """Load a decoder for a student.

    Args:
        loaded: the student.
        source: the folder of a decoder, or "auto" for the one that is kept with the student.
        device: where it works.
        teacher_fingerprint: of the student's teacher.

    Raises:
        CheckpointError: if there is none (it says how to train one), it is damaged, or it was trained with
            another teacher.
    """
    folder = loaded.decoder_folder if source == "auto" else Path(source)
    if not folder.is_dir():
        raise CheckpointError(
            f"there is no decoder in {folder}; train one with: {train_decoder_command(loaded, folder)}"
        )
    decoder = GenerativeDecoder.from_pretrained(folder, device)
    teacher, student = decoder.facts.get("teacher"), decoder.facts.get("student")
    if not isinstance(teacher, dict) or teacher.get("fingerprint") != teacher_fingerprint:
        raise CheckpointError(
            f"the decoder in {folder} was trained with another teacher than {loaded.name}; train one with: "
            f"{train_decoder_command(loaded, folder)}"
        )
    same = isinstance(student, dict) and student.get("weights") == weights_fingerprint(loaded.model)
    return LoadedDecoder(decoder, folder, same)


def train_decoder_command(loaded: LoadedModel, folder: Path) -> str:
    """Return the command that trains a decoder for a student, into a folder."""
    if loaded.run is None or loaded.checkpoint is None:
        student = str(loaded.checkpoint or loaded.exported)
    else:
        student = str(loaded.checkpoint.parent.parent)
    out = "" if (loaded.exported or loaded.run) and folder == loaded.decoder_folder else f" --out {folder}"
    step = "" if loaded.run is None or loaded.step is None else f" --step {loaded.step}"
    return f"cellnet train-decoder {student}{step}{out}"


def _load_run(run_id: str, runs: Path, step: int | None) -> LoadedModel:
    with open_runs(runs) as store:
        run = store.get(run_id)
        checkpoint = choose_checkpoint(store, run, step)
    loaded = _load_folder(checkpoint.path)
    name = f"run {run.id}, step {checkpoint.step}{' (best)' if checkpoint.best else ''}"
    return replace(loaded, name=name, run=run.id, step=checkpoint.step)


def _load_folder(folder: Path) -> LoadedModel:
    saved = load_checkpoint(folder)
    if saved.settings is None or "model" not in saved.tensors:
        raise CheckpointError(f"{folder} holds no student; give a checkpoint that a training wrote")
    model = CellNet(saved.settings)
    try:
        check_weights(model, saved.tensors["model"])
    except CheckpointError as error:
        raise CheckpointError(f"{folder} cannot be used: {error}") from None
    model.load_state_dict(saved.tensors["model"])
    return LoadedModel(
        model.eval(),
        str(folder),
        folder,
        step=saved.state.get("step"),
        changes=_changes(saved.state, folder),
    )


def _changes(state: Mapping[str, Any], folder: Path) -> tuple[ChangeEvent, ...]:
    try:
        changes = tuple(ChangeEvent(**change) for change in state.get("changes", []))
    except TypeError as error:
        raise CheckpointError(f"the live changes in {folder} cannot be read: {error}") from None
    if not all(isinstance(change.step, int) and isinstance(change.key, str) for change in changes):
        raise CheckpointError(f"the live changes in {folder} name no steps and settings")
    return changes
