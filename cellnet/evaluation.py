"""Evaluation of a student: what it gives back, what the lattice adds, and what each expert is worth.

All measures are exact. Memory is bounded: one batch of states, and one block of cosines, at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cellnet.embedding import PCA
from cellnet.errors import DataError
from cellnet.interventions import Intervention
from cellnet.lattice.geometry import TIERS, Tier
from cellnet.measures import (
    NEIGHBORS,
    Embeddings,
    measure_neighborhoods,
    measure_reconstruction,
    parts,
    rows_to_tensor,
)
from cellnet.model import CellNet


@dataclass(frozen=True)
class Scores:
    """How good a set of reconstructions is.

    Attributes:
        explained_variance, mse, mean_cosine: see `ReconstructionMeasures`.
        knn_overlap_10: mean share of a sentence's 10 nearest others (by cosine, among the teacher's
            embeddings) that are among the 10 nearest others of its reconstruction (among all
            reconstructions).
        recall_1: share of reconstructions to which no other sentence's teacher embedding is nearer than
            its own.
    """

    explained_variance: float
    mse: float
    mean_cosine: float
    knn_overlap_10: float
    recall_1: float


@dataclass(frozen=True)
class StudentReport:
    """What the lattice does on a set of sentences.

    Attributes:
        steps: explained variance of the read-out after each step 0..T, without early stopping.
        expert_ablation: relative rise of the reconstruction loss with one expert silenced.
        gate_mass: mean weight of each expert over cells, samples and steps.
        gate_entropy: mean entropy of the gate over that of an even mixture: 0 one expert, 1 even.
    """

    steps: list[float]
    expert_ablation: dict[Tier, float]
    gate_mass: dict[Tier, float]
    gate_entropy: float


@dataclass(frozen=True)
class Evaluation:
    """Student, teacher and PCA on the same sentences.

    Attributes:
        mean_vector_cosine: the mean cosine of a constant answer, the set's mean vector.
    """

    student: Scores
    teacher: Scores
    pca: Scores
    mean_vector_cosine: float
    lattice: StudentReport

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        steps = self.lattice.steps
        pca = self.pca.explained_variance
        return {
            "student": asdict(self.student),
            "teacher": asdict(self.teacher),
            "pca": asdict(self.pca),
            "mean_vector_cosine": self.mean_vector_cosine,
            "lattice_gain": {
                "explained_variance": steps,
                "over_pca": [value - pca for value in steps],
                "over_first": [value - steps[0] for value in steps],
            },
            "expert_ablation": self.lattice.expert_ablation,
            "gate_mass": self.lattice.gate_mass,
            "gate_entropy": self.lattice.gate_entropy,
        }


def readouts(model: CellNet, embeddings: Tensor) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Yield what is read out after each step 0..T, (B, D), and the gate of that step, (B, N, 3)."""
    states = model.mapper(model.codec.encode(embeddings))
    yield model.codec.decode(model.extractor(states)), None
    for _ in range(model.settings.model.steps):
        output = model.lattice(states, steps=1, keep_trace=True)
        states = output.final
        yield model.codec.decode(model.extractor(states)), output.trace[0].gate


@torch.no_grad()
def evaluate(
    model: CellNet, pca: PCA, embeddings: Embeddings, *, device: torch.device, batch_size: int = 64
) -> Evaluation:
    """Evaluate a student on teacher embeddings (n, D).

    Args:
        model: the student, on ``device``.
        pca: fitted on the student's training embeddings; used with the width of the student's code.
        embeddings: the sentences, n > 10, possibly memory-mapped.
        device: where the work runs.
        batch_size: sentences in the cube at once.

    Raises:
        DataError: if there are too few sentences, or they are of another width.
    """
    width = model.settings.embedding.teacher_width
    if embeddings.ndim != 2 or embeddings.shape[1] != width or len(embeddings) <= NEIGHBORS:
        raise DataError(
            f"embeddings of shape {embeddings.shape} cannot be evaluated; "
            f"give more than {NEIGHBORS} sentences of width {width}"
        )
    model.eval()
    code = model.codec.surface_size**2
    answers: list[Callable[[Tensor], Tensor]] = [
        lambda batch: model(batch).embeddings,
        lambda batch: batch,
        lambda batch: pca.reconstruct(batch, code),
    ]
    student, teacher, baseline = (_scores(answer, embeddings, device, batch_size) for answer in answers)
    constant = measure_reconstruction(answers[1], embeddings, device=device, batch_size=batch_size)
    report = _report(model, embeddings, student.explained_variance, device, batch_size)
    return Evaluation(student, teacher, baseline, constant.mean_vector_cosine, report)


def _scores(
    answer: Callable[[Tensor], Tensor], embeddings: Embeddings, device: torch.device, batch_size: int
) -> Scores:
    given_back: list[Embeddings] = []

    def kept(batch: Tensor) -> Tensor:
        result = answer(batch)
        given_back.append(result.float().cpu().numpy())
        return result

    measures = measure_reconstruction(kept, embeddings, device=device, batch_size=batch_size)
    return Scores(
        measures.explained_variance,
        measures.mse,
        measures.mean_cosine,
        *measure_neighborhoods(np.concatenate(given_back), embeddings, device=device),
    )


def _report(
    model: CellNet, embeddings: Embeddings, explained: float, device: torch.device, batch_size: int
) -> StudentReport:
    steps = model.settings.model.steps
    mean = torch.from_numpy(embeddings.mean(axis=0, dtype=np.float64)).to(device)
    errors = torch.zeros(steps + 1, dtype=torch.float64)
    silenced_errors = dict.fromkeys(TIERS, 0.0)
    mass = torch.zeros(3, dtype=torch.float64)
    entropy = spread = 0.0
    for rows in parts(len(embeddings), batch_size):
        target = rows_to_tensor(embeddings, rows, device)
        spread += float((target.double() - mean).square().sum())
        for step, (answer, gate) in enumerate(readouts(model, target)):
            errors[step] += _squared_error(answer, target)
            if gate is not None:
                mass += gate.double().mean(dim=1).sum(dim=0).cpu()
                entropy += float(torch.special.entr(gate.double()).sum(dim=2).mean(dim=1).sum())
        for tier in TIERS:
            silent = model(target, intervention=Intervention(silenced={tier})).embeddings
            silenced_errors[tier] += _squared_error(silent, target)
    passes = steps * len(embeddings)
    return StudentReport(
        steps=(1.0 - errors / spread).tolist(),
        expert_ablation={
            tier: error / spread / (1.0 - explained) - 1.0 for tier, error in silenced_errors.items()
        },
        gate_mass=dict(zip(TIERS, (mass / passes).tolist(), strict=True)),
        gate_entropy=entropy / passes / math.log(3),
    )


def _squared_error(answer: Tensor, target: Tensor) -> float:
    return float((answer.double() - target.double()).square().sum())
