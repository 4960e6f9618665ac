"""Embedding in the background: progress, cancel, resume, failure, and what it waits for."""

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
from lab.training.service import data_key
from lab.work.embedding import EMBEDDING, Embedding
from lab.work.work import Answer, Works


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
def works(teacher: SlowTeacher) -> Iterator[Works]:
    works = Works()
    yield works
    teacher.ticks.release(100)
    works.close()


@pytest.fixture
def embedding(service: TrainingService, works: Works) -> Embedding:
    return Embedding(service, works)


def test_progress_cancel_and_resume(embedding: Embedding, works: Works, teacher: SlowTeacher) -> None:
    settings = small_settings()
    assert embedding.answer() == Answer()
    embedding.start(settings)
    assert teacher.reported.acquire(timeout=PATIENCE)
    teacher.tick(2)
    now = embedding.answer()
    assert (now.pending, now.stage.done, now.stage.total) == (True, 20, 60)
    assert now.stage.share == pytest.approx(1 / 3)
    assert now.stage.speed is not None
    assert now.stage.seconds_left == pytest.approx(40 / now.stage.speed)
    with pytest.raises(RunError, match="already"):
        embedding.start(settings)
    embedding.cancel()
    teacher.ticks.release()
    assert works.wait(EMBEDDING, PATIENCE).cancelled
    assert embedding.data_of(settings) is None

    embedding.start(settings)
    assert teacher.reported.acquire(timeout=PATIENCE)
    assert embedding.answer().stage.done == 20
    assert embedding.answer().stage.speed is None
    teacher.ticks.release(10)
    ended = works.wait(EMBEDDING, PATIENCE)
    assert (ended.newest, ended.error) == (data_key(settings), "")
    data = embedding.data_of(settings)
    assert data is not None
    assert data is ended.value
    assert len(data.train_texts) == 64
    assert embedding.data_of(with_changes(settings, {"data.limit": 50})) is None
    assert embedding.data_of(with_changes(settings, {"training.learning_rate": 0.5})) is data


def test_a_failure_is_kept_and_another_start_is_possible(tmp_path: Path) -> None:
    attempts = []

    def absent(settings: Settings, *, progress: Progress, should_stop: Callable[[], bool]) -> TrainingData:
        attempts.append(settings)
        raise TeacherError("teacher 'x' is missing; install it")

    service, works = small_service(tmp_path, prepare=absent), Works()
    embedding = Embedding(service, works)
    for count in (1, 2):
        embedding.start(small_settings())
        ended = works.wait(EMBEDDING, PATIENCE)
        assert (ended.cancelled, ended.error) == (False, "teacher 'x' is missing; install it")
        assert len(attempts) == count
    works.close()
    with pytest.raises(RunError, match="shutting down"):
        embedding.start(small_settings())
    service.close()


def test_it_does_not_run_while_a_training_prepares(
    embedding: Embedding, works: Works, service: TrainingService, teacher: SlowTeacher
) -> None:
    service.start(small_settings(max_steps=2))
    with pytest.raises(RunError, match="preparing its data just now"):
        embedding.start(small_settings())
    teacher.ticks.release(100)
    service.wait_for(lambda seen: seen.phase is Phase.FINISHED, PATIENCE)
    assert embedding.data_of(small_settings()) is not None
    embedding.start(small_settings())
    assert works.wait(EMBEDDING, PATIENCE).value is not None


def test_closing_ends_the_thread(service: TrainingService, teacher: SlowTeacher) -> None:
    works = Works()
    Embedding(service, works).start(small_settings())
    assert teacher.reported.acquire(timeout=PATIENCE)
    closing = threading.Thread(target=works.close)
    closing.start()
    teacher.ticks.release()
    closing.join(PATIENCE)
    assert not any(thread.name.startswith("cellnet-embedding") for thread in threading.enumerate())
