"""Measures of a decoder on held-out sentences, next to retrieval without the own text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cellnet.decoder.generative import GenerativeDecoder
from cellnet.decoder.retrieval import TextDecoder
from cellnet.decoder.text_measures import bleu, token_f1
from cellnet.decoder.training import DecoderData, token_loss
from cellnet.errors import DataError
from cellnet.evaluation.intervals import Numbers, estimate
from cellnet.measures import Embeddings

EXAMPLES = 8
RESAMPLES = 1000


@dataclass(frozen=True)
class HeldOut:
    """Sentences that no decoder was trained on.

    Attributes:
        texts: the n sentences.
        teacher: their embeddings by the teacher, (n, D).
        data: the student's reconstructions and tokens of the same sentences.
    """

    texts: Sequence[str]
    teacher: Embeddings
    data: DecoderData


def report(
    decoder: GenerativeDecoder,
    held_out: HeldOut,
    bank_texts: Sequence[str],
    bank_embeddings: Embeddings,
    encode: Callable[[Sequence[str]], Embeddings],
    *,
    sentences: int = 0,
    seed: int = 0,
) -> dict[str, Any]:
    """Return loss and perplexity over all tokens, and how near texts come to the originals.

    ``greedy``, ``beam`` (with more than one), ``nearest`` (with candidates) and ``retrieval`` each have
    ``bleu``, ``token_f1`` and ``cosine``, that of the teacher's embedding of the text with the original's,
    with its interval.

    Args:
        decoder: the trained decoder.
        held_out: what it is measured on.
        bank_texts, bank_embeddings: what retrieval may find, except for the sentence itself: texts and
            their teacher's embeddings, (M, D).
        encode: gives the teacher's embeddings of texts.
        sentences: how many, drawn at random, are written; 0 takes all. The loss is over all.
        seed: of what is drawn.

    Raises:
        DataError: if retrieval has nothing but the sentence itself.
    """
    count = len(held_out.texts)
    generator = np.random.default_rng(seed)
    rows = np.arange(count)
    if 0 < sentences < count:
        rows = np.sort(generator.choice(count, sentences, replace=False))
    originals = [held_out.texts[row] for row in rows.tolist()]
    given = np.array(held_out.data.embeddings[rows])
    texts = {"greedy": [written.text for written in decoder.write(given, beams=1)]}
    if decoder.settings.decoder.beams > 1:
        texts["beam"] = [written.text for written in decoder.write(given)]
    if decoder.settings.decoder.candidates:
        found = texts.get("beam", texts["greedy"])
        texts["nearest"] = decoder.write_nearest(given, encode, found=found, seed=seed)
    texts["retrieval"] = _retrieve(decoder, given, originals, bank_texts, bank_embeddings)
    target = np.array(held_out.teacher[rows], dtype=np.float64)
    cosines = {name: _cosine(encode(found), target) for name, found in texts.items()}
    cosines["reconstruction"] = _cosine(given, target)
    written = next(kind for kind in ("nearest", "beam", "greedy") if kind in texts)
    cosines["generative_minus_retrieval"] = cosines[written] - cosines["retrieval"]

    def means(weights: Numbers) -> dict[str, Numbers]:
        return {name: weights @ values / weights.sum(axis=1) for name, values in cosines.items()}

    intervals = estimate(means, len(rows), resamples=RESAMPLES, seed=seed)
    loss = token_loss(decoder.network, held_out.data, decoder.device)
    return {
        "sentences": count,
        "written": len(rows),
        "loss": loss,
        "perplexity": math.exp(loss),
        "unknown_share": held_out.data.unknown_share,
        **{
            name: {
                "bleu": bleu(found, originals),
                "token_f1": float(
                    np.mean([token_f1(*pair) for pair in zip(found, originals, strict=True)])
                ),
                "cosine": intervals[name].value,
                "cosine_interval": [intervals[name].low, intervals[name].high],
            }
            for name, found in texts.items()
        },
        "reconstruction_cosine": intervals["reconstruction"].value,
        "generative_minus_retrieval": {
            "cosine": intervals["generative_minus_retrieval"].value,
            "interval": [
                intervals["generative_minus_retrieval"].low,
                intervals["generative_minus_retrieval"].high,
            ],
        },
        "examples": [
            {
                "original": originals[row],
                **{
                    name: {"text": found[row], "cosine": float(cosines[name][row])}
                    for name, found in texts.items()
                },
            }
            for row in sorted(generator.permutation(len(rows))[:EXAMPLES].tolist())
        ],
    }


def _retrieve(
    decoder: GenerativeDecoder,
    given: Embeddings,
    originals: Sequence[str],
    bank_texts: Sequence[str],
    bank_embeddings: Embeddings,
) -> list[str]:
    """Return the nearest sentence of the bank to each reconstruction that is not the original."""
    if len(bank_texts) < 2:
        raise DataError("retrieval without the own text needs a bank of two sentences; give more")
    bank = TextDecoder(bank_texts, bank_embeddings, decoder.settings.decoder, decoder.device)
    return [
        next(match.text for match in matches if match.text != original)
        for matches, original in zip(bank.decode(given, 2), originals, strict=True)
    ]


def _cosine(one: Embeddings, other: Numbers) -> Numbers:
    """Return the cosine of each pair of rows, (n,)."""
    wide = np.asarray(one, dtype=np.float64)
    norms = np.linalg.norm(wide, axis=1) * np.linalg.norm(other, axis=1)
    cosines: Numbers = np.einsum("nd,nd->n", wide, other) / norms
    return cosines
