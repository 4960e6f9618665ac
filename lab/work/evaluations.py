"""Evaluations of students for the pages: minutes of work, done in one thread of its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch

from cellnet.evaluation import (
    Evaluation,
    SentenceReader,
    evaluate,
    parameter_count,
)
from cellnet.student.codec import fit_pca
from cellnet.teacher import Teacher
from cellnet.training.baseline import train_perceptron
from lab.sources.students import Student
from lab.training import TrainingService
from lab.work.work import Lane, Progress, Work

LATTICE_SENTENCES: Final = 300
_CPU: Final = torch.device("cpu")


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
    """The files of an evaluation, beside the sentences of its run.

    Attributes:
        pairs: a .csv file of pairs with human scores.
        bank: more sentences among which recall is measured.
        column: of the bank, if it has columns.
    """

    pairs: Path | None = None
    bank: Path | None = None
    column: str = ""


NO_FILES: Final = Files()


@dataclass(frozen=True)
class Wish:
    """An evaluation to make.

    Attributes:
        student: the student.
        sentences: at most so many of the held-out ones, drawn with seed 0; 0 for all.
        with_mlp: whether to train an MLP student for as many steps, and compare with it.
        files: pairs and a bank.
    """

    student: Student
    sentences: int
    with_mlp: bool
    files: Files = NO_FILES


def evaluation_of(service: TrainingService, wish: Wish) -> Work[Evaluated]:
    """An evaluation as work in a lane of its own: it takes minutes, which other work need not wait."""
    student = wish.student
    refinement = student.model.settings.embedding.refinement_steps
    key = ("evaluation", student.run, student.step, refinement, wish.sentences, wish.with_mlp, wish.files)
    return Work(key, 0, partial(evaluate_student, service, wish), Lane("evaluation", "cpu"))


def evaluate_student(service: TrainingService, wish: Wish, progress: Progress) -> Evaluated:
    """Evaluate a student on held-out sentences of its run, on the CPU.

    Args:
        service: gives the data of the run.
        wish: the student, and how to evaluate it.
        progress: is called with what is being done; ends the evaluation when it was cancelled.

    Raises:
        DataError, TeacherError: if the data of the run, or of a file, are not there or too few.
        WorkCancelled: if it was cancelled.
    """
    student, files = wish.student, wish.files
    settings = student.model.settings
    progress("reading the sentences")
    data = service.data_of(settings) or service.read_data(
        settings, progress=progress, should_stop=progress.cancelled.is_set
    )
    pca = fit_pca(data.train)
    held_out, texts = data.validation, data.validation_texts
    if 0 < wish.sentences < len(held_out):
        rows = np.sort(np.random.default_rng(0).choice(len(held_out), wish.sentences, replace=False))
        held_out, texts = held_out[rows], tuple(texts[row] for row in rows)
    read: list[str] = []
    pairs = bank = None
    if files != NO_FILES:
        progress("loading the teacher")
        teacher = Teacher.load(settings.embedding, _CPU)
        reader = SentenceReader(settings, teacher, column=files.column, progress=progress, say=read.append)
        pairs = None if files.pairs is None else reader.pairs(files.pairs)[0]
        bank = None if files.bank is None else reader.bank(str(files.bank), texts).embeddings
    mlp = None
    if wish.with_mlp:
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
            progress=lambda done, total: progress("training the MLP student", done, total),
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
        progress=progress,
    )
    parameters = {"student": parameter_count(student.model)}
    if mlp is not None:
        parameters["mlp"] = parameter_count(mlp)
    steps = student.step if wish.with_mlp else None
    return Evaluated(evaluation, parameters, steps, len(data.validation), tuple(read))
