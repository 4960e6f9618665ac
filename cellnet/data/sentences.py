"""From a source to the sentences of a training: read, check, deduplicate, limit and split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cellnet.data.docstrings import docstring_sentences, standard_library
from cellnet.data.readers import read_values
from cellnet.data.rows import BadRow, Repeat, Row, check_length, check_row
from cellnet.data.split import sample, split
from cellnet.errors import DataError
from cellnet.settings import DataSettings

MIN_TRAIN = 8
MIN_VALIDATION = 4
MAX_LISTED_BAD_ROWS = 1000
MAX_LISTED_REPEATS = 1000


@dataclass(frozen=True, slots=True)
class DataReport:
    """The fate of every row: ``rows_read = kept + duplicates + over_limit + sum(bad_reasons)``.

    Attributes:
        source: the setting ``data.source``.
        rows_read: rows of the source, header excluded.
        kept: sentences in train and validation together.
        duplicates: rows whose text, whitespace normalized, came earlier.
        over_limit: different texts left out because of ``data.limit``.
        bad_reasons: number of bad rows for each reason.
        bad_rows: the first `MAX_LISTED_BAD_ROWS` bad rows, each with line, reason and excerpt.
        repeats: the `MAX_LISTED_REPEATS` texts that occur most often, of those that do more than once.
    """

    source: str
    rows_read: int
    kept: int
    duplicates: int
    over_limit: int
    bad_reasons: Mapping[str, int]
    bad_rows: tuple[BadRow, ...]
    repeats: tuple[Repeat, ...] = ()

    @property
    def summary(self) -> str:
        """One line for people."""
        parts = [f"{self.rows_read} rows of {self.source}: {self.kept} used"]
        parts += [f"{self.duplicates} duplicates"] * bool(self.duplicates)
        parts += [f"{self.over_limit} over the limit"] * bool(self.over_limit)
        parts += [f"{count} left out ({reason})" for reason, count in self.bad_reasons.items()]
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class SentenceData:
    """The sentences of a training; no text is on both sides."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    report: DataReport

    @property
    def problem(self) -> str:
        """Why a training cannot use them, and what to do; empty if it can."""
        train, validation = len(self.train), len(self.validation)
        if train >= MIN_TRAIN and validation >= MIN_VALIDATION:
            return ""
        return (
            f"too few sentences: {train} for training (at least {MIN_TRAIN}) and {validation} for "
            f"validation (at least {MIN_VALIDATION}); add sentences, or change data.validation_fraction "
            "or data.limit."
        )


def load_sentences(settings: DataSettings) -> SentenceData:
    """Read the source that the settings name and split it.

    The result depends on the settings and the texts alone; the limit keeps the same sentences
    whatever their order in the source.

    Raises:
        DataError: if the source cannot be read, or fewer than `MIN_TRAIN` training or
            `MIN_VALIDATION` validation sentences remain.
    """
    data = split_texts(*load_texts(settings), settings)
    if problem := data.problem:
        raise DataError(f"{problem} {data.report.summary}")
    return data


def split_texts(texts: Sequence[str], report: DataReport, settings: DataSettings) -> SentenceData:
    """Split what `load_texts` returns; see `SentenceData.problem` for whether it is enough."""
    train, validation = split(texts, settings.validation_fraction, settings.split_seed)
    return SentenceData(tuple(train), tuple(validation), report)


def load_texts(settings: DataSettings) -> tuple[list[str], DataReport]:
    """Read the source that the settings name, without a split; there may be no sentence at all.

    Raises:
        DataError: if the source cannot be read.
    """
    counts: Counter[str] = Counter()
    first: dict[str, int] = {}
    bad_rows: list[BadRow] = []
    reasons: Counter[str] = Counter()
    for found in _rows(settings):
        row = check_length(found, settings.min_characters, settings.max_characters)
        if isinstance(row, Row):
            counts[row.text] += 1
            first.setdefault(row.text, row.line)
            continue
        reasons[row.reason] += 1
        if len(bad_rows) < MAX_LISTED_BAD_ROWS:
            bad_rows.append(row)
    used = sample(list(first), settings.limit, settings.split_seed)
    frequent = counts.most_common(MAX_LISTED_REPEATS)
    return used, DataReport(
        source=settings.source,
        rows_read=counts.total() + reasons.total(),
        kept=len(used),
        duplicates=counts.total() - len(first),
        over_limit=len(first) - len(used),
        bad_reasons=dict(reasons),
        bad_rows=tuple(bad_rows),
        repeats=tuple(Repeat(first[text], count, text) for text, count in frequent if count > 1),
    )


@lru_cache(maxsize=1)
def _library_rows(folder: Path) -> tuple[Row | BadRow, ...]:
    """The sentences of the library, which takes seconds to read and does not change while Python runs."""
    return tuple(
        check_row(row.line, row.text) if isinstance(row, Row) else row
        for row in docstring_sentences(folder)
    )


def _rows(settings: DataSettings) -> Iterator[Row | BadRow]:
    if settings.source == "docstrings":
        if settings.column:
            raise DataError(
                f"data.column is {settings.column!r}, but docstrings have no columns; leave it empty"
            )
        yield from _library_rows(standard_library())
    else:
        for item in read_values(Path(settings.source).expanduser(), settings.column):
            yield item if isinstance(item, BadRow) else check_row(*item)
