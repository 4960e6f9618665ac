"""The training service: commands, snapshots, crashes and its end, on made-up data."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from training_data import PATIENCE, made_up_data, small_service, small_settings

from cellnet.checkpoints import load_checkpoint
from cellnet.errors import DataError, RunError, SettingsError, TrainingError
from cellnet.settings import Settings
from cellnet.teacher import EmbeddingCancelled
from cellnet.training import TrainingData
from cellnet.training.data import Progress
from lab.training import Phase, Snapshot, TrainingService

TRAINER = "cellnet-trainer"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[TrainingService]:
    service = small_service(tmp_path / "runs")
    yield service
    service.close()
    assert TRAINER not in [thread.name for thread in threading.enumerate()]


def wait(service: TrainingService, condition: Callable[[Snapshot], bool]) -> Snapshot:
    return service.wait_for(condition, PATIENCE)


def started(service: TrainingService, steps: int = 3, **training: object) -> Snapshot:
    service.start(small_settings(**training))
    return wait(service, lambda seen: seen.step >= steps)


def test_before_the_first_start_there_is_nothing_and_orders_are_refused(service: TrainingService) -> None:
    snapshot = service.snapshot()
    assert (snapshot.phase, snapshot.step, len(snapshot.train)) == (Phase.IDLE, 0, 0)
    for order in (service.pause, service.resume, service.step, lambda: service.apply({})):
        with pytest.raises(RunError, match="start one first"):
            order()
    service.stop()
    assert service.snapshot().phase is Phase.IDLE


def test_an_order_is_told_at_once_though_it_waits_for_the_batch_under_way(service: TrainingService) -> None:
    started(service)
    for order, word, phase in (
        (service.pause, "pausing", Phase.PAUSED),
        (service.step, "stepping", Phase.PAUSED),
        (service.resume, "resuming", Phase.RUNNING),
    ):
        batch_ends = threading.Event()
        service.ask(lambda _, ends=batch_ends: ends.wait(PATIENCE))
        order()
        assert service.snapshot().ordered == word
        batch_ends.set()
        wait(service, lambda seen, phase=phase: (seen.ordered, seen.phase) == ("", phase))
    service.pause()
    wait(service, lambda seen: seen.phase is Phase.PAUSED)
    service.pause()
    assert service.snapshot().ordered == ""


def test_a_training_runs_to_its_end_and_everything_of_it_can_be_seen(service: TrainingService) -> None:
    service.watch()
    service.start(small_settings(max_steps=12))
    end = wait(service, lambda seen: seen.phase is Phase.FINISHED)
    assert end.train.steps.tolist() == list(range(1, 13))
    assert end.validation.steps.tolist() == [5, 10, 12]
    assert np.isfinite(end.train.values).all()
    assert np.isfinite(end.validation.values).all()
    assert end.step == end.max_steps == 12
    assert end.pca is not None
    assert 0 < end.pca < 1
    assert end.explained_variance == end.validation.column("explained_variance")[-1]
    assert "cpu" in end.device
    assert end.memory["process"] > 0
    assert end.cache["connection_misses"] == 1
    assert end.checkpoint is not None
    assert load_checkpoint(end.checkpoint.path).state["step"] == 12
    assert end.run_id is not None
    run = service.store.get(end.run_id)
    assert (run.state, run.pid, run.summary["step"]) == ("finished", None, 12)


def test_a_frame_shows_the_probe_before_and_after_every_lattice_step(service: TrainingService) -> None:
    service.watch()
    service.start(small_settings(max_steps=2))
    frame = wait(service, lambda seen: seen.phase is Phase.FINISHED).frame
    assert frame is not None
    assert frame.step == 2
    assert frame.states.shape == (4, 64, 8)
    assert frame.gate.shape == (3, 64, 3)
    np.testing.assert_allclose(frame.gate.sum(axis=-1), 1, rtol=1e-5)
    assert -1 <= frame.cosine <= 1
    assert frame.text.startswith("Sentence number 64")


def test_while_nobody_looks_frames_are_made_only_to_be_kept(service: TrainingService) -> None:
    service.start(small_settings(max_steps=30, validate_every=1000))
    end = wait(service, lambda seen: seen.phase is Phase.FINISHED)
    assert end.frame is not None
    assert end.frame.number == 2  # at the start and at the end
    assert end.run_id is not None
    assert service.frames(end.run_id).steps() == [0, 30]


def test_frames_are_kept_at_validations_as_far_as_their_share_of_time_allows(
    service: TrainingService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.training.listener._FRAME_SHARE", 1e6)
    service.start(small_settings(max_steps=12))
    end = wait(service, lambda seen: seen.phase is Phase.FINISHED)
    assert end.run_id is not None
    frames = service.frames(end.run_id)
    assert frames.steps() == [0, 5, 10, 12]
    last = frames.load(12)
    assert end.frame is not None
    np.testing.assert_allclose(last.states, end.frame.states, rtol=1e-3, atol=1e-4)
    assert (last.text, last.cosine) == (end.frame.text, end.frame.cosine)
    monkeypatch.setattr("lab.training.listener._FRAME_SHARE", 1e-9)
    service.resume_run(end.run_id, {"training.max_steps": 20})
    wait(service, lambda seen: seen.phase is Phase.FINISHED and seen.step == 20)
    assert service.frames(end.run_id).steps() == [0, 5, 10, 12, 20]
    monkeypatch.setattr("lab.training.listener._MOST_SECONDS_BETWEEN_FRAMES", 0.0)
    service.resume_run(end.run_id, {"training.max_steps": 27})
    wait(service, lambda seen: seen.phase is Phase.FINISHED and seen.step == 27)
    assert service.frames(end.run_id).steps() == [0, 5, 10, 12, 20, 25, 27]


def test_frames_that_cannot_be_kept_do_not_end_the_training(
    service: TrainingService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("lab.training.frames.save_file", full)
    seen = started(service)
    assert "step 0 could not be kept: No space left" in seen.error


def test_a_checkpoint_is_saved_when_asked_for_also_while_paused(service: TrainingService) -> None:
    with pytest.raises(RunError, match="start one first"):
        service.save_checkpoint()
    started(service)
    folder = service.save_checkpoint().result(PATIENCE)
    saved = service.snapshot().checkpoint
    assert saved is not None
    assert load_checkpoint(folder).state["step"] == saved.step
    service.pause()
    paused = wait(service, lambda seen: seen.phase is Phase.PAUSED)
    service.save_checkpoint().result(PATIENCE)
    again = service.snapshot()
    assert again.phase is Phase.PAUSED
    assert again.checkpoint is not None
    assert again.checkpoint.step == paused.step


def test_what_is_asked_for_is_answered_in_the_training_thread_or_refused(service: TrainingService) -> None:
    started(service)
    name = service.ask(lambda _: threading.current_thread().name).result(PATIENCE)
    assert name == TRAINER

    def fail(_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        service.ask(fail).result(PATIENCE)
    assert service.snapshot().phase is Phase.RUNNING
    begun, go_on = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        begun.set()
        go_on.wait(PATIENCE)

    service.ask(hold)
    assert begun.wait(PATIENCE)
    service.stop()
    late = service.ask(lambda _: 1)
    go_on.set()
    with pytest.raises(TrainingError, match="has ended"):
        late.result(PATIENCE)


def test_the_training_computes_behind_the_pages_and_they_as_ever(service: TrainingService) -> None:
    started(service)
    here = os.sched_getscheduler(0)
    assert service.ask(lambda _: os.sched_getscheduler(0)).result(PATIENCE) == os.SCHED_IDLE
    assert os.sched_getscheduler(0) == here != os.SCHED_IDLE


def test_watching_does_not_change_what_is_learned(tmp_path: Path) -> None:
    totals = []
    for name in ("watched", "alone"):
        service = small_service(tmp_path / name)
        if name == "watched":
            service.watch()
        service.start(small_settings(max_steps=8))
        totals.append(wait(service, lambda seen: seen.phase is Phase.FINISHED).train.column("total"))
        service.close()
    np.testing.assert_array_equal(*totals)


def test_pause_step_and_resume(service: TrainingService) -> None:
    started(service)
    service.pause()
    paused = wait(service, lambda seen: seen.phase is Phase.PAUSED)
    assert paused.frame is not None
    assert paused.frame.step == paused.step
    service.step()
    wait(service, lambda seen: seen.phase is Phase.PAUSED and seen.step == paused.step + 1)
    service.resume()
    wait(service, lambda seen: seen.phase is Phase.RUNNING and seen.step > paused.step + 3)


def test_stop_ends_with_a_checkpoint_and_the_run_can_be_resumed(service: TrainingService) -> None:
    started(service)
    service.apply({"loss.diversity": 0.3})
    wait(service, lambda seen: len(seen.changes) == 1)
    service.stop()
    stopped = wait(service, lambda seen: seen.phase is Phase.STOPPED)
    assert stopped.run_id is not None
    assert stopped.checkpoint is not None
    assert stopped.checkpoint.step == stopped.step
    service.resume_run(stopped.run_id)
    resumed = wait(service, lambda seen: seen.phase is Phase.RUNNING and seen.step > stopped.step + 2)
    assert resumed.run_id == stopped.run_id
    assert resumed.version > stopped.version
    assert resumed.train.steps.tolist() == list(range(1, len(resumed.train) + 1))
    assert [change.key for change in resumed.changes] == ["loss.diversity"]
    assert resumed.settings is not None
    assert resumed.settings.loss.diversity == 0.3
    kept = stopped.train.column("total")
    np.testing.assert_array_equal(resumed.train.column("total")[: len(kept)], kept)


def test_live_changes_take_effect_and_are_dated(service: TrainingService) -> None:
    started(service)
    service.apply({"lattice.local_distance_ratio": 0.2, "training.learning_rate": 1e-3})
    seen = wait(service, lambda seen: len(seen.changes) == 2)
    assert {(change.key, change.new) for change in seen.changes} == {
        ("lattice.local_distance_ratio", 0.2),
        ("training.learning_rate", 1e-3),
    }
    assert seen.settings is not None
    assert seen.settings.lattice.local_distance_ratio == 0.2
    with pytest.raises(SettingsError, match="must not decrease"):
        service.apply({"lattice.local_distance_ratio": 0.99})
    with pytest.raises(SettingsError, match="cannot change while training"):
        service.apply({"training.batch_size": 16})
    assert service.snapshot().settings == seen.settings


def test_a_live_change_waits_for_the_next_step(service: TrainingService) -> None:
    started(service)
    service.pause()
    seen = wait(service, lambda seen: seen.phase is Phase.PAUSED)
    assert not seen.waiting
    service.apply({"gate.temperature": 0.5})
    assert service.snapshot().waiting == {"gate.temperature": 0.5}
    service.step()
    wait(service, lambda seen: seen.step > 0 and not seen.waiting)
    service.apply({"gate.temperature": 1.5})
    service.apply({"gate.temperature": 0.5})
    assert not service.snapshot().waiting


def test_only_one_training_at_a_time(service: TrainingService) -> None:
    started(service)
    with pytest.raises(RunError, match="stop it first"):
        service.start(small_settings())


def test_a_missing_source_is_a_failure_that_says_so_and_the_next_start_works(tmp_path: Path) -> None:
    broken = True

    def prepare(settings: Settings, *, progress: Progress, should_stop: Callable[[], bool]) -> TrainingData:
        if broken:
            raise DataError("no file at sentences.txt")
        return made_up_data(settings, progress=progress, should_stop=should_stop)

    service = small_service(tmp_path, prepare=prepare)
    service.start(small_settings())
    failed = wait(service, lambda seen: seen.phase is Phase.FAILED)
    assert failed.error == "no file at sentences.txt"
    assert failed.preparation is None
    broken = False
    assert not started(service).error
    service.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_crash_in_the_middle_is_a_failure_and_frees_the_run(
    service: TrainingService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("cellnet.training.trainer.EmbeddingTrainer.validate", explode)
    service.start(small_settings())
    failed = wait(service, lambda seen: seen.phase is Phase.FAILED)
    assert failed.error == "ZeroDivisionError: a defect"
    assert failed.run_id is not None
    run = service.store.get(failed.run_id)
    assert (run.state, run.pid) == ("failed", None)
    assert "a defect" in run.error


def test_a_loss_that_is_not_finite_pauses_and_says_so(
    service: TrainingService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cellnet.training.engine.StepResult.is_finite", False)
    service.start(small_settings())
    paused = wait(service, lambda seen: seen.phase is Phase.PAUSED)
    assert "not finite" in paused.error
    assert paused.step == 0


def test_stopping_while_the_data_are_prepared_makes_no_run(tmp_path: Path) -> None:
    asked = threading.Event()

    def prepare(settings: Settings, *, progress: Progress, should_stop: Callable[[], bool]) -> TrainingData:
        progress("embedding training sentences", 256, 3000)
        asked.set()
        while not should_stop():
            threading.Event().wait(0.01)
        raise EmbeddingCancelled("stopped after 256 of 3000 sentences")

    service = small_service(tmp_path, prepare=prepare)
    service.start(small_settings())
    assert asked.wait(PATIENCE)
    preparing = service.snapshot()
    assert preparing.phase is Phase.PREPARING
    assert preparing.preparation is not None
    assert (preparing.preparation.done, preparing.preparation.total) == (256, 3000)
    service.stop()
    assert wait(service, lambda seen: seen.phase is Phase.STOPPED).error == ""
    assert service.store.list() == []
    service.close()


def test_closing_stops_a_running_training_with_a_checkpoint(tmp_path: Path) -> None:
    service = small_service(tmp_path)
    run_id = started(service).run_id
    service.close()
    service.close()
    with pytest.raises(RunError, match="shutting down"):
        service.start(small_settings())
    again = small_service(tmp_path)
    assert run_id is not None
    assert again.store.get(run_id).state == "stopped"
    assert again.store.checkpoints(run_id)
    assert again.interrupted == ()
    again.close()


def test_a_run_whose_process_died_is_found_at_the_start(tmp_path: Path) -> None:
    service = small_service(tmp_path)
    run = service.store.create(small_settings())
    with service.store._database.write() as connection:
        connection.execute(
            "UPDATE run SET state = 'running', pid = 2, process = 'gone', host = ?", (socket.gethostname(),)
        )
    service.close()
    again = small_service(tmp_path)
    assert again.interrupted == (run.id,)
    again.close()


def test_a_fork_is_a_new_run_with_the_weights_of_another(service: TrainingService) -> None:
    service.start(small_settings(max_steps=4))
    first = wait(service, lambda seen: seen.phase is Phase.FINISHED).run_id
    assert first is not None
    with pytest.raises(SettingsError, match=r"model\.state_size"):
        service.fork_run(first, changes={"model.state_size": 16})
    with pytest.raises(RunError, match="no checkpoint of step 3"):
        service.fork_run(first, 3)
    service.fork_run(first, 4, {"loss.diversity": 0.5, "training.max_steps": 2}, name="second")
    end = wait(service, lambda seen: seen.phase is Phase.FINISHED)
    assert end.run_id != first
    assert end.train.steps.tolist() == [1, 2]
    assert end.settings is not None
    assert end.settings.loss.diversity == 0.5
    assert end.run_id is not None
    run = service.store.get(end.run_id)
    assert (run.parent, run.name) == (first, "second")


def test_snapshots_are_values_that_never_change(service: TrainingService) -> None:
    early = started(service)
    count, steps = len(early.train), early.train.steps.tolist()
    wait(service, lambda seen: seen.step > steps[-1] + 5)
    assert (len(early.train), early.train.steps.tolist()) == (count, steps)
    with pytest.raises(ValueError, match="read-only"):
        early.train.values[0] = 0.0


def test_waiting_for_what_does_not_come_ends(service: TrainingService) -> None:
    with pytest.raises(TimeoutError, match="the training is idle"):
        service.wait_for(lambda seen: seen.step > 0, 0.01)
