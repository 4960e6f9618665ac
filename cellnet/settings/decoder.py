"""Settings of the way from embeddings back to text."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from cellnet.settings.base import SettingsGroup, setting


class DecoderSettings(SettingsGroup):
    """The way from an embedding back to text."""

    mode: Literal["retrieval", "generative"] = setting(
        "retrieval",
        label="Mode",
        help="Retrieval: the nearest sentence of a bank. Generative: a sentence that a small causal "
        "transformer writes, which `cellnet train-decoder` trains for a student.",
    )
    top_k: int = setting(5, label="Sentences", help="Nearest sentences shown.", ge=1, le=1000)
    width: int = setting(192, label="Width", help="Width of the transformer that writes.", ge=8, le=2048)
    layers: int = setting(2, label="Layers", help="Layers of the transformer that writes.", ge=1, le=24)
    heads: int = setting(4, label="Heads", help="Attention heads; must divide the width.", ge=1, le=64)
    max_tokens: int = setting(
        64,
        label="Longest sentence",
        help="Most tokens that are written; longer training sentences are cut.",
        unit="tokens",
        ge=4,
        le=512,
    )
    vocabulary: int = setting(
        8000,
        label="Vocabulary",
        help="The most frequent tokens of the training sentences that can be written; 0 takes all that "
        "occur there.",
        unit="tokens",
        ge=0,
        le=10**6,
    )
    beams: int = setting(
        4,
        label="Beams",
        help="Beginnings of a sentence that are followed at once; 1 is greedy.",
        ge=1,
        le=32,
    )
    length_penalty: float = setting(
        1.0,
        label="Length penalty",
        help="Power of the length by which the log probability of a sentence is divided: 0 prefers short "
        "sentences, 1 compares means.",
        ge=0.0,
        le=2.0,
    )
    word_dropout: float = setting(
        0.2,
        label="Word dropout",
        help="Share of the words read back while training that are hidden, so that the embedding must "
        "tell them.",
        ge=0.0,
        lt=1.0,
    )
    dropout: float = setting(
        0.1,
        label="Dropout",
        help="Share of what each layer of the transformer adds that is dropped while training, against "
        "learning sentences by heart.",
        ge=0.0,
        lt=1.0,
    )
    candidates: int = setting(
        16,
        label="Candidates",
        help="Sentences drawn beside the one that search finds; of all these the one is written whose "
        "embedding is nearest to the one given. 0 leaves it at what search finds.",
        ge=0,
        le=1000,
    )
    max_steps: int = setting(
        2000, label="Decoder steps", help="Steps of the decoder's training.", unit="steps", ge=1, le=10**7
    )
    batch_size: int = setting(
        32, label="Decoder batch", help="Sentences in one batch.", unit="sentences", ge=1, le=65536
    )
    learning_rate: float = setting(
        2e-3, label="Decoder rate", help="Peak learning rate of the decoder's AdamW.", gt=0.0, le=1.0
    )

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"heads = {self.heads} must divide width = {self.width}")
        return self
