"""From what was measured of each sentence and each pair to estimates with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from cellnet.evaluation.correlation import spearman
from cellnet.evaluation.intervals import Estimate, Numbers, estimate
from cellnet.evaluation.neighbors import Counts
from cellnet.evaluation.scores import PerSentence
from cellnet.evaluation.sentences import Work
from cellnet.evaluation.subjects import Pairs, pair_cosines, subjects
from cellnet.student.codec import PCA
from cellnet.student.perceptron import Perceptron
from cellnet.student.student import CellNet

Scores = dict[str, Estimate]
"""The measures of one subject, by name."""


def compared(sentences: Mapping[str, object]) -> list[str]:
    """The subjects, and the student minus each of those it can be better than."""
    return [*sentences, *(f"student_minus_{who}" for who in ("pca", "mlp") if who in sentences)]


def all_measures(
    sentences: Mapping[str, PerSentence], errors: Numbers, bands: list[Counts], weights: Numbers
) -> dict[tuple[str, ...], Numbers]:
    """Return all that is measured of sentences, under each row of weights (R, n)."""
    found: dict[tuple[str, ...], Numbers] = {}
    _add_scores(found, (), sentences, weights)
    for band, rows in enumerate(bands):
        those = {who: measured.of(rows) for who, measured in sentences.items()}
        _add_scores(found, (f"band {band}",), those, weights[:, rows])
    explained = 1.0 - (weights @ errors.T) / (weights @ sentences["student"].spread)[:, None]
    for step, value in enumerate(explained.T):
        found["steps", "explained_variance", str(step)] = value
        found["steps", "over_first", str(step)] = value - explained[:, 0]
        for who in ("pca", "mlp"):
            if who in sentences:
                found["steps", f"over_{who}", str(step)] = value - found[who, "explained_variance"]
    return found


def _add_scores(
    found: dict[tuple[str, ...], Numbers],
    prefix: tuple[str, ...],
    sentences: Mapping[str, PerSentence],
    weights: Numbers,
) -> None:
    scores = {who: measured.scores(weights) for who, measured in sentences.items()}
    for who, values in scores.items():
        for name, value in values.items():
            found[(*prefix, who, name)] = value
            if who in ("pca", "mlp"):
                found[(*prefix, f"student_minus_{who}", name)] = scores["student"][name] - value


def pair_estimates(
    model: CellNet,
    pca: PCA,
    perceptron: Perceptron | None,
    pairs: Pairs,
    resamples: int,
    seed: int,
    work: Work,
) -> dict[tuple[str, ...], Estimate]:
    cosines: dict[tuple[str, str], Numbers] = {}
    cosines_of = partial(pair_cosines, pairs=pairs, device=work.device, batch_size=work.batch_size)
    for who, subject in subjects(model, pca, perceptron).items():
        cosines[who, "spearman"] = cosines_of(subject.answer)
        if subject.code is not None:
            cosines[who, "spearman_code"] = cosines_of(subject.code)

    def measure(weights: Numbers) -> dict[tuple[str, ...], Numbers]:
        found: dict[tuple[str, ...], Numbers] = {
            key: spearman(values, pairs.scores, weights) for key, values in cosines.items()
        }
        for who, name in cosines:
            if who in ("pca", "mlp"):
                found[f"student_minus_{who}", name] = found["student", name] - found[who, name]
        return found

    return estimate(measure, len(pairs.scores), resamples=resamples, seed=seed)


def scores_of(estimates: Mapping[tuple[str, ...], Estimate], *prefix: str) -> Scores:
    return {key[-1]: value for key, value in estimates.items() if key[:-1] == prefix}
