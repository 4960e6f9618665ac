"""An evaluation as charts with confidence intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from cellnet.evaluation import Band, Estimate, Evaluation
from lab.figures.colors import EXPERT_COLORS
from lab.figures.layout import Figure, Trace, framed, trace

NAMES: Final = {"student": "student", "teacher": "teacher", "pca": "PCA", "mlp": "MLP student"}
COLORS: Final = {"student": "#D55E00", "pca": "#0072B2", "mlp": "#CC79A7"}
"""Okabe and Ito's, with a symbol each, so that color alone never tells them apart."""
SYMBOLS: Final = {"student": "circle", "pca": "square", "mlp": "diamond"}
SHARES: Final = {
    "explained_variance": "explained variance",
    "mean_cosine": "mean cosine",
    "knn_overlap_10": "kNN overlap@10",
    "recall_1": "recall@1",
    "recall_5": "recall@5",
    "recall_10": "recall@10",
}
"""The scores that lie between 0 and 1, best first of all."""
_GRAY: Final = "#8A949E"
_LINE: Final = {"type": "line", "line": {"width": 1, "color": _GRAY}}
_HEIGHT: Final = 300


def differences_figure(evaluation: Evaluation) -> Figure:
    """The student minus PCA, and minus the MLP student, in each score that lies between 0 and 1."""
    traces = []
    for name, scores in evaluation.differences.items():
        who = name.removeprefix("student_minus_")
        shown = [scores[score] for score in SHARES]
        traces.append(
            trace(
                "scatter",
                x=[score.value for score in shown],
                y=list(SHARES.values()),
                error_x=_error(shown),
                mode="markers",
                marker={"color": COLORS[who], "symbol": SYMBOLS[who], "size": 9},
                name=f"student minus {NAMES[who]}",
                hovertemplate="%{y}: %{x:+.4f} %{customdata}<extra></extra>",
                customdata=_spans(shown),
            )
        )
    return framed(
        traces,
        height=_HEIGHT,
        legend=True,
        xaxis={"title": "difference, to the right the student is better"},
        yaxis={"autorange": "reversed"},
        scattermode="group",
        shapes=[{**_LINE, "x0": 0, "x1": 0, "y0": 0, "y1": 1, "yref": "y domain"}],
    )


def novelty_figure(bands: Sequence[Band]) -> Figure:
    """Explained variance by novelty: the most novel fifth of the sentences at the left."""
    labels = [f"{band.lowest:.2f} to {band.highest:.2f}" for band in bands]
    traces = [
        _line(labels, [band.scores[who]["explained_variance"] for band in bands], who)
        for who in COLORS
        if who in bands[0].scores
    ]
    return framed(
        traces,
        height=_HEIGHT,
        legend=True,
        xaxis={"title": "cosine to the nearest training sentence", "type": "category"},
        yaxis={"title": "explained variance"},
        hovermode="x unified",
    )


def gains_figure(evaluation: Evaluation) -> Figure:
    """Explained variance of what is read out after each lattice step, next to PCA and the MLP student."""
    steps = list(range(len(evaluation.steps.explained_variance)))
    traces = [_line(steps, evaluation.steps.explained_variance, "student")]
    for who in ("pca", "mlp"):
        if who in evaluation.scores:
            value = evaluation.scores[who]["explained_variance"].value
            traces.append(
                trace(
                    "scatter",
                    x=[steps[0], steps[-1]],
                    y=[value, value],
                    mode="lines",
                    line={"color": COLORS[who], "dash": "dash" if who == "pca" else "dot", "width": 2},
                    name=NAMES[who],
                    hovertemplate="%{y:.4f}",
                )
            )
    return framed(
        traces,
        height=_HEIGHT,
        legend=True,
        xaxis={"title": "read out after lattice step", "dtick": 1},
        yaxis={"title": "explained variance"},
        hovermode="x unified",
    )


def silenced_figure(ablation: Mapping[Any, Estimate]) -> Figure:
    """The relative rise of the squared error with each expert silenced."""
    shown = list(ablation.values())
    bars = trace(
        "bar",
        x=list(ablation),
        y=[score.value for score in shown],
        error_y=_error(shown) | {"color": _GRAY},
        marker={"color": [EXPERT_COLORS[name] for name in ablation]},
        hovertemplate="%{x} silenced: %{y:+.2%} %{customdata}<extra></extra>",
        customdata=[f"[{score.low:+.2%}, {score.high:+.2%}]" for score in shown],
    )
    return framed(
        [bars],
        height=_HEIGHT,
        legend=False,
        xaxis={},
        yaxis={"title": "rise of the squared error", "tickformat": "+.1%"},
        shapes=[{**_LINE, "x0": 0, "x1": 1, "xref": "x domain", "y0": 0, "y1": 0}],
    )


def _line(x: Sequence[Any], estimates: Sequence[Estimate], who: str) -> Trace:
    return trace(
        "scatter",
        x=x,
        y=[score.value for score in estimates],
        error_y=_error(estimates),
        mode="lines+markers",
        line={"color": COLORS[who], "width": 2},
        marker={"symbol": SYMBOLS[who], "size": 8},
        name=NAMES[who],
        hovertemplate="%{y:.4f} %{customdata}",
        customdata=_spans(estimates),
    )


def _error(estimates: Sequence[Estimate]) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [score.high - score.value for score in estimates],
        "arrayminus": [score.value - score.low for score in estimates],
        "thickness": 1.5,
    }


def _spans(estimates: Sequence[Estimate]) -> list[str]:
    return [f"[{score.low:.4f}, {score.high:.4f}]" for score in estimates]
