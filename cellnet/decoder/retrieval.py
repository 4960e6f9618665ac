"""From embeddings back to text in the mode that the settings name, and the nearest sentences of a bank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cellnet.errors import DataError
from cellnet.settings import DecoderSettings

if TYPE_CHECKING:
    from cellnet.decoder.generative import GenerativeDecoder

BANK_CHUNK = 8192
QUERY_CHUNK = 256


@dataclass(frozen=True, slots=True)
class Match:
    """A sentence of the bank: its text, its cosine with the query and its place in the bank."""

    text: str
    score: float
    index: int


class TextDecoder:
    """Turns embeddings into text, with a bank of sentences and, in the mode ``generative``, with a writer.

    Retrieval finds the sentences whose embeddings have the greatest cosine with a given one, exactly. The
    bank stays where it is (a memory-mapped array is read chunk by chunk); cosines are computed in float64
    for `QUERY_CHUNK` x `BANK_CHUNK` pairs at a time, so memory does not grow with the bank.
    """

    def __init__(
        self,
        bank_texts: Sequence[str],
        bank_embeddings: NDArray[np.float32] | Tensor,
        settings: DecoderSettings,
        device: torch.device,
        writer: GenerativeDecoder | None = None,
    ) -> None:
        """Check the bank: M texts and their embeddings (M, D), and the writer, if there is one.

        Raises:
            DataError: if texts and embeddings do not match, an embedding is zero or not finite, or the
                writer reads embeddings of another width.
        """
        count, shape = len(bank_texts), tuple(bank_embeddings.shape)
        if not count or len(shape) != 2 or shape[0] != count:
            raise DataError(
                f"{count} bank texts cannot go with embeddings {shape}; give M >= 1 texts and (M, D)"
            )
        self._texts = bank_texts
        self._bank = bank_embeddings
        self._settings = settings
        self._device = device
        self._writer = writer
        if writer is not None and writer.width != self.width:
            raise DataError(
                f"the decoder reads embeddings of width {writer.width}, the bank's have {self.width}; "
                "give the decoder of a student with this teacher"
            )
        self._norms_M = torch.cat([_norms(self._chunk(start), "bank", start) for start in self._starts()])

    @property
    def width(self) -> int:
        """Width D of the embeddings."""
        return int(self._bank.shape[1])

    def texts(self, embeddings: NDArray[np.float32] | Tensor) -> list[str]:
        """Return one sentence for each of B embeddings (B, D), found or written: ``decoder.mode`` decides.

        Raises:
            DataError: if the mode is ``generative`` and there is no writer; else see `decode`.
        """
        if self._settings.mode == "retrieval":
            return [matches[0].text for matches in self.decode(embeddings, 1)]
        if self._writer is None:
            raise DataError(
                "decoder.mode is 'generative' and no trained decoder was given: make one with cellnet "
                "train-decoder, or set decoder.mode = 'retrieval'"
            )
        return [written.text for written in self._writer.write(embeddings)]

    @torch.inference_mode()
    def decode(self, embeddings: NDArray[np.float32] | Tensor, k: int | None = None) -> list[list[Match]]:
        """Return the k nearest sentences for each of B embeddings (B, D), nearest first.

        Args:
            embeddings: queries of any length; only their direction counts.
            k: number of sentences, ``decoder.top_k`` unless given.

        Raises:
            DataError: if k is not within 1..M, the width is not D, or a query is zero or not finite.
        """
        count = self._settings.top_k if k is None else k
        if not 1 <= count <= len(self._texts):
            raise DataError(
                f"{count} sentences cannot come from a bank of {len(self._texts)}; ask for fewer"
            )
        if embeddings.ndim != 2 or embeddings.shape[1] != self.width:
            raise DataError(
                f"embeddings of shape {tuple(embeddings.shape)} do not fit a bank of width {self.width}; "
                f"give them as (B, {self.width})"
            )
        matches: list[list[Match]] = []
        for start in range(0, len(embeddings), QUERY_CHUNK):
            queries_BD = self._float64(embeddings[start : start + QUERY_CHUNK])
            queries_BD = queries_BD / _norms(queries_BD, "query", start).unsqueeze(1)
            scores_Bk, places_Bk = self._nearest(queries_BD, count)
            for scores, places in zip(scores_Bk.tolist(), places_Bk.tolist(), strict=True):
                pairs = zip(scores, places, strict=True)
                matches.append([Match(self._texts[place], score, place) for score, place in pairs])
        return matches

    def _nearest(self, queries_BD: Tensor, count: int) -> tuple[Tensor, Tensor]:
        best_scores = queries_BD.new_empty((len(queries_BD), 0))
        best_places = torch.empty((len(queries_BD), 0), dtype=torch.int64, device=self._device)
        for start in self._starts():
            chunk_CD = self._chunk(start)
            norms_C = self._norms_M[start : start + len(chunk_CD)]
            scores_BC = queries_BD @ chunk_CD.T / norms_C
            places_C = torch.arange(start, start + len(chunk_CD), device=self._device)
            scores = torch.cat([best_scores, scores_BC], dim=1)
            places = torch.cat([best_places, places_C.expand_as(scores_BC)], dim=1)
            best_scores, chosen = scores.topk(min(count, scores.shape[1]), dim=1)
            best_places = places.gather(1, chosen)
        return best_scores.clamp(-1.0, 1.0), best_places

    def _starts(self) -> range:
        return range(0, len(self._texts), BANK_CHUNK)

    def _chunk(self, start: int) -> Tensor:
        return self._float64(self._bank[start : start + BANK_CHUNK])

    def _float64(self, values: NDArray[np.float32] | Tensor) -> Tensor:
        if isinstance(values, np.ndarray):
            values = torch.tensor(values)
        return values.detach().to(device=self._device, dtype=torch.float64)


def _norms(rows_RD: Tensor, what: str, start: int) -> Tensor:
    """Return the lengths (R,) of the rows; each must be finite and above zero."""
    norms_R: Tensor = torch.linalg.vector_norm(rows_RD, dim=1)
    wrong = (~(norms_R.isfinite() & (norms_R > 0))).nonzero().flatten().tolist()
    if wrong:
        raise DataError(
            f"{what} embedding {start + wrong[0]} is zero or not finite, so it has no cosine "
            f"({len(wrong)} of {len(rows_RD)} in this chunk); leave it out or compute it again"
        )
    return norms_R
