"""Measures of each sentence: one pass over all of them for each subject."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cellnet.evaluation.intervals import Numbers
from cellnet.evaluation.neighbors import Counts, count_nearer, nearest_others, shared_neighbors
from cellnet.evaluation.scores import NEIGHBORS, PerSentence, errors_and_cosines, host, scratch
from cellnet.inspection import carry
from cellnet.measures import Embeddings, parts, rows_to_tensor
from cellnet.student.experts import EXPERTS
from cellnet.student.student import CellNet

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True)
class Work:
    """The device, the batch size and the progress of an evaluation."""

    device: torch.device
    batch_size: int
    progress: Progress

    def stage(self, label: str) -> Callable[[int, int], None]:
        return partial(self.progress, label)


class StepByStep:
    """The student's answer after all steps; keeps what each step was worth and how the gate mixed."""

    def __init__(self, model: CellNet) -> None:
        self._model = model
        self._errors: list[Numbers] = []
        self._mass = np.zeros(len(EXPERTS))
        self._entropy = 0.0

    def __call__(self, target: Tensor) -> Tensor:
        answers = []
        for part in carry(self._model, target):
            steps = part.readouts.unbind(dim=1)
            self._errors.append(
                np.stack([host(errors_and_cosines(step, part.teacher)[0]) for step in steps])
            )
            gate = part.gate.double()
            self._mass += host(gate.mean(dim=2).sum(dim=(0, 1)))
            self._entropy += float(torch.special.entr(gate).sum(dim=3).mean(dim=2).sum())
            answers.append(steps[-1])
        return torch.cat(answers)

    @property
    def errors(self) -> Numbers:
        """Squared error of each sentence after each step, (T + 1, n)."""
        return np.concatenate(self._errors, axis=1)

    @property
    def gate(self) -> tuple[dict[str, float], float]:
        """Mean weight of each expert, and the mean entropy over that of an even mixture."""
        errors = self.errors
        passes = (len(errors) - 1) * errors.shape[1]
        mass = dict(zip(EXPERTS, (self._mass / passes).tolist(), strict=True))
        return mass, self._entropy / passes / math.log(len(EXPERTS))


def constant_answer(embeddings: Embeddings, mean: Tensor, work: Work) -> tuple[Numbers, float]:
    """Return |y - mean|^2 of each sentence, (n,), and the mean cosine between y and the mean."""
    spread, cosines = np.empty(len(embeddings)), np.empty(len(embeddings))
    for rows in parts(len(embeddings), 4096):
        target = rows_to_tensor(embeddings, rows, work.device).double()
        spread[rows] = host((target - mean).square().sum(dim=1))
        cosines[rows] = host(F.cosine_similarity(mean.expand_as(target), target, dim=1))
    return spread, float(cosines.mean())


def measure_sentences(
    who: str,
    answer: Callable[[Tensor], Tensor],
    embeddings: Embeddings,
    spread: Numbers,
    neighbors: Counts,
    bank: Embeddings | None,
    work: Work,
) -> PerSentence:
    """Measure what one subject gives back, sentence by sentence."""
    count, width = embeddings.shape
    if who == "teacher":  # its own answer: exact, and no embedding is nearer to it than itself
        return PerSentence(np.zeros(count), np.ones(count), np.ones(count), np.zeros(count), spread, width)
    given = scratch(count, width)
    errors, cosines = np.empty(count), np.empty(count)
    for rows in parts(count, work.batch_size):
        target = rows_to_tensor(embeddings, rows, work.device)
        result = answer(target).float()
        given[rows] = result.cpu().numpy()
        error, cosine = errors_and_cosines(result, target)
        errors[rows], cosines[rows] = host(error), host(cosine)
        work.progress(who, rows.stop, count)
    own = nearest_others(given, NEIGHBORS, device=work.device, progress=work.stage(f"{who}: neighbors"))
    nearer = count_nearer(
        given, embeddings, device=work.device, others=bank, progress=work.stage(f"{who}: recall")
    )
    overlap = shared_neighbors(own, neighbors)
    return PerSentence(errors, cosines, overlap, nearer.astype(np.float64), spread, width)
