"""The training service: commands in from any page, one training thread, snapshots out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol, TypeVar

from cellnet.device import describe_device
from cellnet.errors import CellnetError, RunError
from cellnet.runs import RunStore, choose_checkpoint
from cellnet.settings import Settings
from cellnet.teacher import EmbeddingCancelled
from cellnet.training import TrainingData, TrainingSession, prepare_data
from cellnet.training.data import Progress
from cellnet.training.fork import checkpoint_settings, fork_settings
from cellnet.training.session import run_settings
from lab.training.copies import ModelCopy
from lab.training.frames import FRAMES_FOLDER, FrameStore
from lab.training.listener import Listener
from lab.training.record import TrainingRecord
from lab.training.snapshot import Phase, Snapshot
from lab.work.priority import work_behind_pages

_WATCH_SECONDS = 5.0
"""A page that shows the cube asks for frames more often than this."""


class Prepare(Protocol):
    """The source of the data; `cellnet.training.prepare_data` by default."""

    def __call__(
        self, settings: Settings, *, progress: Progress, should_stop: Callable[[], bool]
    ) -> TrainingData:
        """Read and embed the sentences of these settings."""
        ...


Opening = Callable[[TrainingData], TrainingSession]
Result = TypeVar("Result")


class TrainingService:
    """At most one training at a time, in a thread of its own that belongs to the process.

    Args:
        runs: folder of the run store; runs whose process is gone are marked as interrupted.
        prepare: gives the data for some settings.

    Attributes:
        store: all runs.
        interrupted: ids of the runs that an earlier process left unfinished, found at the start.
        draft: settings of the next run, shared by all tabs.
        last_copy: the student of the newest training as it began, was last validated or paused, or ended.
    """

    def __init__(self, runs: Path, *, draft: Settings, prepare: Prepare = prepare_data) -> None:
        self.draft = draft
        self.store = RunStore(runs)
        self.interrupted = tuple(self.store.recover())
        self._prepare = prepare
        self._lock = threading.Lock()
        self._changed = threading.Condition()
        self._record = TrainingRecord(self._changed)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._busy = False
        self._session: TrainingSession | None = None
        self._watched = float("-inf")
        self._closed = False
        self._frames: dict[str, FrameStore] = {}
        self._learned: tuple[Settings, TrainingData] | None = None
        self.last_copy: ModelCopy | None = None

    # What pages ask for.

    def snapshot(self) -> Snapshot:
        """The training as it is now, or as it was when it ended."""
        return self._record.snapshot()

    def watch(self) -> None:
        """Say that somebody looks at the cube; frames are computed for a few seconds from now on."""
        self._watched = time.monotonic()

    def frames(self, run_id: str) -> FrameStore:
        """Return the pictures of the cube that were kept while a run trained in the lab; there may be none.

        Raises:
            RunError: if there is no such run.
        """
        folder = self.store.folder(run_id) / FRAMES_FOLDER
        return self._frames.setdefault(run_id, FrameStore(folder))

    def wait_for(self, condition: Callable[[Snapshot], bool], timeout: float) -> Snapshot:
        """Wait until the snapshot satisfies a condition and return it.

        Raises:
            TimeoutError: if it takes longer than ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while not condition(snapshot := self.snapshot()):
                if not self._changed.wait(deadline - time.monotonic()):
                    raise TimeoutError(f"still waiting after {timeout} s; the training is {snapshot.phase}")
            return snapshot

    # What pages order.

    def start(self, settings: Settings, *, name: str = "") -> None:
        """Begin a new run.

        Raises:
            RunError: if a training is under way or the service is closed.
        """
        self._launch(settings, lambda data: TrainingSession.start(self.store, settings, data, name=name))

    def resume_run(self, run_id: str, overrides: Mapping[str, Any] | None = None) -> None:
        """Go on with a run from its newest checkpoint.

        Args:
            run_id: a run of the store.
            overrides: settings that differ from now on, such as ``training.max_steps``.

        Raises:
            RunError: if there is no such run, or a training is under way.
            SettingsError: if the overrides are impossible.
        """
        run = self.store.get(run_id)
        if not self.store.checkpoints(run.id):
            raise RunError(f"the run {run.id} has no checkpoint to go on from; start a new run")
        settings = run_settings(run, overrides)
        self._launch(
            settings,
            lambda data: TrainingSession.resume(self.store, run.id, data, overrides=overrides),
        )

    def fork_run(
        self,
        run_id: str,
        step: int | None = None,
        changes: Mapping[str, Any] | None = None,
        *,
        name: str = "",
    ) -> None:
        """Begin a new run with the weights of a checkpoint of another (see `TrainingSession.fork`).

        Raises:
            RunError: if there is no such run or checkpoint, or a training is under way.
            SettingsError: if the changes are impossible, or would need other weights.
        """
        checkpoint = choose_checkpoint(self.store, self.store.get(run_id), step)
        settings = fork_settings(checkpoint_settings(checkpoint.path), changes or {})
        self._launch(
            settings,
            lambda data: TrainingSession.fork(
                self.store, run_id, data, step=checkpoint.step, changes=changes, name=name
            ),
        )

    def pause(self) -> None:
        """Pause before the next batch."""
        trainer = self._trainer_session().trainer
        self._record.order("pausing", during=(Phase.RUNNING,))
        trainer.pause()

    def resume(self) -> None:
        """Go on after a pause."""
        trainer = self._trainer_session().trainer
        self._record.order("resuming", during=(Phase.PAUSED,))
        trainer.resume()

    def step(self) -> None:
        """Make one step, then pause."""
        trainer = self._trainer_session().trainer
        self._record.order("stepping", during=(Phase.RUNNING, Phase.PAUSED))
        trainer.single_step()

    def apply(self, changes: Mapping[str, Any]) -> None:
        """Change live settings, ``{"group.key": value}``, before the next batch.

        Raises:
            SettingsError: at once, if a setting is not live or its value is impossible.
            RunError: if no training is under way.
        """
        trainer = self._trainer_session().trainer
        trainer.apply(changes)
        self._record.set(settings=trainer.control.requested)

    def ask(self, function: Callable[[TrainingSession], Result]) -> Future[Result]:
        """Call a function in the training thread between two batches, also while paused.

        It should be quick: meanwhile the training waits. If the training ends first, the future gives a
        `TrainingError`.

        Raises:
            RunError: if no training is under way.
        """
        session = self._trainer_session()
        return session.trainer.ask(lambda: function(session))

    def save_checkpoint(self) -> Future[Path]:
        """Write a checkpoint between two batches, also while paused; the future gives its folder.

        Raises:
            RunError: if no training is under way.
        """
        return self.ask(lambda session: session.trainer.save_now())

    def data_of(self, settings: Settings) -> TrainingData | None:
        """Return what the newest training learns from, if these settings mean the same data."""
        learned = self._learned
        if learned is None or data_key(learned[0]) != data_key(settings):
            return None
        return learned[1]

    def read_data(
        self,
        settings: Settings,
        *,
        progress: Progress = lambda *_: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> TrainingData:
        """Return what a training with these settings would learn from; takes as long as it takes.

        Raises:
            DataError, TeacherError: if the sentences or the teacher are not there.
            EmbeddingCancelled: if ``should_stop`` says so.
        """
        return self._prepare(settings, progress=progress, should_stop=should_stop)

    def stop(self) -> None:
        """End the training with a checkpoint, or the preparation of its data; stopping twice is fine."""
        with self._lock:
            self._stop.set()
            if self._busy:
                self._record.set(stopping=True)
            if self._session is not None:
                self._session.trainer.stop()

    def close(self) -> None:
        """Stop, wait for the thread and close the store; closing twice is fine."""
        with self._lock:
            self._closed = True
            thread = self._thread
        self.stop()
        if thread is not None:
            thread.join()
        self.store.close()

    # The thread.

    def _launch(self, settings: Settings, opening: Opening) -> None:
        with self._lock:
            if self._closed:
                raise RunError("the lab is shutting down; start it again")
            if self._busy:
                raise RunError("a training is under way; stop it first")
            self._busy = True
            self._stop.clear()
            self._record = TrainingRecord(self._changed, settings, self._record.snapshot().version + 1)
            self._record.set(phase=Phase.PREPARING)
            self._record.prepare("reading sentences and loading the teacher")
            self._thread = threading.Thread(
                target=self._run, args=(settings, opening), name="cellnet-trainer", daemon=True
            )
            self._thread.start()

    def _run(self, settings: Settings, opening: Opening) -> None:
        """The body of the training thread. However it ends, the record says so.

        An error that is no `CellnetError` is a defect: it is recorded, and goes on to the thread's hook,
        which prints its traceback.
        """
        work_behind_pages(settings.device.device)
        record = self._record
        end, error = Phase.FAILED, ""
        try:
            end = self._train(settings, opening, record)
        except EmbeddingCancelled:
            end = Phase.STOPPED
        except CellnetError as cause:
            error = str(cause)
        except BaseException as cause:
            error = f"{type(cause).__name__}: {cause}"
            raise
        finally:
            with self._lock:
                self._busy, self._session = False, None
            record.set(phase=end, error=error, preparation=None, stopping=False)

    def _train(self, settings: Settings, opening: Opening, record: TrainingRecord) -> Phase:
        data = self._prepare(settings, progress=record.prepare, should_stop=self._stop.is_set)
        if self._stop.is_set():
            return Phase.STOPPED
        record.prepare("building the cube")
        with opening(data) as session:
            trainer = session.trainer
            self._learned = (trainer.settings, data)
            listener = Listener(session, record, self._is_watched, self._keep_copy)
            listener.load_past()
            trainer.subscribe(listener)
            record.set(
                run_id=session.run_id,
                pca=session.pca.explained_variance,
                device=describe_device(trainer.device),
                step=trainer.step_count,
                settings=trainer.settings,
                in_force=trainer.settings,
                sentences=data.report.summary if data.report else "",
                train_sentences=len(data.train),
                validation_sentences=len(data.validation),
            )
            with self._lock:
                self._session = session
                if self._stop.is_set():
                    trainer.stop()
            try:
                return Phase(trainer.train().value)
            finally:
                with self._lock:
                    self._session = None
                trainer.control.end()

    def _keep_copy(self, copy: ModelCopy) -> None:
        self.last_copy = copy

    def _is_watched(self, now: float) -> bool:
        return now - self._watched < _WATCH_SECONDS

    def _trainer_session(self) -> TrainingSession:
        with self._lock:
            if self._session is None:
                raise RunError("no training is under way; start one first")
            return self._session


def data_key(settings: Settings) -> str:
    """Return what decides the sentences and their embeddings: equal keys, equal data."""
    teacher = {"teacher", "teacher_width", "pooling", "normalize", "max_tokens"}
    data = settings.data.model_dump_json(exclude={"cache_dir"})
    return data + settings.embedding.model_dump_json(include=teacher)
