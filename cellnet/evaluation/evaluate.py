"""Evaluation of a student next to its teacher, PCA and an MLP of equal size, with confidence intervals.

All measures are exact. Memory is bounded: what is given back lies on disk, and one batch of states, one
block of cosines and one set of resamples are in memory at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from cellnet.errors import DataError
from cellnet.evaluation.estimates import Scores, all_measures, compared, pair_estimates, scores_of
from cellnet.evaluation.intervals import Estimate, estimate
from cellnet.evaluation.lattice import LatticeMeasures, measure_lattice
from cellnet.evaluation.neighbors import Counts, nearest_cosine, nearest_others
from cellnet.evaluation.scores import NEIGHBORS
from cellnet.evaluation.sentences import Progress, StepByStep, Work, constant_answer, measure_sentences
from cellnet.evaluation.subjects import Pairs, subjects
from cellnet.measures import Embeddings
from cellnet.student.codec import PCA
from cellnet.student.perceptron import Perceptron
from cellnet.student.student import CellNet

FEWEST_RESAMPLES = 40
FEWEST_PAIRS = 3


@dataclass(frozen=True)
class Band:
    """The sentences of one band of novelty.

    Attributes:
        lowest, highest: cosine to the nearest training sentence; the lower, the more novel.
        sentences: how many.
        scores: of each subject, and of the student minus each other one, on these sentences.
    """

    lowest: float
    highest: float
    sentences: int
    scores: dict[str, Scores]


@dataclass(frozen=True)
class StepGains:
    """The gain of each step in explained variance; all are of the read-outs after steps 0..T.

    Attributes:
        explained_variance: of the read-out.
        over_first: minus that of step 0.
        over: minus that of PCA and, if there is one, of the MLP student.
    """

    explained_variance: list[Estimate]
    over_first: list[Estimate]
    over: dict[str, list[Estimate]]


@dataclass(frozen=True)
class Evaluation:
    """A student and what it is compared with, on the same sentences.

    Attributes:
        scores: measures of ``student``, ``teacher``, ``pca`` and, if it was given, ``mlp``; each with an
            interval over sentences, those of the pairs over pairs. `PerSentence.scores` says what they are;
            ``spearman`` is the rank correlation between the cosines of the pairs and what people said, and
            ``spearman_code`` the same for the codes.
        differences: the same for ``student_minus_pca`` and ``student_minus_mlp``, with paired intervals.
        novelty: the most novel sentences first; empty without training embeddings.
        steps: what each step adds.
        gate_mass: mean weight of each expert over cells, samples and steps.
        gate_entropy: mean entropy of the gate over that of an even mixture: 0 one expert, 1 even.
        expert_ablation: relative rise of the squared error with one expert silenced, on the sample.
        lattice: what else the lattice does, on the sample.
        mean_vector_cosine: the mean cosine of a constant answer, the set's mean vector.
        sentences: how many were evaluated.
        bank: how many embeddings ``recall_k`` seeks among.
        pairs: how many pairs there are.
        resamples: behind each interval.
    """

    scores: dict[str, Scores]
    differences: dict[str, Scores]
    novelty: tuple[Band, ...]
    steps: StepGains
    gate_mass: dict[str, float]
    gate_entropy: float
    expert_ablation: dict[str, Estimate]
    lattice: LatticeMeasures
    mean_vector_cosine: float
    sentences: int
    bank: int
    pairs: int
    resamples: int


@torch.no_grad()
def evaluate(
    model: CellNet,
    pca: PCA,
    embeddings: Embeddings,
    *,
    device: torch.device,
    perceptron: Perceptron | None = None,
    training: Embeddings | None = None,
    bank: Embeddings | None = None,
    pairs: Pairs | None = None,
    bands: int = 5,
    lattice_sentences: int = 1000,
    resamples: int = 1000,
    seed: int = 0,
    batch_size: int = 64,
    progress: Progress = lambda label, done, total: None,
) -> Evaluation:
    """Evaluate a student on teacher embeddings (n, D), with all steps made.

    Args:
        model: the student, on ``device``.
        pca: fitted on the student's training embeddings; used with the width of the student's code.
        embeddings: the sentences, n > 10, possibly memory-mapped.
        device: where the work runs.
        perceptron: an MLP student, on ``device`` (see `train_perceptron`).
        training: the student's training embeddings, against which novelty is measured.
        bank: embeddings (M, D) of other sentences among which recall is measured too.
        pairs: with human scores, at least 3.
        bands: how many bands of novelty with equally many sentences.
        lattice_sentences: how many sentences, drawn with the seed, ablation, the experts' likeness and the
            effective dimension are measured on; 0 for all.
        resamples: for each confidence interval, at least 40.
        seed: of all that is drawn.
        batch_size: sentences in the cube at once; fewer of a large cube.
        progress: told what is being done and how far it is.

    Raises:
        DataError: if there are too few sentences or pairs, or embeddings are of another width.
    """
    _check(model, embeddings, bank, pairs, resamples)
    batch_size = model.sentences_at_once(batch_size)
    work = Work(device, batch_size, progress)
    measured = subjects(model, pca, perceptron)
    mean = torch.from_numpy(embeddings.mean(axis=0, dtype=np.float64)).to(device)
    spread, mean_vector_cosine = constant_answer(embeddings, mean, work)
    if not spread.any():
        raise DataError("all embeddings are equal, so there is no variance to explain; give more sentences")

    neighbors = nearest_others(
        embeddings, NEIGHBORS, device=device, progress=work.stage("teacher's neighbors")
    )
    student = StepByStep(model)
    answers = {who: subject.answer for who, subject in measured.items()} | {"student": student}
    sentences = {
        who: measure_sentences(who, answer, embeddings, spread, neighbors, bank, work)
        for who, answer in answers.items()
    }
    errors = student.errors
    members = _novelty_bands(embeddings, training, bands, work)
    estimates = estimate(
        lambda weights: all_measures(sentences, errors, [rows for _, _, rows in members], weights),
        len(embeddings),
        resamples=resamples,
        seed=seed,
    )
    if pairs is not None:
        estimates |= pair_estimates(model, pca, perceptron, pairs, resamples, seed, work)
    lattice = measure_lattice(
        model,
        _sample(embeddings, lattice_sentences, seed),
        device=device,
        batch_size=batch_size,
        progress=work.stage("silencing experts"),
    )
    gate_mass, gate_entropy = student.gate
    others = [who for who in ("pca", "mlp") if who in sentences]
    steps = range(len(errors))
    return Evaluation(
        scores={who: scores_of(estimates, who) for who in sentences},
        differences={
            f"student_minus_{who}": scores_of(estimates, f"student_minus_{who}") for who in others
        },
        novelty=tuple(
            Band(
                low,
                high,
                len(rows),
                {who: scores_of(estimates, f"band {band}", who) for who in compared(sentences)},
            )
            for band, (low, high, rows) in enumerate(members)
        ),
        steps=StepGains(
            [estimates["steps", "explained_variance", str(step)] for step in steps],
            [estimates["steps", "over_first", str(step)] for step in steps],
            {who: [estimates["steps", f"over_{who}", str(step)] for step in steps] for who in others},
        ),
        gate_mass=gate_mass,
        gate_entropy=gate_entropy,
        expert_ablation=estimate(lattice.ablation, lattice.sentences, resamples=resamples, seed=seed),
        lattice=lattice,
        mean_vector_cosine=mean_vector_cosine,
        sentences=len(embeddings),
        bank=len(embeddings) + (0 if bank is None else len(bank)),
        pairs=0 if pairs is None else len(pairs.scores),
        resamples=resamples,
    )


def _check(
    model: CellNet, embeddings: Embeddings, bank: Embeddings | None, pairs: Pairs | None, resamples: int
) -> None:
    width = model.settings.embedding.teacher_width
    if embeddings.ndim != 2 or embeddings.shape[1] != width or len(embeddings) <= NEIGHBORS:
        raise DataError(
            f"embeddings of shape {embeddings.shape} cannot be evaluated; "
            f"give more than {NEIGHBORS} sentences of width {width}"
        )
    if bank is not None and (bank.ndim != 2 or bank.shape[1] != width):
        raise DataError(f"a bank of shape {bank.shape} does not fit; give sentences of width {width}")
    if pairs is not None and len(pairs.scores) < FEWEST_PAIRS:
        raise DataError(f"{len(pairs.scores)} pairs have no rank correlation; give at least {FEWEST_PAIRS}")
    if pairs is not None and len(np.unique(pairs.scores)) == 1:
        raise DataError("all pairs have the same score, so there is no rank correlation; give other pairs")
    if resamples < FEWEST_RESAMPLES:
        raise DataError(
            f"{resamples} resamples do not show where 95 % of them lie; take at least {FEWEST_RESAMPLES}"
        )


def _novelty_bands(
    embeddings: Embeddings, training: Embeddings | None, bands: int, work: Work
) -> list[tuple[float, float, Counts]]:
    """Return lowest and highest cosine and the sentences of each band that has some, most novel first."""
    if training is None:
        return []
    cosines = nearest_cosine(
        embeddings, training, device=work.device, progress=work.stage("nearest training sentence")
    )
    edges = np.quantile(cosines, np.linspace(0.0, 1.0, bands + 1)[1:-1])
    band = np.searchsorted(edges, cosines, side="right")
    members = [np.flatnonzero(band == place) for place in range(bands)]
    return [(float(cosines[rows].min()), float(cosines[rows].max()), rows) for rows in members if len(rows)]


def _sample(embeddings: Embeddings, count: int, seed: int) -> Embeddings:
    if count < 0:
        raise DataError(f"{count} sentences cannot be drawn; give 0 for all of them")
    if not 0 < count < len(embeddings):
        return embeddings
    rows = np.random.default_rng(seed).choice(len(embeddings), count, replace=False)
    return embeddings[np.sort(rows)]
