"""Evaluations of students for the pages: minutes of work, done in one thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch

from cellnet.errors import CellnetError
from cellnet.evaluation import (
    Evaluation,
    SentenceReader,
    evaluate,
    parameter_count,
    train_perceptron,
)
from cellnet.student.codec import fit_pca
from cellnet.teacher import Teacher
from lab.sources.students import Student
from lab.training import TrainingService
from lab.work.jobs import Answer, Jobs

LATTICE_SENTENCES: Final = 300
_CPU: Final = torch.device("cpu")


class EvaluationStopped(CellnetError):  # noqa: N818 - a wish fulfilled, not a failure
    """An evaluation was stopped on request."""


@dataclass(eq=False)
class Stage:
    """What an evaluation is doing right now; written by the thread that does it."""

    label: str = "waiting for its turn"
    done: int = 0
    total: int = 0
    stopped: bool = False
    failed: bool = False

    def __call__(self, label: str, done: int, total: int) -> None:
        """Take the news.

        Raises:
            EvaluationStopped: if the evaluation should end here.
        """
        if self.stopped:
            raise EvaluationStopped("the evaluation was stopped; press Evaluate to begin it again")
        self.label, self.done, self.total = label, done, total

    def stop(self) -> None:
        """Let the evaluation end at its next news, or before it begins."""
        self.stopped = True


@dataclass(frozen=True)
class Evaluated:
    """An evaluation and what it was made with.

    Attributes:
        evaluation: all figures.
        parameters: of the student, and of the MLP student if there is one.
        mlp_steps: that the MLP student was trained for, if there is one.
        held_out: how many sentences the run holds out.
        read: what was read of the files, and what was left out of them.
    """

    evaluation: Evaluation
    parameters: dict[str, int]
    mlp_steps: int | None
    held_out: int
    read: tuple[str, ...] = ()


@dataclass(frozen=True)
class Files:
    """What a student is measured with, beside the sentences of its run.

    Attributes:
        pairs: a .csv file of pairs with human scores.
        bank: more sentences among which recall is measured.
        column: of the bank, if it has columns.
    """

    pairs: Path | None = None
    bank: Path | None = None
    column: str = ""


NO_FILES: Final = Files()

Key = tuple[str, int, int, int, bool, Files]


def evaluate_student(
    service: TrainingService,
    student: Student,
    *,
    sentences: int,
    with_mlp: bool,
    files: Files = NO_FILES,
    stage: Stage,
) -> Evaluated:
    """Evaluate a student on held-out sentences of its run, on the CPU.

    Args:
        service: gives the data of the run.
        student: whom.
        sentences: at most so many, drawn with seed 0; 0 for all.
        with_mlp: whether to train an MLP student for as many steps, and compare with it.
        files: pairs and a bank.
        stage: told what is being done.

    Raises:
        DataError, TeacherError: if the data of the run, or of a file, are not there or too few.
        EvaluationStopped: if it was stopped.
    """
    settings = student.model.settings
    stage("reading the sentences", 0, 0)
    data = service.data_of(settings) or service.read_data(settings, progress=stage)
    pca = fit_pca(data.train)
    held_out, texts = data.validation, data.validation_texts
    if 0 < sentences < len(held_out):
        rows = np.sort(np.random.default_rng(0).choice(len(held_out), sentences, replace=False))
        held_out, texts = held_out[rows], tuple(texts[row] for row in rows)
    read: list[str] = []
    pairs = bank = None
    if files != NO_FILES:
        stage("loading the teacher", 0, 0)
        teacher = Teacher.load(settings.embedding, _CPU)
        reader = SentenceReader(settings, teacher, column=files.column, progress=stage, say=read.append)
        pairs = None if files.pairs is None else reader.pairs(files.pairs)[0]
        bank = None if files.bank is None else reader.bank(str(files.bank), texts).embeddings
    mlp = None
    if with_mlp:
        mlp = train_perceptron(
            student.model,
            data,
            steps=student.step,
            schedule_steps=settings.training.max_steps,
            device=_CPU,
            pca=pca,
            changes=[
                change for change in service.store.changes(student.run) if change.step <= student.step
            ],
            progress=lambda done, total: stage("training the MLP student", done, total),
        )
    evaluation = evaluate(
        student.model,
        pca,
        held_out,
        device=_CPU,
        perceptron=mlp,
        training=data.train,
        bank=bank,
        pairs=pairs,
        lattice_sentences=LATTICE_SENTENCES,
        progress=stage,
    )
    parameters = {"student": parameter_count(student.model)}
    if mlp is not None:
        parameters["mlp"] = parameter_count(mlp)
    steps = student.step if with_mlp else None
    return Evaluated(evaluation, parameters, steps, len(data.validation), tuple(read))


@dataclass(frozen=True)
class Wish:
    """Whom to evaluate, and how (see `evaluate_student`)."""

    student: Student
    sentences: int
    with_mlp: bool
    files: Files = NO_FILES

    @property
    def key(self) -> Key:
        """What is the same for equal evaluations."""
        refinement = self.student.model.settings.embedding.refinement_steps
        return (self.student.run, self.student.step, refinement, self.sentences, self.with_mlp, self.files)


class Evaluations:
    """Evaluations, done in a thread of their own so that other work for pages need not wait for minutes.

    Sessions that wish the same share one evaluation.
    """

    def __init__(self) -> None:
        self._jobs = Jobs(behind_pages=True)
        self._lock = threading.Lock()
        self._stages: dict[Key, Stage] = {}

    def begin(self, wish: Wish) -> None:
        """See to it that an evaluation is made, anew if the last attempt failed."""
        with self._lock:
            stage = self._stages.get(wish.key)
            if stage is None or stage.failed:
                self._stages[wish.key] = Stage()

    def read(self, wish: Wish, service: TrainingService) -> tuple[Answer[Evaluated], Stage]:
        """Return what is known of an evaluation that was begun, and what it is doing."""
        stage, work = self._work(wish, service)
        answer = self._jobs.newest(wish.key, stage, work)
        if answer.error and answer.version is stage:
            stage.failed = True
        return answer, stage

    def state(self, wish: Wish, service: TrainingService) -> str:
        """Name what `read` returns, and see to it likewise; may be asked outside of any script run."""
        stage, work = self._work(wish, service)
        return f"{self._jobs.state(wish.key, stage, work)} {stage}"

    def _work(self, wish: Wish, service: TrainingService) -> tuple[Stage, Callable[[], Evaluated]]:
        with self._lock:
            stage = self._stages[wish.key]
        return stage, partial(
            evaluate_student,
            service,
            wish.student,
            sentences=wish.sentences,
            with_mlp=wish.with_mlp,
            files=wish.files,
            stage=stage,
        )

    def stop(self) -> None:
        """Stop all of them, so that the process can end."""
        with self._lock:
            for stage in self._stages.values():
                stage.stop()


EVALUATIONS: Final = Evaluations()
"""Those of this process."""
