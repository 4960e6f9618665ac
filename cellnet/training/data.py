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
from cellnet.measures import Embeddings, parts
from cellnet.settings import Settings
from cellnet.teacher import Teacher, default_cache_dir, embed

SMALLEST_VALIDATION = 4
"""Sentences that a validation, and each of its batches, has at least."""
_ROWS_CHECKED_AT_ONCE = 8192

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
        variant_texts: those texts, round by round as `make_variants` gives them, in the same order.
    """

    train: Embeddings
    validation: Embeddings
    train_texts: tuple[str, ...] = ()
    validation_texts: tuple[str, ...] = ()
    report: DataReport | None = None
    variants: Embeddings | None = None
    variant_texts: tuple[str, ...] = ()


def prepare_data(
    settings: Settings,
    *,
    with_variants: bool = True,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> TrainingData:
    """Read the sentences, embed them with the teacher (or take the cached embeddings) and split them.

    Args:
        settings: the settings tree.
        with_variants: whether to make and embed the variants that the settings ask for, which only a
            training needs; for many sentences that takes a while even if they are cached.
        progress: told what is being embedded and how far it is.
        should_stop: asked between blocks of sentences.

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

    count = settings.data.variants if with_variants else 0
    variants = make_variants(sentences.train, count, settings.data.split_seed)
    return TrainingData(
        embedded(sentences.train, "training sentences"),
        embedded(sentences.validation, "validation sentences"),
        sentences.train,
        sentences.validation,
        sentences.report,
        embedded(variants, "variants") if variants else None,
        tuple(variants),
    )


def check_data(data: TrainingData, settings: Settings) -> None:
    """Check that embeddings suit the settings.

    Raises:
        DataError: naming what is wrong.
    """
    width = settings.embedding.teacher_width
    given = {"training": data.train, "validation": data.validation, "variant": data.variants}
    for name, embeddings in given.items():
        if embeddings is None:
            continue
        if embeddings.ndim != 2 or embeddings.shape[1] != width:
            raise DataError(
                f"the {name} embeddings have shape {embeddings.shape}, but embedding.teacher_width is "
                f"{width}"
            )
        if embeddings.dtype != np.float32:
            raise DataError(f"the {name} embeddings are {embeddings.dtype}; convert them to float32")
        for rows in parts(len(embeddings), _ROWS_CHECKED_AT_ONCE):
            bad = np.flatnonzero(~np.isfinite(embeddings[rows]).all(axis=1))
            if len(bad):
                raise DataError(
                    f"row {rows.start + bad[0]} of the {name} embeddings is not finite; "
                    "leave that sentence out or embed it anew"
                )
    if len(data.validation) < SMALLEST_VALIDATION:
        raise DataError(f"validation needs at least {SMALLEST_VALIDATION} sentences")


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
    """The data of a training: batches without end of training embeddings and their variants.

    With ``training.interpolation`` some rows of a batch are moved toward the row before them, by a share
    between 0 and a half; where the teacher's embeddings have unit length, so do these.

    Raises:
        DataError: if there are fewer rows than one batch needs.
    """

    def __init__(self, data: TrainingData, settings: Settings) -> None:
        training = settings.training
        self._data = data
        self._share = training.interpolation
        self._normalized = settings.embedding.normalize
        self.shape = training.batch_size, data.train.shape[1]
        rows = len(data.train) + (0 if data.variants is None else len(data.variants))
        self._order = BatchOrder(rows, training.batch_size, settings.init.seed)

    def fill(self, batch: Embeddings) -> None:
        """Write the next batch to an array (B, D)."""
        rows, sentences = self._order.next(), len(self._data.train)
        own = rows < sentences
        batch[own] = self._data.train[rows[own]]
        if self._data.variants is not None:
            batch[~own] = self._data.variants[rows[~own] - sentences]
        if self._share:
            self._interpolate(batch)

    def _interpolate(self, batch: Embeddings) -> None:
        order = self._order
        draw = np.random.default_rng([order.seed, order.passes, order.position])
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
