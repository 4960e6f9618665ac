"""How near a text is to another, word by word: BLEU and token F1."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

ORDERS = 4
_WORD = re.compile(r"\w+|[^\w\s]")


def words(text: str) -> list[str]:
    """Return words and marks in lower case, since most tokenizers of teachers keep no other."""
    return _WORD.findall(text.lower())


def bleu(candidates: Sequence[str], references: Sequence[str]) -> float:
    """Return the BLEU of a corpus with one reference each (Papineni et al. 2002), 0 to 1.

    The geometric mean of the clipped precisions of 1 to `ORDERS` words, times the brevity penalty; without
    smoothing, so that it is 0 where nothing of the longest order agrees.
    """
    agreed, said = [0] * ORDERS, [0] * ORDERS
    lengths = [0, 0]
    for pair in zip(candidates, references, strict=True):
        one, other = map(words, pair)
        lengths = [lengths[0] + len(one), lengths[1] + len(other)]
        for order in range(ORDERS):
            mine, theirs = _runs(one, order + 1), _runs(other, order + 1)
            agreed[order] += (mine & theirs).total()
            said[order] += mine.total()
    if not all(agreed):
        return 0.0
    precision = sum(math.log(part / whole) for part, whole in zip(agreed, said, strict=True)) / ORDERS
    return math.exp(precision + min(0.0, 1.0 - lengths[1] / lengths[0]))


def token_f1(candidate: str, reference: str) -> float:
    """Return the harmonic mean of precision and recall of the words, whatever their order."""
    mine, theirs = Counter(words(candidate)), Counter(words(reference))
    shared = (mine & theirs).total()
    return 2.0 * shared / (mine.total() + theirs.total()) if shared else 0.0


def _runs(tokens: list[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(tokens[start:] for start in range(order)), strict=False))
