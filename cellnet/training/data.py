"""The embeddings a training works on, and the order in which it sees them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from cellnet.data import DataReport, load_sentences, make_variants
from cellnet.errors import DataError
from cellnet.logs import set_log_level
from cellnet.measures import Embeddings
from cellnet.settings import Settings
from cellnet.teacher import Teacher, default_cache_dir, embed

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many are done, and how many there are."""


@dataclass(frozen=True)
class TrainingData:
    """Sentences and their teacher embeddings.

    Attributes:
        train, validation: embeddings, (n, D) float32, possibly memory-mapped.
        train_texts, validation_texts: the sentences, in the same order.
        report: what was read and what was left out, if the data came from a source.
        variants: embeddings of texts made from the training sentences, (m, D), which a student is trained
            on too; None if there are none.
    """

    train: Embeddings
    validation: Embeddings
    train_texts: tuple[str, ...] = ()
    validation_texts: tuple[str, ...] = ()
    report: DataReport | None = None
    variants: Embeddings | None = None


def prepare_data(
    settings: Settings,
    *,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> TrainingData:
    """Read the sentences, embed them with the teacher (or take the cached embeddings) and split them.

    Raises:
        DataError, TeacherError: see `load_sentences` and `Teacher.load`.
    """
    set_log_level(settings)
    sentences = load_sentences(settings.data)
    teacher = Teacher.load(settings.embedding, torch.device(settings.device.device))
    cache = default_cache_dir(settings.data)

    def report(label: str) -> Callable[[int, int], None] | None:
        return None if progress is None else lambda done, total: progress(label, done, total)

    def embedded(texts: Sequence[str], label: str) -> Embeddings:
        return embed(texts, teacher, cache, progress=report(f"embedding {label}"), should_stop=should_stop)

    variants = make_variants(sentences.train, settings.data.variants, settings.data.split_seed)
    return TrainingData(
        embedded(sentences.train, "training sentences"),
        embedded(sentences.validation, "validation sentences"),
        sentences.train,
        sentences.validation,
        sentences.report,
        embedded(variants, "variants") if variants else None,
    )


class BatchOrder:
    """Shuffled batches without end: each pass over the data is a permutation drawn from (seed, pass).

    Rows that do not fill a batch at the end of a pass are left to the next one.

    Raises:
        DataError: if there are fewer rows than one batch needs.
    """

    def __init__(self, rows: int, batch_size: int, seed: int) -> None:
        if rows < batch_size:
            raise DataError(
                f"{rows} training sentences do not fill one batch of {batch_size}; "
                "lower training.batch_size or give more data"
            )
        self.rows = rows
        self.batch_size = batch_size
        self.seed = seed
        self.passes = 0
        self.position = 0
        self._permutation = self._draw()

    def _draw(self) -> npt.NDArray[np.int64]:
        return np.random.default_rng([self.seed, self.passes]).permutation(self.rows)

    def next(self) -> npt.NDArray[np.int64]:
        """Return the rows of the next batch, (batch_size,)."""
        if self.position + self.batch_size > self.rows:
            self.passes += 1
            self.position = 0
            self._permutation = self._draw()
        batch = self._permutation[self.position : self.position + self.batch_size]
        self.position += self.batch_size
        return batch

    def state(self) -> dict[str, int]:
        """Return what is needed to go on from here."""
        return {"rows": self.rows, "passes": self.passes, "position": self.position}

    def restore(self, state: Mapping[str, int]) -> None:
        """Go on from a saved state.

        Raises:
            DataError: if the data has another number of rows than when it was saved.
        """
        if state["rows"] != self.rows:
            raise DataError(
                f"the run was trained on {state['rows']} sentences and there are now {self.rows}; "
                "resume it with the same data"
            )
        self.passes, self.position = state["passes"], state["position"]
        self._permutation = self._draw()


class Batches:
    """What a training sees: batches without end of training embeddings and their variants.

    With ``training.interpolation`` some rows of a batch are moved toward the row before them, by a share
    between 0 and a half; where the teacher's embeddings have unit length, so do these.

    Raises:
        DataError: if there are fewer rows than one batch needs.
    """

    def __init__(self, data: TrainingData, settings: Settings) -> None:
        parts = [data.train] if data.variants is None else [data.train, data.variants]
        training = settings.training
        self._first, self._rest = data.train, parts[1:]
        self._share = training.interpolation
        self._normalized = settings.embedding.normalize
        self.shape = training.batch_size, data.train.shape[1]
        self._order = BatchOrder(sum(map(len, parts)), training.batch_size, settings.init.seed)

    def fill(self, batch: Embeddings) -> None:
        """Write the next batch to an array (B, D)."""
        rows = self._order.next()
        own = rows < len(self._first)
        batch[own] = self._first[rows[own]]
        for rest in self._rest:
            batch[~own] = rest[rows[~own] - len(self._first)]
        if self._share:
            self._interpolate(batch)

    def _interpolate(self, batch: Embeddings) -> None:
        state = self._order.state()
        draw = np.random.default_rng([self._order.seed, state["passes"], state["position"]])
        share = draw.uniform(0.0, 0.5, len(batch)) * (draw.random(len(batch)) < self._share)
        batch += share[:, None].astype(np.float32) * (np.roll(batch, 1, axis=0) - batch)
        if self._normalized:
            batch /= np.linalg.norm(batch, axis=1, keepdims=True)

    def state(self) -> dict[str, int]:
        """Return what is needed to go on from here."""
        return self._order.state()

    def restore(self, state: Mapping[str, int]) -> None:
        """Go on from a saved state.

        Raises:
            DataError: if there is another number of rows than when it was saved.
        """
        self._order.restore(state)
