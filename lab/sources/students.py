"""Students to look into: the one that trains right now and those of stored checkpoints; copies on the CPU.

A page never touches the model that trains. It asks here for a copy, which belongs to no thread and is
never trained; the copy of the live model is made by the training thread between two batches, also while
it is paused.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import torch

from cellnet.checkpoints.manifest import STATE_FILE
from cellnet.errors import RunError, TrainingError
from cellnet.inspection import FloatArray, Inspection, inspect
from cellnet.runs import choose_checkpoint
from cellnet.runs.loading import load_model
from cellnet.settings import EmbeddingSettings, Settings
from cellnet.student.damage import Intervention
from cellnet.student.student import CellNet
from cellnet.teacher import Teacher
from cellnet.training import TrainingData, TrainingSession
from lab.recent import Recent
from lab.training import TrainingService
from lab.training.copies import ModelCopy, copy_model
from lab.training.service import data_key

LIVE: Final = "live"

MAX_TEXTS: Final = 4000
"""Most sentences of the data that a student offers."""
MAX_STUDENTS: Final = 4
MAX_TEACHERS: Final = 2
MAX_EMBEDDED: Final = 4096
MAX_INSPECTIONS: Final = 64
MAX_INSPECTION_BYTES: Final = 512 * 10**6
PATIENCE: Final = 2.0
"""Seconds to wait by default for a batch to end before an older copy is given out instead."""

Embed = Callable[[Settings, Sequence[str]], FloatArray]
"""Gives the embeddings (n, D) of n texts, of the teacher in the settings."""


@dataclass(frozen=True, eq=False)
class Student:
    """A model to look into.

    Attributes:
        model: on the CPU, in evaluation mode; shared between pages, so never change it.
        run: id of its run.
        step: training step it is of.
        live: whether it was copied from the training under way.
        texts: sentences to choose from, held-out ones first, at most `MAX_TEXTS`; empty if the data of its
            run are not in memory (see `StudentShelf.read_texts`).
        embeddings: the teacher's embeddings of these texts, (n, D).
        held_out: how many of them, the first ones, were held out.
    """

    model: CellNet
    run: str
    step: int
    live: bool
    texts: tuple[str, ...] = ()
    embeddings: FloatArray = field(default_factory=lambda: np.empty((0, 0), dtype=np.float32))
    held_out: int = 0


class Teachers:
    """Embeds texts on the CPU; the first text of a teacher loads it, which takes seconds."""

    def __init__(self) -> None:
        self._loaded: Recent[EmbeddingSettings, Teacher] = Recent(lambda kept: len(kept) > MAX_TEACHERS)

    def __call__(self, settings: Settings, texts: Sequence[str]) -> FloatArray:
        kind = settings.embedding
        return self._loaded.make(kind, lambda: Teacher.load(kind, torch.device("cpu"))).encode(texts)


@dataclass(frozen=True, eq=False)
class _Sentences:
    """Sentences of some data, with their embeddings and where each is."""

    data: TrainingData
    texts: tuple[str, ...]
    embeddings: FloatArray
    held_out: int
    rows: dict[str, int]

    @classmethod
    def of(cls, data: TrainingData) -> _Sentences:
        held_out = data.validation_texts[:MAX_TEXTS]
        trained = data.train_texts[: MAX_TEXTS - len(held_out)]
        embeddings = np.concatenate([data.validation[: len(held_out)], data.train[: len(trained)]])
        texts = (*held_out, *trained)
        return cls(data, texts, embeddings, len(held_out), {text: row for row, text in enumerate(texts)})


class StudentShelf:
    """Gives out students. Safe to use from any thread; at most a few stay in memory.

    Args:
        service: whose training is the live one, and whose store has the others.
        embed: gives the teacher's embeddings; by default the teacher itself.
    """

    def __init__(self, service: TrainingService, *, embed: Embed | None = None) -> None:
        self._service = service
        self._embed: Embed = embed or Teachers()
        self._lock = threading.Lock()
        self._copying, self._loading, self._embedding, self._inspecting = (
            threading.Lock() for _ in range(4)
        )
        self._pending: Future[ModelCopy] | None = None
        self._fresh: ModelCopy | None = None
        self._live: tuple[ModelCopy, CellNet] | None = None
        self._stored: Recent[tuple[str, int, float], CellNet] = Recent(
            lambda kept: len(kept) > MAX_STUDENTS
        )
        self._sentences: Recent[str, _Sentences] = Recent(lambda kept: len(kept) > MAX_STUDENTS)
        self._embedded: Recent[tuple[str, str], FloatArray] = Recent(lambda kept: len(kept) > MAX_EMBEDDED)
        self._inspections: Recent[tuple[CellNet, tuple[str, ...], Intervention], Inspection] = Recent(
            lambda kept: (
                len(kept) > MAX_INSPECTIONS or sum(one.nbytes for one in kept) > MAX_INSPECTION_BYTES
            )
        )

    def get(self, run: str = LIVE, step: int | None = None, *, wait: float = PATIENCE) -> Student:
        """Return the student of a run and step.

        Args:
            run: a run, a unique prefix or "latest"; ``LIVE`` is the training under way, or else the last
                one of this process as it was when it ended.
            step: of a checkpoint; by default the best, or if none is marked the newest.
            wait: seconds to wait for the batch under way to end; when it takes longer, the live student is
                the newest copy that there is. What follows a training once a second waits 0: it orders a
                copy each time and gets the one that was ordered before.

        Raises:
            RunError: if there is no such run or checkpoint, or no training yet; it says what to do.
            CheckpointError: if the checkpoint is damaged.
        """
        return self._get_live(wait) if run == LIVE else self._get_stored(run, step)

    def read_texts(self, student: Student) -> Student:
        """Return the student with the sentences of its run, reading and embedding them where necessary.

        This can take as long as the preparation of a training; do it when asked to.

        Raises:
            DataError, TeacherError: if the sentences or the teacher are not there.
        """
        settings = student.model.settings
        if self._known(settings) is None:
            read = _Sentences.of(self._service.read_data(settings))
            with self._lock:
                self._sentences.set(data_key(settings), read)
        return self._with_texts(student)

    def embed(self, student: Student, texts: tuple[str, ...]) -> FloatArray:
        """Return the teacher's embeddings (n, D) of n >= 1 texts.

        Those of the training data are looked up, all others are computed once and kept in memory. The first
        of these loads the teacher, which takes seconds.

        Raises:
            TeacherError: if the teacher of the student is not there.
            ValueError: if there is no text.
        """
        if not texts:
            raise ValueError("there is no sentence to embed; give at least one")
        settings = student.model.settings
        teacher = settings.embedding.model_dump_json()
        known = self._known(settings)
        found: dict[str, FloatArray] = {}
        with self._embedding:
            for text in texts:
                if known is not None and text in known.rows:
                    found[text] = known.embeddings[known.rows[text]]
                elif (row := self._embedded.get((teacher, text))) is not None:
                    found[text] = row
            if missing := [text for text in dict.fromkeys(texts) if text not in found]:
                for text, row in zip(missing, self._embed(settings, missing), strict=True):
                    found[text] = row
                    self._embedded.set((teacher, text), row)
        return np.stack([found[text] for text in texts])

    def inspect(
        self, student: Student, texts: tuple[str, ...], intervention: Intervention | None = None
    ) -> Inspection:
        """Return what the student does with texts; the last few answers are cached.

        One inspection runs at a time, so that pages do not take the processors from the training together.

        Raises:
            TeacherError: if a text is new and the teacher is not there.
            ValueError: see `cellnet.inspection.carrier.inspect`.
        """
        intervention = intervention or Intervention()
        key = (student.model, texts, intervention)
        embeddings = self.embed(student, texts)
        with self._inspecting:
            inspection = self._inspections.get(key)
            if inspection is None:
                intact = self._inspections.get((student.model, texts, Intervention()))
                surfaces = None if intact is None else intact.surface_in
                inspection = inspect(student.model, embeddings, intervention, surfaces=surfaces)
            self._inspections.set(key, inspection)
        return inspection

    def _get_stored(self, run: str, step: int | None) -> Student:
        store = self._service.store
        record = store.get(run)
        checkpoint = choose_checkpoint(store, record, step)
        key = (record.id, checkpoint.step, checkpoint.created)
        with self._loading:
            model = self._stored.get(key)
            if model is None:
                if not (checkpoint.path / STATE_FILE).is_file():
                    raise RunError(
                        f"the checkpoint of step {checkpoint.step} of {record.id} is gone; choose another"
                    )
                model = load_model(str(checkpoint.path), store.root).model
                for other in self._stored.values():
                    if other.settings.lattice == model.settings.lattice:
                        model.lattice.borrow_connections(other.lattice)
            self._stored.set(key, model)
        return self._with_texts(Student(model, record.id, checkpoint.step, live=False))

    def _get_live(self, wait: float) -> Student:
        with self._copying:
            copy, live = self._newest_copy(wait)
            if self._live is None or self._live[0] is not copy:
                self._live = (copy, copy.build())
            model = self._live[1]
        return self._with_texts(Student(model, copy.run, copy.step, live))

    def _newest_copy(self, wait: float) -> tuple[ModelCopy, bool]:
        """Return the newest copy there is, and whether its training is under way."""
        try:
            if self._pending is not None and self._pending.done():
                if self._pending.exception() is None:
                    self._fresh = self._pending.result()
                self._pending = None  # that of a training that has ended meanwhile gives nothing
            if self._pending is None:
                self._pending = self._service.ask(self._copy)
            older = self._older_copy()
            self._fresh = self._pending.result(None if older is None else wait)
            self._pending = None
            return self._fresh, True
        except TimeoutError:
            assert older is not None
            return older, True
        except (RunError, TrainingError):
            self._pending = None
            last = self._service.last_copy
            if last is None:
                raise RunError(
                    "there is no student yet; start a training on the page Train, or choose a run"
                ) from None
            return last, False

    def _older_copy(self) -> ModelCopy | None:
        candidates = (self._service.last_copy, self._fresh)
        return max((copy for copy in candidates if copy), key=lambda copy: copy.time, default=None)

    def _copy(self, session: TrainingSession) -> ModelCopy:
        """Copy the live model, unless it is as it was; called in the training thread."""
        known, trainer = self._older_copy(), session.trainer
        now = (session.run_id, trainer.step_count, trainer.settings)
        if known is not None and (known.run, known.step, known.settings) == now:
            return known
        return copy_model(session)

    def _known(self, settings: Settings) -> _Sentences | None:
        """Return the sentences that belong to these settings, if they are in memory."""
        key = data_key(settings)
        with self._lock:
            data, known = self._service.data_of(settings), self._sentences.get(key)
            if data is not None and (known is None or known.data is not data):
                known = _Sentences.of(data)
                self._sentences.set(key, known)
            return known

    def _with_texts(self, student: Student) -> Student:
        known = self._known(student.model.settings)
        if known is None:
            return student
        return replace(student, texts=known.texts, embeddings=known.embeddings, held_out=known.held_out)
