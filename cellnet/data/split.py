"""The split of the sentences: decided by text and seed, never by order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b


def sample(texts: Sequence[str], limit: int, seed: int) -> list[str]:
    """Return ``limit`` of the texts in their order, the same ones whatever that is; 0 returns all."""
    if not 0 < limit < len(texts):
        return list(texts)
    placed = sorted(texts, key=lambda text: (_place(text, seed, b"sample"), text))
    chosen = set(placed[:limit])
    return [text for text in texts if text in chosen]


def split(texts: Iterable[str], validation_fraction: float, seed: int) -> tuple[list[str], list[str]]:
    """Return (train, validation), each in order; a text's side depends on it and the seed alone."""
    sides: tuple[list[str], list[str]] = ([], [])
    for text in texts:
        sides[_place(text, seed, b"split") < validation_fraction].append(text)
    return sides


def _place(text: str, seed: int, purpose: bytes) -> float:
    """Return a number in [0, 1) that looks random but is the same on every machine."""
    digest = blake2b(text.encode(), digest_size=8, key=seed.to_bytes(8, "big"), person=purpose).digest()
    return int.from_bytes(digest, "big") / 2**64
