"""The sentences of an evaluation, read from files and embedded by the teacher."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cellnet.data import SentencePairs, load_pairs, load_texts
from cellnet.errors import DataError
from cellnet.evaluation.subjects import Pairs
from cellnet.measures import Embeddings
from cellnet.settings import DataSettings, Settings, with_changes
from cellnet.teacher import Teacher, default_cache_dir, embed
from cellnet.training.data import Progress


@dataclass(frozen=True)
class Bank:
    """More sentences among which recall is measured.

    Attributes:
        embeddings: those of the sentences that are not evaluated anyway, (M, D).
        evaluated_too: how many sentences of the file are evaluated.
    """

    embeddings: Embeddings
    evaluated_too: int


class SentenceReader:
    """Reads and embeds sentences for a student; embeddings are cached as those of a training are.

    Args:
        settings: of the student.
        teacher: of the student.
        column: of files that have columns.
        progress: told how many sentences are embedded.
        say: told in a line what was read of each file, and what was left out.
    """

    def __init__(
        self,
        settings: Settings,
        teacher: Teacher,
        *,
        column: str = "",
        progress: Progress,
        say: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._column = column
        self._teacher = teacher
        self._cache = default_cache_dir(settings.data)
        self._progress = progress
        self._say = say

    def texts(self, source: str, limit: int = 0) -> list[str]:
        """Return the sentences of a file.

        Raises:
            DataError: if it cannot be read.
            SettingsError: if it is of a kind that holds no sentences.
        """
        with_changes(self._settings, {"data.source": source})  # refuses what cannot be read
        texts, report = load_texts(DataSettings(source=source, column=self._column, limit=limit))
        self._say(report.summary)
        return texts

    def embed(self, texts: Sequence[str], label: str) -> Embeddings:
        """Return the embeddings (n, D) of n >= 1 sentences."""
        return embed(
            texts,
            self._teacher,
            self._cache,
            progress=lambda done, total: self._progress(f"embedding {label}", done, total),
        )

    def pairs(self, path: Path) -> tuple[Pairs, SentencePairs]:
        """Return the pairs of a .csv file with human scores, embedded and as they are.

        Raises:
            DataError: if it cannot be read, lacks a column or holds no pair.
        """
        texts = load_pairs(path)
        self._say(f"{path.name}: {texts.summary}")
        first, second = (
            self.embed(side, f"pairs, {which} sentences")
            for side, which in ((texts.first, "first"), (texts.second, "second"))
        )
        return Pairs(first, second, np.array(texts.scores)), texts

    def bank(self, source: str, evaluated: Sequence[str]) -> Bank:
        """Return the sentences of a file that are not among the evaluated ones.

        Raises:
            DataError: if it cannot be read, or there are none.
        """
        known = set(evaluated)
        given = self.texts(source)
        others = [text for text in given if text not in known]
        if not others:
            raise DataError(f"{source} holds no sentence that is not evaluated; give another bank")
        return Bank(self.embed(others, Path(source).name), len(given) - len(others))
