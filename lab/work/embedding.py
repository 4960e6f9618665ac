"""Embedding sentences in the background: one embedding at a time, which page switches do not disturb."""

from __future__ import annotations

from typing import Final

from cellnet.errors import RunError
from cellnet.settings import Settings
from cellnet.training import TrainingData
from lab.training import Phase, TrainingService
from lab.training.service import data_key
from lab.work.work import Answer, Lane, Progress, Work, Works

EMBEDDING: Final = "embedding"
"""The key of the work: there is one embedding at a time."""


class Embedding:
    """Embeds what a training with some settings would learn from.

    What is done stays in the cache on disk, so that one that was cancelled goes on where it was when it is
    started again, and a training finds it.

    Args:
        service: reads the data.
        works: does the work.
    """

    def __init__(self, service: TrainingService, works: Works) -> None:
        self._service = service
        self._works = works

    def answer(self) -> Answer[TrainingData]:
        """Return how far the newest embedding is; its versions are those of `data_key`."""
        return self._works.answer(EMBEDDING)

    def data_of(self, settings: Settings) -> TrainingData | None:
        """Return what these settings mean, if it was embedded here or the training has it in memory."""
        answer = self.answer()
        return answer.value if answer.version == data_key(settings) else self._service.data_of(settings)

    def start(self, settings: Settings) -> None:
        """Begin to embed.

        Raises:
            RunError: if sentences are being embedded already, or a training prepares its data.
        """
        if self._service.snapshot().phase is Phase.PREPARING:
            raise RunError("a training is preparing its data just now: wait until it trains, or stop it")

        def embed(progress: Progress) -> TrainingData:
            progress("reading sentences and loading the teacher")
            return self._service.read_data(
                settings, progress=progress, should_stop=progress.cancelled.is_set
            )

        lane = Lane("embedding", settings.device.device)
        if not self._works.begin(Work(EMBEDDING, data_key(settings), embed, lane)):
            raise RunError("sentences are being embedded already: wait for them, or cancel that first")

    def cancel(self) -> None:
        """Stop after the block under way; cancelling twice is fine."""
        self._works.cancel(EMBEDDING)
