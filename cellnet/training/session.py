"""A training as a run: started or resumed in a run store, and recorded there as it goes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from statistics import median_high
from types import TracebackType
from typing import Any, Self, cast

from torch import Tensor

from cellnet.checkpoints import load_checkpoint
from cellnet.device import describe_device
from cellnet.errors import CheckpointError, RunError
from cellnet.files import remove_stale
from cellnet.measures import ReconstructionMeasures
from cellnet.runs import RunRecord, RunState, RunStore, choose_checkpoint
from cellnet.runs.metrics import MetricRow
from cellnet.settings import Settings, with_changes
from cellnet.student.weights import check_weights
from cellnet.teacher import resolve_teacher
from cellnet.training.data import TrainingData
from cellnet.training.events import (
    ChangeEvent,
    CheckpointEvent,
    StateEvent,
    StepEvent,
    TrainerEvent,
    ValidationEvent,
)
from cellnet.training.fork import describe_fork, fork_settings
from cellnet.training.metrics import train_metrics, validation_metrics
from cellnet.training.trainer import EmbeddingTrainer

_SECONDS_BETWEEN_WRITES = 0.5


class TrainingSession:
    """A trainer, the run that it works on and the store that records it.

    A session owns its run from `start`, `resume` or `fork` until `close`. Use it as a context manager.

    Attributes:
        trainer: the trainer; subscribe to it, steer it, and call its `train`.
        run_id: the run in the store.
        pca: measures of PCA with the width of the code on the validation data.
    """

    def __init__(self, store: RunStore, run_id: str, trainer: EmbeddingTrainer) -> None:
        self.store = store
        self.run_id = run_id
        self.trainer = trainer
        self.pca: ReconstructionMeasures = trainer.measure_pca(trainer.data.validation)
        self.last_step: StepEvent | None = None
        self.last_validation: ValidationEvent | None = None
        self._seconds: list[float] = []
        self._slow = 0
        self._rows: list[MetricRow] = []
        self._written = 0.0
        known = store.get(run_id).summary
        store.update(run_id, summary=known | self._baseline())
        trainer.subscribe(self._record)

    @classmethod
    def start(
        cls,
        store: RunStore,
        settings: Settings,
        data: TrainingData,
        *,
        name: str = "",
        parent: str | None = None,
        weights: Mapping[str, Tensor] | None = None,
    ) -> Self:
        """Create a run and a trainer for it.

        Args:
            store: gets the run.
            settings: of the run; the run keeps them with the width of its teacher (see `resolve_teacher`).
            data: what it is trained on.
            name: for people.
            parent: id of the run that this one continues.
            weights: what the student starts from; by default its own initialization.

        Raises:
            CheckpointError: if the weights do not fit the settings.
            TeacherError: if the teacher that is to tell its width is not there.
        """
        settings = resolve_teacher(settings)
        run = store.create(settings, name=name, parent=parent)
        store.claim(run.id)
        try:
            trainer = EmbeddingTrainer(settings, data, store.folder(run.id) / "checkpoints")
            if weights is not None:
                _load_weights(trainer, weights)
            return cls(store, run.id, trainer)
        except BaseException as error:
            store.set_state(run.id, "failed", error=f"{type(error).__name__}: {error}")
            store.release(run.id)
            raise

    @classmethod
    def resume(
        cls,
        store: RunStore,
        run_id: str,
        data: TrainingData,
        *,
        step: int | None = None,
        overrides: Mapping[str, Any] | None = None,
    ) -> Self:
        """Go on with a run from a checkpoint; what it recorded after that step is forgotten.

        Args:
            store: where the run is.
            run_id: a run, a unique prefix, or "latest".
            data: the data it was trained on (see `run_settings`).
            step: step of the checkpoint; by default the newest.
            overrides: settings that differ from now on.

        Raises:
            RunError: if the run has no such checkpoint, or a living process owns it.
        """
        run = store.get(run_id)
        store.claim(run.id)
        try:
            remove_stale(store.folder(run.id) / "checkpoints")
            checkpoints = store.checkpoints(run.id)
            chosen = [c for c in checkpoints if step is None or c.step == step]
            if not chosen:
                known = ", ".join(str(c.step) for c in checkpoints) or "none"
                raise RunError(f"run {run.id} has no checkpoint of step {step}; its checkpoints: {known}")
            trainer = EmbeddingTrainer.from_checkpoint(
                chosen[-1].path,
                data,
                checkpoints=store.folder(run.id) / "checkpoints",
                overrides=overrides,
            )
            for later in checkpoints:
                if later.step > chosen[-1].step:
                    store.remove_checkpoint(run.id, later.step)
            store.truncate_after(run.id, trainer.step_count)
            store.update(run.id, max_steps=trainer.settings.training.max_steps)
            return cls(store, run.id, trainer)
        except BaseException:
            store.release(run.id)
            raise

    @classmethod
    def fork(
        cls,
        store: RunStore,
        run_id: str,
        data: TrainingData,
        *,
        step: int | None = None,
        changes: Mapping[str, Any] | None = None,
        name: str = "",
    ) -> Self:
        """Begin a new run with the weights of a checkpoint of another, and with other settings.

        Only weights are taken over. Steps count from 0 and ``training.max_steps`` is the length of the
        new run; the optimizer, the schedule of the learning rate with its warm-up, the order of the
        batches and the best validation begin anew. The new run has the other one as its parent, and a
        note that says from which step it comes and what differs.

        Args:
            store: where the run is.
            run_id: a run, a unique prefix, or "latest".
            data: what the new run is trained on; prepare it from its settings (see `fork_settings`).
            step: step of the checkpoint; by default the best, or if none is marked the newest.
            changes: ``{"group.key": value}`` that differ from the settings saved in the checkpoint.
            name: for people; by default that of the other run.

        Raises:
            RunError: if the run has no such checkpoint.
            CheckpointError: if the checkpoint is damaged.
            SettingsError: if the changes are impossible, or would need other weights.
        """
        parent = store.get(run_id)
        checkpoint = choose_checkpoint(store, parent, step)
        saved = load_checkpoint(checkpoint.path)
        if saved.settings is None or "model" not in saved.tensors:
            raise CheckpointError(f"{checkpoint.path} holds no student; it was not written by a trainer")
        settings = fork_settings(saved.settings, changes or {})
        session = cls.start(
            store,
            settings,
            data,
            name=name or parent.name,
            parent=parent.id,
            weights=saved.tensors["model"],
        )
        note = describe_fork(parent.id, checkpoint.step, saved.settings, settings)
        store.update(session.run_id, note=note)
        return session

    def summary(self) -> dict[str, Any]:
        """Return the figures of the run so far, as plain values for JSON."""
        validation, last = self.last_validation, self.last_step
        return {
            "run": self.run_id,
            "step": self.trainer.step_count,
            "state": str(self.trainer.state),
            "losses": {
                "train": {**last.losses, "total": last.total} if last else None,
                "validation": {**validation.losses, "total": validation.total} if validation else None,
            },
            "explained_variance": validation.measures.explained_variance if validation else None,
            "mean_cosine": validation.measures.mean_cosine if validation else None,
            "mse": validation.measures.mse if validation else None,
            "seconds_per_step": median_high(self._seconds) if self._seconds else None,
            "share_of_slow_steps": self._slow / len(self._seconds) if self._seconds else None,
            **self._baseline(),
        }

    def _baseline(self) -> dict[str, Any]:
        """Return the figures that are known before the first step."""
        return {
            "pca_explained_variance": self.pca.explained_variance,
            "pca_mean_cosine": self.pca.mean_cosine,
            "device": describe_device(self.trainer.device),
            "engine": self.trainer.learner.engine.name,
            "target_ms_per_step": self.trainer.settings.lattice.target_performance_ms,
        }

    def close(self) -> None:
        """Write what is pending and give up the run."""
        self._flush()
        if self.last_step is not None:
            self.store.update(self.run_id, summary=self.summary())
        self.store.release(self.run_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _record(self, event: TrainerEvent) -> None:
        """Write an event down; called in the training thread."""
        match event:
            case StepEvent():
                self.last_step = event
                self._seconds.append(event.seconds)
                self._slow += event.too_slow
                if event.step % self.trainer.settings.logging.metrics_every == 0:
                    self._rows.append((event.step, "train", train_metrics(event)))
            case ValidationEvent():
                self.last_validation = event
                self._rows.append((event.step, "validation", validation_metrics(event)))
            case ChangeEvent():
                self.store.log_change(self.run_id, event.step, event.key, event.old, event.new)
            case CheckpointEvent():
                self.store.add_checkpoint(self.run_id, event.step, event.folder, best=event.best)
                self.store.prune_checkpoints(self.run_id, self.trainer.settings.training.keep_checkpoints)
            case StateEvent():
                self._flush()
                state = cast(RunState, event.state.value)
                self.store.set_state(self.run_id, state, step=event.step, error=event.error)
        if time.monotonic() - self._written > _SECONDS_BETWEEN_WRITES:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self.store.log_metrics_many(self.run_id, self._rows)
            self._rows = []
        self._written = time.monotonic()


def run_settings(run: RunRecord, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Return the settings of a run with overrides, from which its data can be prepared again."""
    return with_changes(Settings(**run.settings), overrides or {})


def _load_weights(trainer: EmbeddingTrainer, weights: Mapping[str, Tensor]) -> None:
    try:
        check_weights(trainer.model, weights)
    except CheckpointError as error:
        raise CheckpointError(f"the weights do not fit the settings of the run: {error}") from None
    trainer.model.load_state_dict(dict(weights))
