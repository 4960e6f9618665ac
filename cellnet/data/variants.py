"""Variants of sentences: more texts for the teacher to embed where there are few to learn from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_FEWEST_WORDS_TO_CUT = 6
_FEWEST_WORDS_OF_A_PASSAGE = 3
_LONGEST_PASSAGE = 0.7


def make_variants(sentences: Sequence[str], count: int, seed: int) -> list[str]:
    """Return ``count`` variants of each of n sentences, round by round: (count * n) texts.

    Rounds alternate. In the first, a variant is a passage of the sentence, at least three words and at most
    seven tenths of it; a sentence of fewer than six words is followed by another one instead. In the second
    it is the beginning of the sentence joined to the end of another. They need make no sense: a teacher
    embeds them all the same, and what is learned of its space from them holds for sentences too.

    The texts depend on the arguments alone.
    """
    # A RandomState gives the same numbers in every version of NumPy; cached embeddings depend on the texts.
    random = np.random.RandomState(seed)
    words = [sentence.split() for sentence in sentences]
    variants = []
    for turn in range(count):
        for own in words:
            other = words[random.randint(len(words))]
            vary = _joined if turn % 2 else _passage
            variants.append(" ".join(vary(own, other, random)))
    return variants


def _passage(own: list[str], other: list[str], random: np.random.RandomState) -> list[str]:
    if len(own) < _FEWEST_WORDS_TO_CUT:
        return own + other
    longest = int(len(own) * _LONGEST_PASSAGE)
    length = random.randint(_FEWEST_WORDS_OF_A_PASSAGE, longest + 1)
    start = random.randint(len(own) - length + 1)
    return own[start : start + length]


def _joined(own: list[str], other: list[str], random: np.random.RandomState) -> list[str]:
    return own[: random.randint(1, len(own) + 1)] + other[random.randint(len(other)) :]
