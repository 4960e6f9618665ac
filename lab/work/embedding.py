"""Embedding sentences in the background: one job per process, which page switches do not disturb."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from enum import StrEnum

from cellnet.errors import CellnetError, RunError
from cellnet.settings import Settings
from cellnet.teacher import EmbeddingCancelled
from cellnet.training import TrainingData
from lab.training import Phase, TrainingService
from lab.training.service import data_key
from lab.work.priority import work_behind_pages


class JobPhase(StrEnum):
    """What the job is doing."""

    IDLE = "idle"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True)
class JobSnapshot:
    """The job at one moment.

    Attributes:
        key: what it embeds (see `data_key`).
        label: what it is doing just now.
        done, total: sentences of the part under way; ``total`` is 0 while unknown.
        speed: sentences embedded per second in this part; None until there is enough.
        seconds: since the job was started, or that it took.
        error: why it failed.
    """

    phase: JobPhase = JobPhase.IDLE
    key: str = ""
    label: str = ""
    done: int = 0
    total: int = 0
    speed: float | None = None
    seconds: float = 0.0
    error: str = ""

    @property
    def seconds_left(self) -> float | None:
        """How long the part under way still takes, as far as known."""
        return (self.total - self.done) / self.speed if self.speed else None

    @property
    def share(self) -> float:
        """How much of the part under way is done, 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 0.0


class EmbeddingJob:
    """Embeds what a training with some settings would learn from, in a thread that belongs to the process.

    What is done stays in the cache on disk, so that a cancelled job goes on where it was when it is started
    again, and a training finds it.
    """

    def __init__(self, service: TrainingService) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._cancel = threading.Event()
        self._thread: threading.Thread | None = None
        self._snapshot = JobSnapshot()
        self._begun = 0.0
        self._part: tuple[str, int, float] = ("", 0, 0.0)
        self._result: tuple[str, TrainingData] | None = None
        self._closed = False

    def snapshot(self) -> JobSnapshot:
        """Return the job as it is now."""
        with self._lock:
            found = self._snapshot
            if found.phase is JobPhase.RUNNING:
                return replace(found, seconds=time.monotonic() - self._begun)
            return found

    def data_of(self, settings: Settings) -> TrainingData | None:
        """Return what the settings mean, if this job or the training has it in memory."""
        with self._lock:
            result = self._result
        if result is not None and result[0] == data_key(settings):
            return result[1]
        return self._service.data_of(settings)

    def start(self, settings: Settings) -> None:
        """Begin to embed; a page is told how far it is by `snapshot`.

        Raises:
            RunError: if a job is under way already, or a training prepares its data.
        """
        if self._service.snapshot().phase is Phase.PREPARING:
            raise RunError("a training is preparing its data just now: wait until it trains, or stop it")
        with self._lock:
            if self._closed:
                raise RunError("the lab is shutting down; start it again")
            if self._snapshot.phase is JobPhase.RUNNING:
                raise RunError("sentences are being embedded already: wait for them, or cancel that first")
            self._cancel.clear()
            self._begun = time.monotonic()
            self._part = ("", 0, self._begun)
            self._snapshot = JobSnapshot(
                JobPhase.RUNNING, data_key(settings), "reading sentences and loading the teacher"
            )
            self._thread = threading.Thread(
                target=self._run, args=(settings,), name="cellnet-embedding", daemon=True
            )
            self._thread.start()

    def cancel(self) -> None:
        """Stop after the block under way; cancelling twice is fine."""
        self._cancel.set()

    def wait(self, timeout: float) -> JobSnapshot:
        """Wait for the job under way, if there is one, and return how it ended.

        Raises:
            TimeoutError: if it takes longer than ``timeout`` seconds.
        """
        thread = self._thread
        if thread is not None:
            thread.join(timeout)
            if thread.is_alive():
                raise TimeoutError(f"still embedding after {timeout} s")
        return self.snapshot()

    def close(self) -> None:
        """Cancel, and wait for the thread; closing twice is fine."""
        with self._lock:
            self._closed = True
        self.cancel()
        if self._thread is not None:
            self._thread.join()

    def _run(self, settings: Settings) -> None:
        """The body of the thread. However it ends, the snapshot says so; a defect goes on to the hook."""
        work_behind_pages(settings.device.device)
        phase, error = JobPhase.FAILED, ""
        try:
            data = self._service.read_data(
                settings, progress=self._progress, should_stop=self._cancel.is_set
            )
            with self._lock:
                self._result = (data_key(settings), data)
            phase = JobPhase.DONE
        except EmbeddingCancelled as cause:
            phase, error = JobPhase.CANCELLED, str(cause)
        except CellnetError as cause:
            error = str(cause)
        except BaseException as cause:
            error = f"{type(cause).__name__}: {cause}"
            raise
        finally:
            with self._lock:
                seconds = time.monotonic() - self._begun
                self._snapshot = replace(self._snapshot, phase=phase, error=error, seconds=seconds)

    def _progress(self, label: str, done: int, total: int) -> None:
        now = time.monotonic()
        with self._lock:
            if self._part[0] != label:
                self._part = (label, done, now)
            _, first, since = self._part
            speed = (done - first) / (now - since) if done > first and now > since else None
            self._snapshot = replace(self._snapshot, label=label, done=done, total=total, speed=speed)
