"""Pairs of sentences with a score that people gave, from a .csv file."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from cellnet.data.columns import find_column
from cellnet.data.readers import read_csv
from cellnet.data.rows import BadRow, Row, bad_row, check_length, check_row
from cellnet.errors import DataError

PAIR_COLUMNS = ("sentence1", "sentence2", "score")
MAX_PAIR_CHARACTERS = 10_000


@dataclass(frozen=True, slots=True)
class SentencePairs:
    """Pairs of sentences; the higher the score, the more alike people found them.

    Attributes:
        first, second: the sentences.
        scores: one for each pair.
        bad_rows: the rows that were left out, each with line, reason and excerpt.
    """

    first: tuple[str, ...]
    second: tuple[str, ...]
    scores: tuple[float, ...]
    bad_rows: tuple[BadRow, ...]

    @property
    def summary(self) -> str:
        """One line for people; the first bad rows by line, and all of them by reason."""
        text = f"{len(self.scores)} pairs"
        if self.bad_rows:
            reasons = Counter(row.reason for row in self.bad_rows)
            text += f", {len(self.bad_rows)} left out: " + ", ".join(
                f"{count} {reason} (line{'s' * (count > 1)} {self._lines(reason)})"
                for reason, count in reasons.items()
            )
        return text

    def _lines(self, reason: str, shown: int = 5) -> str:
        lines = [row.line for row in self.bad_rows if row.reason == reason]
        return ", ".join(map(str, lines[:shown])) + (", ..." if len(lines) > shown else "")


def load_pairs(path: Path) -> SentencePairs:
    """Read pairs from the columns sentence1, sentence2 and score.

    Raises:
        DataError: if the file cannot be read, lacks a column or holds no pair.
    """
    if path.suffix.lower() != ".csv":
        raise DataError(
            f"pairs are read from a .csv file with the columns {', '.join(PAIR_COLUMNS)}: {path}"
        )
    rows = read_csv(path)
    header = next(rows)
    assert not isinstance(header, BadRow)
    places = [find_column(path, column, header[1]) for column in PAIR_COLUMNS]
    pairs: list[tuple[str, str, float]] = []
    bad: list[BadRow] = []
    for row in rows:
        checked = row if isinstance(row, BadRow) else _check(row[0], *(row[1][place] for place in places))
        if isinstance(checked, BadRow):
            bad.append(checked)
        else:
            pairs.append(checked)
    if not pairs:
        kept = SentencePairs((), (), (), tuple(bad))
        raise DataError(f"{path} holds {kept.summary}; give rows of {', '.join(PAIR_COLUMNS)}")
    first, second, scores = zip(*pairs, strict=True)
    return SentencePairs(first, second, scores, tuple(bad))


def _check(line: int, first: str, second: str, score: str) -> tuple[str, str, float] | BadRow:
    sentences = []
    for column, text in zip(PAIR_COLUMNS[:2], (first, second), strict=True):
        row = check_length(check_row(line, text), 1, MAX_PAIR_CHARACTERS)
        if not isinstance(row, Row):
            return bad_row(line, f"{column} {row.reason}", text)
        sentences.append(row.text)
    try:
        number = float(score)
    except ValueError:
        return bad_row(line, "score is no number", score)
    if not math.isfinite(number):
        return bad_row(line, "score is not finite", score)
    return sentences[0], sentences[1], number
