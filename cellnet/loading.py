"""A student found by whatever names it: a run, a checkpoint's folder, or a folder of `save_pretrained`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cellnet.checkpoints import load_checkpoint
from cellnet.checkpoints.manifest import STATE_FILE
from cellnet.errors import CheckpointError, RunError
from cellnet.model import MODEL_FILE, CellNet
from cellnet.runs import CheckpointRecord, RunRecord, RunStore
from cellnet.settings import Settings

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
    """

    model: CellNet
    name: str
    checkpoint: Path | None = None
    run: str | None = None
    step: int | None = None
    exported: Path | None = None

    @property
    def settings(self) -> Settings:
        """The settings of the student."""
        return self.model.settings

    @property
    def decoder_folder(self) -> Path:
        """Where the decoder of this student is kept: in the folder of its run, or of its export.

        Raises:
            CheckpointError: if it is a checkpoint outside of a run, beside which nothing belongs.
        """
        if self.exported is not None:
            return self.exported / DECODER_FOLDER
        if self.checkpoint is not None and self.checkpoint.resolve().parent.name == "checkpoints":
            return self.checkpoint.resolve().parent.parent / DECODER_FOLDER
        raise CheckpointError(
            f"{self.name} is a checkpoint outside of a run, so there is no place for its decoder; "
            "give the decoder's folder"
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
        return LoadedModel(CellNet.from_pretrained(folder).eval(), str(folder), exported=folder)
    if folder.is_dir() and len(folder.parts) > 1:
        raise CheckpointError(
            f"{folder} holds neither a checkpoint ({STATE_FILE}) nor an exported model ({MODEL_FILE})"
        )
    return _load_run(source, runs, step)


def open_runs(runs: Path) -> RunStore:
    """Open the runs of a folder that must already hold some.

    Raises:
        RunError: if there are none.
    """
    if not (runs / "runs.sqlite").is_file():
        raise RunError(f"there are no runs in {runs}; train one first, or give the folder with --runs")
    return RunStore(runs)


def choose_checkpoint(store: RunStore, run: RunRecord, step: int | None) -> CheckpointRecord:
    """Return the checkpoint of that step, or by default the best, or if none is marked the newest.

    Raises:
        RunError: if there is none.
    """
    checkpoints = store.checkpoints(run.id)
    if step is None:
        wanted = [checkpoint for checkpoint in checkpoints if checkpoint.best] or checkpoints
    else:
        wanted = [checkpoint for checkpoint in checkpoints if checkpoint.step == step]
    if not wanted:
        known = ", ".join(str(checkpoint.step) for checkpoint in checkpoints) or "none yet"
        asked = "no checkpoint" if step is None else f"no checkpoint of step {step}"
        raise RunError(f"run {run.id} has {asked}; it has: {known}")
    return wanted[-1]


def _load_run(run_id: str, runs: Path, step: int | None) -> LoadedModel:
    with open_runs(runs) as store:
        run = store.get(run_id)
        checkpoint = choose_checkpoint(store, run, step)
    loaded = _load_folder(checkpoint.path)
    name = f"run {run.id}, step {checkpoint.step}{' (best)' if checkpoint.best else ''}"
    return LoadedModel(loaded.model, name, checkpoint.path, run.id, checkpoint.step)


def _load_folder(folder: Path) -> LoadedModel:
    saved = load_checkpoint(folder)
    if saved.settings is None or "model" not in saved.tensors:
        raise CheckpointError(f"{folder} holds no student; give a checkpoint that a training wrote")
    model = CellNet(saved.settings)
    try:
        model.load_state_dict(saved.tensors["model"])
    except RuntimeError as error:
        raise CheckpointError(f"the weights in {folder} do not fit its settings: {error}") from None
    return LoadedModel(model.eval(), str(folder), folder, step=saved.state.get("step"))
