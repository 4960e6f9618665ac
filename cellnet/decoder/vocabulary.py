"""The tokens that a decoder can write: those of the teacher's tokenizer that its sentences use."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from tokenizers import Tokenizer

from cellnet.errors import CheckpointError, DataError, TeacherError

END, UNKNOWN = 0, 1
"""Places of what ends a sentence, and of what stands for all other tokens and is never written."""
_MARKS = ("<end>", "<unknown>")
MAX_TOKENS = 10**6
_MAX_TOKEN_CHARACTERS = 1000
_TEXTS_AT_ONCE = 1024


class Vocabulary:
    """A part of a teacher's tokens, numbered from `UNKNOWN` + 1; it reads and writes without the teacher.

    Attributes:
        tokens: the strings, most frequent first.
    """

    def __init__(self, tokens: Sequence[str], decoder: dict[str, Any] | None) -> None:
        """Take the tokens, and how their strings become text (the decoder of a tokenizers JSON file).

        Raises:
            CheckpointError: if that is not what they are.
        """
        if not 1 <= len(tokens) <= MAX_TOKENS or len(set(tokens)) != len(tokens):
            raise CheckpointError(f"a vocabulary has 1 to {MAX_TOKENS} different tokens")
        if any(not 0 < len(token) <= _MAX_TOKEN_CHARACTERS or token in _MARKS for token in tokens):
            raise CheckpointError("a token of the vocabulary is empty, too long or reserved")
        self.tokens = tuple(tokens)
        self._decoder = decoder
        self._places = {token: place for place, token in enumerate(tokens, start=len(_MARKS))}
        try:
            self._tokenizer = Tokenizer.from_str(_tokenizer_json(self._places, decoder))
        except Exception as error:  # noqa: BLE001 - the library raises this class itself
            raise CheckpointError(f"the decoder of the tokenizer cannot be read: {error}") from None

    @classmethod
    def of(cls, texts: Sequence[str], tokenizer: Any, limit: int) -> Vocabulary:
        """Make one of the most frequent tokens of texts; a limit of 0 takes all of them.

        Raises:
            TeacherError: if the tokenizer is not one that can be described in JSON.
            DataError: if the texts have no token.
        """
        if not tokenizer.is_fast:
            raise TeacherError(
                "the teacher's tokenizer has no tokenizer.json, which a decoder needs; "
                "choose another teacher"
            )
        special = set(tokenizer.all_special_tokens)
        counts = Counter(
            token for tokens in _tokenize(texts, tokenizer) for token in tokens if token not in special
        )
        if not counts:
            raise DataError("the training sentences have no token to write; give other sentences")
        ranked = sorted(counts, key=lambda token: (-counts[token], token))
        decoder = json.loads(tokenizer.backend_tokenizer.to_str())["decoder"]
        return cls(ranked[: limit or None], decoder)

    def __len__(self) -> int:
        """Number of places, with that of the end and of the unknown."""
        return len(self.tokens) + len(_MARKS)

    def encode(self, texts: Sequence[str], tokenizer: Any) -> list[list[int]]:
        """Return the places of each text's tokens, without an end."""
        return [
            [self._places.get(token, UNKNOWN) for token in tokens] for tokens in _tokenize(texts, tokenizer)
        ]

    def decode(self, places: Sequence[int]) -> str:
        """Return the text of some places; ends and unknowns say nothing."""
        text: str = self._tokenizer.decode([place for place in places if place > UNKNOWN])
        return text.strip()

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {"tokens": list(self.tokens), "decoder": self._decoder}

    @classmethod
    def from_json(cls, values: object) -> Vocabulary:
        """Read a vocabulary.

        Raises:
            CheckpointError: if it is none.
        """
        match values:
            case {"tokens": [*tokens], "decoder": dict() | None as decoder} if all(
                isinstance(token, str) for token in tokens
            ):
                return cls(tokens, decoder)
        raise CheckpointError("the vocabulary must have 'tokens', a list of texts, and a 'decoder'")


def _tokenize(texts: Sequence[str], tokenizer: Any) -> Iterator[list[str]]:
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        encoded = tokenizer(
            list(texts[start : start + _TEXTS_AT_ONCE]), add_special_tokens=False, verbose=False
        )
        yield from (encoding.tokens for encoding in encoded.encodings)


def _tokenizer_json(places: dict[str, int], decoder: dict[str, Any] | None) -> str:
    marks = {mark: place for place, mark in enumerate(_MARKS)}
    return json.dumps(
        {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [],
            "normalizer": None,
            "pre_tokenizer": None,
            "post_processor": None,
            "decoder": decoder,
            "model": {"type": "WordLevel", "vocab": {**marks, **places}, "unk_token": _MARKS[UNKNOWN]},
        }
    )
