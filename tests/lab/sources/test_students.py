"""Students to look into: live and stored, their embeddings and what is kept of them; made-up embeddings."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from training_data import PATIENCE, MadeUpTeacher, made_up_data, small_service, small_settings

from cellnet.errors import RunError
from cellnet.inspection import inspect
from cellnet.student.damage import Intervention
from lab.sources import students
from lab.sources.students import LIVE, Student, StudentShelf
from lab.training import Phase, Snapshot, TrainingService


@pytest.fixture
def service(tmp_path: Path) -> Iterator[TrainingService]:
    service = small_service(tmp_path)
    yield service
    service.close()


@pytest.fixture
def teacher() -> MadeUpTeacher:
    return MadeUpTeacher()


@pytest.fixture
def shelf(service: TrainingService, teacher: MadeUpTeacher) -> StudentShelf:
    return StudentShelf(service, embed=teacher)


def started(service: TrainingService, steps: int = 3, **training: object) -> Snapshot:
    service.start(small_settings(**training))
    return service.wait_for(lambda seen: seen.step >= steps, PATIENCE)


def finished(service: TrainingService, **training: object) -> Snapshot:
    service.start(small_settings(**training))
    return service.wait_for(lambda seen: seen.phase is Phase.FINISHED, PATIENCE)


def paused(service: TrainingService) -> Snapshot:
    service.pause()
    return service.wait_for(lambda seen: seen.phase is Phase.PAUSED, PATIENCE)


def test_before_any_training_there_is_no_student(shelf: StudentShelf) -> None:
    with pytest.raises(RunError, match="start a training on the page Train"):
        shelf.get()
    with pytest.raises(RunError, match="no run 'nothing'"):
        shelf.get("nothing")


def test_the_live_student_is_a_copy_that_the_training_leaves_alone(
    service: TrainingService, shelf: StudentShelf
) -> None:
    started(service)
    first = shelf.get(LIVE)
    weights = {name: value.clone() for name, value in first.model.state_dict().items()}
    assert first.live
    assert not first.model.training
    service.wait_for(lambda seen: seen.step > first.step + 2, PATIENCE)
    later = shelf.get()
    assert later.step > first.step
    assert later.run == first.run == service.snapshot().run_id
    assert all(torch.equal(value, weights[name]) for name, value in first.model.state_dict().items())
    assert not torch.equal(
        later.model.lattice.local.update[2].weight, first.model.lattice.local.update[2].weight
    )


def test_while_paused_the_live_student_is_the_model_of_that_step_and_is_not_copied_twice(
    service: TrainingService, shelf: StudentShelf
) -> None:
    started(service)
    step = paused(service).step
    student = shelf.get()
    assert (student.step, student.live) == (step, True)
    assert shelf.get().model is student.model
    service.apply({"gate.temperature": 3.0})
    service.wait_for(lambda seen: len(seen.changes) == 1, PATIENCE)
    turned = shelf.get()
    assert turned.step == step
    assert turned.model is not student.model
    assert float(turned.model.lattice.gate.temperature) == 3.0
    assert turned.model.settings.gate.temperature == 3.0


def test_the_last_student_stays_when_the_training_has_ended(
    service: TrainingService, shelf: StudentShelf
) -> None:
    end = finished(service, max_steps=7)
    student = shelf.get()
    assert (student.run, student.step, student.live) == (end.run_id, 7, False)
    stored = shelf.get(student.run)
    assert stored.step == 7
    weights = stored.model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in student.model.state_dict().items())


def test_asking_while_the_training_ends_never_hangs(service: TrainingService, shelf: StudentShelf) -> None:
    started(service, max_steps=30)
    done, seen = threading.Event(), []

    def ask() -> None:
        while not done.is_set():
            seen.append(shelf.get().step)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    service.wait_for(lambda snapshot: snapshot.phase is Phase.FINISHED, PATIENCE)
    done.set()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert shelf.get().step == 30
    assert max(seen) <= 30


def test_each_validation_leaves_a_copy_for_who_does_not_wait(service: TrainingService) -> None:
    started(service, validate_every=2)
    seen = service.wait_for(lambda seen: len(seen.validation) > 3, PATIENCE)
    assert service.last_copy is not None
    assert service.last_copy.step >= seen.validation.steps[-2] > 0


def test_a_slow_batch_gives_the_older_copy_and_the_next_call_the_newer_one(
    service: TrainingService, shelf: StudentShelf
) -> None:
    started(service)
    known = shelf.get()
    go_on, waiting = threading.Event(), threading.Event()

    def slow(_: object) -> None:
        waiting.set()
        go_on.wait(PATIENCE)

    service.ask(slow)
    assert waiting.wait(PATIENCE)
    older = shelf.get(wait=0.01)  # that of a validation, if there was one since the first was asked for
    assert older.step >= known.step
    assert shelf.get(wait=0.0).model is older.model
    go_on.set()
    ordered = shelf.get(wait=PATIENCE)  # while the batch was slow, so it may be of the same step
    assert ordered.step >= older.step
    service.wait_for(lambda seen: seen.step > ordered.step, PATIENCE)
    assert shelf.get(wait=PATIENCE).step > ordered.step


def test_what_does_not_wait_gets_the_copy_that_was_ordered_before(
    service: TrainingService, shelf: StudentShelf
) -> None:
    started(service)
    steps = []
    for _ in range(4):
        steps.append(shelf.get(wait=0.0).step)
        service.ask(lambda _: None).result(PATIENCE)
        service.wait_for(lambda seen: seen.step > steps[-1] + 3, PATIENCE)
    assert steps == sorted(set(steps))


def test_looking_does_not_change_what_is_learned(tmp_path: Path, teacher: MadeUpTeacher) -> None:
    totals = []
    for name in ("watched", "alone"):
        service = small_service(tmp_path / name)
        shelf = StudentShelf(service, embed=teacher)
        started(service, 1, max_steps=15)
        while name == "watched" and service.snapshot().phase is not Phase.FINISHED:
            shelf.inspect(shelf.get(), ("a sentence",))
        end = service.wait_for(lambda seen: seen.phase is Phase.FINISHED, PATIENCE)
        totals.append(end.train.column("total"))
        service.close()
    np.testing.assert_array_equal(*totals)


def test_the_texts_of_the_data_come_held_out_first_with_their_embeddings(
    service: TrainingService,
    shelf: StudentShelf,
    teacher: MadeUpTeacher,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(students, "MAX_TEXTS", 20)
    finished(service, max_steps=2)
    data = made_up_data(small_settings(), progress=lambda *_: None, should_stop=lambda: False)
    student = shelf.get()
    assert student.texts == (*data.validation_texts, *data.train_texts[:4])
    assert student.held_out == 16
    np.testing.assert_array_equal(student.embeddings, np.concatenate([data.validation, data.train[:4]]))
    chosen = (data.train_texts[2], data.validation_texts[0])
    found = shelf.embed(student, chosen)
    np.testing.assert_array_equal(found, np.stack([data.train[2], data.validation[0]]))
    assert teacher.asked == []


def test_other_texts_are_embedded_once(
    service: TrainingService, shelf: StudentShelf, teacher: MadeUpTeacher
) -> None:
    finished(service, max_steps=2)
    student = shelf.get()
    first = shelf.embed(student, ("new", student.texts[0], "new", "other"))
    again = shelf.embed(shelf.get(student.run), ("other", "new"))
    assert teacher.asked == [("new", "other")]
    np.testing.assert_array_equal(again, first[[3, 0]])
    with pytest.raises(ValueError, match="give at least one"):
        shelf.embed(student, ())


def test_a_stored_student_has_its_texts_when_its_data_are_in_memory_or_were_read(
    tmp_path: Path, teacher: MadeUpTeacher
) -> None:
    service = small_service(tmp_path)
    run = finished(service, max_steps=2).run_id
    assert run is not None
    service.close()
    service = small_service(tmp_path)
    shelf = StudentShelf(service, embed=teacher)
    student = shelf.get(run)
    assert student.texts == ()
    assert shelf.read_texts(student).texts[0].startswith("Sentence number 64")
    assert len(shelf.get(run, 2).texts) == 80
    service.close()


def test_stored_students_stay_in_memory_and_the_oldest_go(
    service: TrainingService, shelf: StudentShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished(service, max_steps=9, checkpoint_every=3, keep_checkpoints=5).run_id
    assert run is not None
    found = {step: shelf.get(run, step) for step in (3, 6, 9)}
    assert [student.step for student in found.values()] == [3, 6, 9]
    assert shelf.get(run[:-1], 6).model is found[6].model
    monkeypatch.setattr(students, "MAX_STUDENTS", 2)
    shelf.get(run, 6)
    assert shelf.get(run, 3).model is not found[3].model
    with pytest.raises(RunError, match="no checkpoint of step 4"):
        shelf.get(run, 4)


def test_inspections_are_those_of_the_core_and_are_cached(
    service: TrainingService, shelf: StudentShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(service, max_steps=4)
    student = shelf.get()
    texts = ("one", student.texts[3])
    found = shelf.inspect(student, texts)
    expected = inspect(student.model, shelf.embed(student, texts))
    np.testing.assert_array_equal(found.states, expected.states)
    assert shelf.inspect(shelf.get(), texts, Intervention()) is found
    damaged = shelf.inspect(student, texts, Intervention(lesioned=(5, 1)))
    assert shelf.inspect(student, texts, Intervention(lesioned=(1, 5))) is damaged
    assert (damaged.states[:, :, [1, 5]] == 0).all()
    with pytest.raises(ValueError, match="no cell 64"):
        shelf.inspect(student, texts, Intervention(lesioned=(64,)))
    monkeypatch.setattr(students, "MAX_INSPECTION_BYTES", found.nbytes + 1)
    assert shelf.inspect(student, texts, Intervention(lesioned=(5, 1))) is damaged
    assert shelf.inspect(student, texts) is not found


def test_a_student_is_compared_by_identity() -> None:
    assert Student.__hash__ is object.__hash__
