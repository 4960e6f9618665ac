"""Evaluations of students for the pages: minutes of work, done in one thread of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from cellnet.embedding import fit_pca
from cellnet.evaluation import Evaluation, evaluate, parameter_count, train_perceptron
from lab.jobs import Jobs
from lab.students import Student
from lab.training import TrainingService

EVALUATIONS: Final = Jobs()
"""Apart from the other jobs of the pages, which should not have to wait for minutes."""
LATTICE_SENTENCES: Final = 300
_CPU: Final = torch.device("cpu")


@dataclass
class Stage:
    """What an evaluation is doing right now; written by the thread that does it."""

    label: str = "waiting for its turn"
    done: int = 0
    total: int = 0

    def __call__(self, label: str, done: int, total: int) -> None:
        """Take the news."""
        self.label, self.done, self.total = label, done, total


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
    """
    settings = student.model.settings
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
            data.train,
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
