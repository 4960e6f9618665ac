"""An evaluation as plain values, for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cellnet.evaluation.estimates import Scores
from cellnet.evaluation.evaluate import Band, Evaluation
from cellnet.evaluation.intervals import LEVEL, Estimate
from cellnet.evaluation.subjects import WHO
from cellnet.student.experts import EXPERTS

COMPARED = ("student_minus_pca", "student_minus_mlp")


def as_dict(evaluation: Evaluation) -> dict[str, Any]:
    """Return an evaluation as plain values; who or what was not measured is None."""
    scores, steps, lattice = evaluation.scores, evaluation.steps, evaluation.lattice
    return {
        **{who: _with_pairs(scores.get(who)) for who in WHO},
        "differences": {name: _estimates(evaluation.differences.get(name)) for name in COMPARED},
        "intervals": {
            "level": LEVEL,
            "resamples": evaluation.resamples,
            **{who: _intervals(scores.get(who)) for who in WHO},
            "expert_ablation": _intervals(evaluation.expert_ablation),
        },
        "mean_vector_cosine": evaluation.mean_vector_cosine,
        "sentences": evaluation.sentences,
        "bank_sentences": evaluation.bank,
        "pairs": evaluation.pairs or None,
        "novelty": [_band(band) for band in evaluation.novelty] or None,
        "lattice_gain": {
            "explained_variance": _numbers(steps.explained_variance),
            "over_first": _numbers(steps.over_first),
            **{f"over_{who}": _numbers(steps.over.get(who)) for who in ("pca", "mlp")},
            "intervals": {
                "explained_variance": _pairs(steps.explained_variance),
                "over_first": _pairs(steps.over_first),
                **{f"over_{who}": _pairs(steps.over.get(who)) for who in ("pca", "mlp")},
            },
        },
        "expert_ablation": _plain(evaluation.expert_ablation),
        "gate_mass": evaluation.gate_mass,
        "gate_entropy": evaluation.gate_entropy,
        "experts": {
            "sentences": lattice.sentences,
            "order": list(EXPERTS),
            "output_norm": lattice.experts.output_norms.tolist(),
            "gate_mass": lattice.experts.gate_mean.tolist(),
            "cka": lattice.experts.similarity.tolist(),
        },
        "interior": None
        if lattice.interior is None
        else {
            "effective_dimension": lattice.interior.effective_dimension,
            "highest": lattice.interior.highest,
            "sentences": lattice.interior.sentences,
        },
    }


def _band(band: Band) -> dict[str, Any]:
    return {
        "lowest_cosine": band.lowest,
        "highest_cosine": band.highest,
        "sentences": band.sentences,
        **{who: _plain(band.scores.get(who)) for who in WHO},
        "differences": {name: _estimates(band.scores.get(name)) for name in COMPARED},
        "intervals": {who: _intervals(band.scores.get(who)) for who in WHO},
    }


def _with_pairs(scores: Scores | None) -> dict[str, float | None] | None:
    """The scores; those of pairs are None if there were no pairs, or for the teacher's code."""
    return None if scores is None else {"spearman": None, "spearman_code": None, **(_plain(scores) or {})}


def _plain(scores: Mapping[Any, Estimate] | None) -> dict[str, float] | None:
    return None if scores is None else {name: score.value for name, score in scores.items()}


def _intervals(scores: Mapping[Any, Estimate] | None) -> dict[str, list[float]] | None:
    return None if scores is None else {name: [score.low, score.high] for name, score in scores.items()}


def _estimates(scores: Scores | None) -> dict[str, dict[str, float]] | None:
    if scores is None:
        return None
    return {
        name: {"value": score.value, "low": score.low, "high": score.high} for name, score in scores.items()
    }


def _numbers(estimates: Sequence[Estimate] | None) -> list[float] | None:
    return None if estimates is None else [score.value for score in estimates]


def _pairs(estimates: Sequence[Estimate] | None) -> list[list[float]] | None:
    return None if estimates is None else [[score.low, score.high] for score in estimates]
