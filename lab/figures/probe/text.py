"""Sentences near an embedding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cellnet.decoder import Match


@dataclass(frozen=True)
class Neighbor:
    """A sentence near an embedding.

    Attributes:
        text: the sentence.
        cosine: with the embedding.
        rank: 1 for the nearest.
        other_rank: its rank in the list it is compared with, or None if it is not in there.
    """

    text: str
    cosine: float
    rank: int
    other_rank: int | None


def neighbors(matches: Sequence[Match], others: Sequence[Match]) -> list[Neighbor]:
    """The matches, with the rank that each has among the others."""
    ranks = {match.index: rank for rank, match in enumerate(others, start=1)}
    return [
        Neighbor(match.text, match.score, rank, ranks.get(match.index))
        for rank, match in enumerate(matches, start=1)
    ]
