"""The background job: progress, cancel, resume, failure, and whom it makes wait."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from training_data import PATIENCE, made_up_data, small_service, small_settings

from cellnet.errors import RunError, TeacherError
from cellnet.settings import Settings, with_changes
from cellnet.teacher import EmbeddingCancelled
from cellnet.training import TrainingData
from cellnet.training.data import Progress
from lab.training import Phase, TrainingService
from lab.work.embedding import EmbeddingJob, JobPhase


class SlowTeacher:
    """Embeds ten sentences at each tick; what is done stays done."""

    def __init__(self) -> None:
        self.ticks = threading.Semaphore(0)
        self.reported = threading.Semaphore(0)
        self.done = 0

    def __call__(
        self, settings: Settings, *, progress: Progress, should_stop: Callable[[], bool]
    ) -> TrainingData:
        while self.done < 60:
            progress("embedding training sentences", self.done, 60)
            self.reported.release()
            assert self.ticks.acquire(timeout=PATIENCE)
            if should_stop():
                raise EmbeddingCancelled(f"stopped after {self.done} of 60 sentences")
            self.done += 10
        return made_up_data(settings, progress=progress, should_stop=should_stop)

    def tick(self, count: int = 1) -> None:
        for _ in range(count):
            self.ticks.release()
            assert self.reported.acquire(timeout=PATIENCE)


@pytest.fixture
def teacher() -> SlowTeacher:
    return SlowTeacher()


@pytest.fixture
def service(tmp_path: Path, teacher: SlowTeacher) -> Iterator[TrainingService]:
    service = small_service(tmp_path, prepare=teacher)
    yield service
    teacher.ticks.release(100)
    service.close()


@pytest.fixture
def job(service: TrainingService, teacher: SlowTeacher) -> Iterator[EmbeddingJob]:
    job = EmbeddingJob(service)
    yield job
    teacher.ticks.release(100)
    job.close()


def test_progress_cancel_and_resume(job: EmbeddingJob, teacher: SlowTeacher) -> None:
    settings = small_settings()
    assert job.snapshot().phase is JobPhase.IDLE
    job.start(settings)
    assert teacher.reported.acquire(timeout=PATIENCE)
    teacher.tick(2)
    now = job.snapshot()
    assert (now.phase, now.done, now.total) == (JobPhase.RUNNING, 20, 60)
    assert now.share == pytest.approx(1 / 3)
    assert now.speed is not None
    assert now.seconds_left == pytest.approx(40 / now.speed)
    with pytest.raises(RunError, match="already"):
        job.start(settings)
    job.cancel()
    teacher.ticks.release()
    assert job.wait(PATIENCE).phase is JobPhase.CANCELLED
    assert job.data_of(settings) is None

    job.start(settings)
    assert teacher.reported.acquire(timeout=PATIENCE)
    assert job.snapshot().done == 20
    assert job.snapshot().speed is None
    teacher.ticks.release(10)
    ended = job.wait(PATIENCE)
    assert (ended.phase, ended.error) == (JobPhase.DONE, "")
    data = job.data_of(settings)
    assert data is not None
    assert len(data.train_texts) == 64
    assert job.data_of(with_changes(settings, {"data.limit": 50})) is None
    assert job.data_of(with_changes(settings, {"training.learning_rate": 0.5})) is data


def test_a_failure_is_kept_and_another_start_is_possible(tmp_path: Path) -> None:
    def absent(settings: Settings, *, progress: Progress, should_stop: Callable[[], bool]) -> TrainingData:
        raise TeacherError("teacher 'x' is missing; install it")

    service = small_service(tmp_path, prepare=absent)
    job = EmbeddingJob(service)
    for _ in range(2):
        job.start(small_settings())
        ended = job.wait(PATIENCE)
        assert (ended.phase, ended.error) == (JobPhase.FAILED, "teacher 'x' is missing; install it")
    job.close()
    with pytest.raises(RunError, match="shutting down"):
        job.start(small_settings())
    service.close()


def test_it_does_not_run_while_a_training_prepares(
    job: EmbeddingJob, service: TrainingService, teacher: SlowTeacher
) -> None:
    service.start(small_settings(max_steps=2))
    with pytest.raises(RunError, match="preparing its data just now"):
        job.start(small_settings())
    teacher.ticks.release(100)
    service.wait_for(lambda seen: seen.phase is Phase.FINISHED, PATIENCE)
    assert job.data_of(small_settings()) is not None
    job.start(small_settings())
    assert job.wait(PATIENCE).phase is JobPhase.DONE


def test_closing_ends_the_thread(service: TrainingService, teacher: SlowTeacher) -> None:
    job = EmbeddingJob(service)
    job.start(small_settings())
    assert teacher.reported.acquire(timeout=PATIENCE)
    job.cancel()
    teacher.ticks.release()
    job.close()
    assert not any(thread.name == "cellnet-embedding" for thread in threading.enumerate())
