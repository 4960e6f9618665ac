"""Figures of the sentences: counts, lengths, rows left out, and a map of their embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from textwrap import shorten, wrap
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from cellnet.data import DataReport, SentenceData
from cellnet.settings import DataSettings
from cellnet.student.codec import fit_pca
from cellnet.training import TrainingData
from lab.figures.colors import SPLIT_COLORS
from lab.figures.layout import Figure, Trace, color_scale, framed, trace

Coloring = Literal["split", "length"]
COLORINGS: Final[dict[Coloring, str]] = {"split": "Split", "length": "Length"}
MOST_POINTS: Final = 3000
"""More points than this, drawn as SVG, make a browser stutter."""
MOST_ROWS: Final = 1000
_BINS: Final = 60
_HOVER_LINE: Final = 70
_HOVER_CHARACTERS: Final = 210
_HEIGHT: Final = 520


def count_facts(data: SentenceData) -> dict[str, str]:
    """Return the counts of the rows for people; zeros are left out."""
    report = data.report
    facts = {
        "rows read": f"{report.rows_read:,}",
        "used": f"{report.kept:,}",
        "for training": f"{len(data.train):,}",
        "held out": f"{len(data.validation):,}",
        "duplicates": f"{report.duplicates:,}",
        "over the limit": f"{report.over_limit:,}",
        "left out as bad": f"{sum(report.bad_reasons.values()):,}",
    }
    if report.kept:
        lengths = np.array([len(text) for text in (*data.train, *data.validation)])
        low, middle, high = np.percentile(lengths, (5, 50, 95))
        facts["characters, 5 / 50 / 95 %"] = f"{low:.0f} / {middle:.0f} / {high:.0f}"
    return facts


def length_figure(data: SentenceData, settings: DataSettings) -> Figure:
    """Draw the lengths of sentences by split, and the limits where they lie in the picture."""
    lengths = {"train": _lengths(data.train), "validation": _lengths(data.validation)}
    longest = max((int(part.max()) for part in lengths.values() if len(part)), default=1)
    width = max(1, -(-longest // _BINS))
    edges = np.arange(0, longest + width + 1, width)
    last = edges[1:] - 1
    limits = {
        word: limit
        for word, limit in (("shortest", settings.min_characters), ("longest", settings.max_characters))
        if 1 < limit <= longest + width
    }
    upright = {
        "type": "line",
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "line": {"color": "#8a949e", "dash": "dot"},
    }
    word_beside = {"yref": "paper", "y": 1, "xanchor": "left", "yanchor": "top", "showarrow": False}
    bars = [
        trace(
            "bar",
            x=(edges[:-1] + last) / 2,
            y=np.histogram(part, edges)[0],
            width=width * 0.94,
            name=f"{split} ({len(part):,})",
            marker={"color": SPLIT_COLORS[split], "line": {"width": 0}},
            customdata=np.stack([edges[:-1], last], axis=1),
            hovertemplate="%{customdata[0]} to %{customdata[1]} characters: %{y:,} sentences",
        )
        for split, part in lengths.items()
    ]
    return framed(
        bars,
        height=320,
        legend=True,
        xaxis={"title": "characters", "rangemode": "tozero"},
        yaxis={"title": "sentences"},
        barmode="stack",
        shapes=[{**upright, "x0": limit, "x1": limit} for limit in limits.values()],
        annotations=[{**word_beside, "x": limit, "text": word} for word, limit in limits.items()],
    )


def _lengths(texts: Sequence[str]) -> npt.NDArray[np.int64]:
    return np.array([len(text) for text in texts], dtype=np.int64)


def sentence_table(data: SentenceData, find: str, splits: Sequence[str]) -> tuple[pd.DataFrame, int]:
    """Return the first `MOST_ROWS` sentences that contain every word of ``find``, and how many do.

    Args:
        splits: ``train``, ``validation``, or both.
    """
    words = find.casefold().split()
    rows = [
        (split, len(text), text)
        for split, texts in (("train", data.train), ("validation", data.validation))
        if split in splits
        for text in texts
        if all(word in text.casefold() for word in words)
    ]
    return pd.DataFrame(rows[:MOST_ROWS], columns=["split", "characters", "sentence"]), len(rows)


def bad_rows_table(report: DataReport) -> pd.DataFrame:
    """The rows that are left out: line, reason, and how they begin."""
    rows = [(row.line, row.reason, row.excerpt) for row in report.bad_rows]
    return pd.DataFrame(rows, columns=["line", "reason", "begins"])


def reasons_table(report: DataReport) -> pd.DataFrame:
    """Draw the number of rows left out for each reason, the most frequent first."""
    rows = sorted(report.bad_reasons.items(), key=lambda item: -item[1])
    return pd.DataFrame(rows, columns=["reason", "rows"])


def repeats_table(report: DataReport) -> pd.DataFrame:
    """The texts that occur more than once: how often, the first line, and the text."""
    rows = [(repeat.count, repeat.line, repeat.text) for repeat in report.repeats]
    return pd.DataFrame(rows, columns=["times", "first line", "sentence"])


@dataclass(frozen=True, eq=False)
class EmbeddingMap:
    """Embeddings in the plane of their two first principal components.

    Attributes:
        points: (n, 2), centered.
        held_out: whether each is of the validation set, (n,).
        texts: the n sentences.
        shares: share of the variance that each of the two components explains.
        total: number of sentences of which these are a sample.
    """

    points: npt.NDArray[np.float32]
    held_out: npt.NDArray[np.bool_]
    texts: tuple[str, ...]
    shares: tuple[float, float]
    total: int


def embedding_map(data: TrainingData) -> EmbeddingMap:
    """Project a sample of at most `MOST_POINTS` embeddings, always the same, by PCA."""
    counts = len(data.train), len(data.validation)
    total = sum(counts)
    rows = np.sort(np.random.default_rng(0).permutation(total)[:MOST_POINTS])
    here, there = rows[rows < counts[0]], rows[rows >= counts[0]] - counts[0]
    embeddings = np.concatenate([data.train[here], data.validation[there]])
    pca = fit_pca(embeddings)
    mean, components = pca.mean.numpy(), pca.components[:2].numpy()
    points = ((embeddings - mean) @ components.T).astype(np.float32)
    texts = [data.train_texts[row] for row in here] + [data.validation_texts[row] for row in there]
    first, second = (float(part) / pca.total_variance for part in pca.variance[:2])
    return EmbeddingMap(points, np.arange(len(rows)) >= len(here), tuple(texts), (first, second), total)


def map_figure(shown: EmbeddingMap, coloring: Coloring, find: str = "") -> Figure:
    """The map, colored by split or length; sentences that contain ``find`` are ringed."""
    hover = np.array([_hover(text) for text in shown.texts], dtype=object)
    if coloring == "split":
        traces = [
            _scatter(
                shown.points[chosen],
                hover[chosen],
                split,
                {"color": SPLIT_COLORS[split], "size": 5, "opacity": 0.6},
            )
            for split, chosen in (("train", ~shown.held_out), ("validation", shown.held_out))
        ]
    else:
        lengths = _lengths(shown.texts)
        marker = {
            "color": lengths,
            "cmin": 0,
            "cmax": float(np.percentile(lengths, 98)),
            "colorscale": color_scale("viridis"),
            "colorbar": {"title": {"text": "characters"}, "thickness": 12},
            "size": 5,
            "opacity": 0.75,
        }
        traces = [_scatter(shown.points, hover, "sentences", marker)]
    if words := find.casefold().split():
        matching = np.array([all(word in text.casefold() for word in words) for text in shown.texts])
        marker = {"color": "rgba(0,0,0,0)", "size": 11, "line": {"color": "#D1126F", "width": 2}}
        traces.append(
            _scatter(shown.points[matching], hover[matching], f"found ({matching.sum():,})", marker)
        )
    first, second = shown.shares
    return framed(
        traces,
        height=_HEIGHT,
        legend=True,
        xaxis={"title": f"component 1 ({first:.1%} of the variance)", "zeroline": False},
        yaxis={
            "title": f"component 2 ({second:.1%})",
            "zeroline": False,
            "scaleanchor": "x",
            "constrain": "domain",
        },
        hoverlabel={"align": "left"},
        dragmode="pan",
    )


def _scatter(
    points: npt.NDArray[np.float32],
    hover: npt.NDArray[np.object_],
    name: str,
    marker: dict[str, object],
) -> Trace:
    return trace(
        "scatter",
        x=points[:, 0],
        y=points[:, 1],
        mode="markers",
        marker=marker,
        name=name,
        text=hover,
        hovertemplate="%{text}<extra>%{fullData.name}</extra>",
    )


def _hover(text: str) -> str:
    """A sentence for a hover label: short, in lines, and without markup of its own."""
    return "<br>".join(escape(line) for line in wrap(shorten(text, _HOVER_CHARACTERS), _HOVER_LINE))
