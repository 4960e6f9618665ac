"""The subjects of an evaluation, the student and its baselines, each as a map from embedding to answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cellnet.evaluation.intervals import Numbers
from cellnet.evaluation.scores import host
from cellnet.measures import Embeddings, parts, rows_to_tensor
from cellnet.student.codec import PCA
from cellnet.student.perceptron import Perceptron
from cellnet.student.student import CellNet

WHO = ("student", "teacher", "pca", "mlp")


@dataclass(frozen=True)
class Subject:
    """Someone who is measured.

    Attributes:
        answer: teacher embeddings (B, D) to what is given back (B, D).
        code: teacher embeddings (B, D) to the code (B, S); None for the teacher, who has none.
    """

    answer: Callable[[Tensor], Tensor]
    code: Callable[[Tensor], Tensor] | None = None


@dataclass(frozen=True)
class Pairs:
    """Pairs of sentences with a score that people gave.

    Attributes:
        first, second: teacher embeddings of the sentences, (P, D).
        scores: (P,).
    """

    first: Embeddings
    second: Embeddings
    scores: Numbers


def subjects(model: CellNet, pca: PCA, perceptron: Perceptron | None) -> dict[str, Subject]:
    """Return the student, the teacher, PCA with the width of the code and, if there is one, the MLP."""
    width = model.codec.surface_size**2
    measured = {
        "student": Subject(
            lambda batch: model(batch, stop_early=False).embeddings,
            model.codes,
        ),
        "teacher": Subject(lambda batch: batch),
        "pca": Subject(
            lambda batch: pca.reconstruct(batch, width),
            lambda batch: (batch - pca.mean.to(batch)) @ pca.components[:width].to(batch).T,
        ),
    }
    if perceptron is not None:
        measured["mlp"] = Subject(
            lambda batch: perceptron(batch).embeddings,
            lambda batch: perceptron.put_on_surface(batch).flatten(1),
        )
    return measured


@torch.no_grad()
def pair_cosines(
    map_batch: Callable[[Tensor], Tensor], pairs: Pairs, *, device: torch.device, batch_size: int
) -> Numbers:
    """Return the cosine of each pair after both sentences went through ``map_batch``, (P,)."""
    cosines = np.empty(len(pairs.scores))
    for rows in parts(len(pairs.scores), batch_size):
        one, other = (
            map_batch(rows_to_tensor(side, rows, device)).double() for side in (pairs.first, pairs.second)
        )
        cosines[rows] = host(F.cosine_similarity(one, other, dim=1))
    return cosines
