"""Evaluations of students for the pages: minutes of work, done in one thread of its own."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import torch

from cellnet.embedding import fit_pca
from cellnet.errors import CellnetError
from cellnet.evaluation import Evaluation, evaluate, parameter_count, train_perceptron
from lab.jobs import Answer, Jobs
from lab.students import Student
from lab.training import TrainingService

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
    """

    evaluation: Evaluation
    parameters: dict[str, int]
    mlp_steps: int | None
    held_out: int


def evaluate_student(
    service: TrainingService, student: Student, *, sentences: int, with_mlp: bool, stage: Stage
) -> Evaluated:
    """Evaluate a student on held-out sentences of its run, on the CPU.

    Args:
        service: gives the data of the run.
        student: whom.
        sentences: at most so many, drawn with seed 0; 0 for all.
        with_mlp: whether to train an MLP student for as many steps, and compare with it.
        stage: told what is being done.

    Raises:
        DataError, TeacherError: if the data of the run are not there or too few.
        EvaluationStopped: if it was stopped.
    """
    settings = student.model.settings
    stage("reading the sentences", 0, 0)
    data = service.data_of(settings) or service.read_data(settings, progress=stage)
    pca = fit_pca(data.train)
    held_out = data.validation
    if 0 < sentences < len(held_out):
        rows = np.random.default_rng(0).choice(len(held_out), sentences, replace=False)
        held_out = held_out[np.sort(rows)]
    mlp = None
    if with_mlp:
        mlp = train_perceptron(
            student.model,
            data,
            steps=student.step,
            schedule_steps=settings.training.max_steps,
            device=_CPU,
            pca=pca,
            progress=lambda done, total: stage("training the MLP student", done, total),
        )
    evaluation = evaluate(
        student.model,
        pca,
        held_out,
        device=_CPU,
        perceptron=mlp,
        training=data.train,
        lattice_sentences=LATTICE_SENTENCES,
        progress=stage,
    )
    parameters = {"student": parameter_count(student.model)}
    if mlp is not None:
        parameters["mlp"] = parameter_count(mlp)
    return Evaluated(evaluation, parameters, student.step if with_mlp else None, len(data.validation))


@dataclass(frozen=True)
class Wish:
    """Whom to evaluate, and how (see `evaluate_student`)."""

    student: Student
    sentences: int
    with_mlp: bool

    @property
    def key(self) -> tuple[str, int, int, bool]:
        """What is the same for equal evaluations."""
        return self.student.run, self.student.step, self.sentences, self.with_mlp


class Evaluations:
    """Evaluations, done in a thread of their own so that other work for pages need not wait for minutes.

    Sessions that wish the same share one evaluation.
    """

    def __init__(self) -> None:
        self._jobs = Jobs()
        self._lock = threading.Lock()
        self._stages: dict[tuple[str, int, int, bool], Stage] = {}

    def begin(self, wish: Wish) -> None:
        """See to it that an evaluation is made, anew if the last attempt failed."""
        with self._lock:
            stage = self._stages.get(wish.key)
            if stage is None or stage.failed:
                self._stages[wish.key] = Stage()

    def read(self, wish: Wish, service: TrainingService) -> tuple[Answer[Evaluated], Stage]:
        """Return what is known of an evaluation that was begun, and what it is doing."""
        with self._lock:
            stage = self._stages[wish.key]
        work = partial(
            evaluate_student,
            service,
            wish.student,
            sentences=wish.sentences,
            with_mlp=wish.with_mlp,
            stage=stage,
        )
        answer = self._jobs.newest(wish.key, stage, work)
        if answer.error and answer.version is stage:
            stage.failed = True
        return answer, stage

    def stop(self) -> None:
        """Stop all of them, so that the process can end."""
        with self._lock:
            for stage in self._stages.values():
                stage.stop()


EVALUATIONS: Final = Evaluations()
"""Those of this process."""
