"""The transformer that writes: causal, and told at every position which embedding it writes about."""

from __future__ import annotations

from typing import TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from cellnet.decoder.vocabulary import UNKNOWN
from cellnet.settings import DecoderSettings
from cellnet.student.layers import MultiLayerPerceptron

KeysValues: TypeAlias = tuple[Tensor, Tensor]
"""What a block remembers of the positions so far: keys and values, each (B, heads, L, width / heads)."""


START = 0.3
"""Standard deviation with which what is added up at a position starts."""


class CausalBlock(nn.Module):
    """Attention to the positions so far, then an MLP, each behind a normalization and around a residual.

    The order is that of Xiong et al. 2020, which needs no careful warm-up; what is added to the residual
    starts the smaller the more blocks there are (Radford et al. 2019).
    """

    def __init__(self, width: int, heads: int, blocks: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = nn.Dropout(dropout)
        self.normalize_attention = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)
        self.normalize_update = nn.LayerNorm(width)
        self.update = MultiLayerPerceptron(width, 4 * width, width)
        last = self.update[2]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            for layer in (self.mix, last):
                layer.weight.mul_((2 * blocks) ** -0.5)

    def forward(
        self, values: Float[Tensor, "batch length width"], past: KeysValues | None = None
    ) -> tuple[Float[Tensor, "batch length width"], KeysValues]:
        """Return new values, and the keys and values of all positions.

        Args:
            values: of all positions, or with a past of the one that follows it.
            past: of the positions before.
        """
        batch, length, width = values.shape
        packed = self.query_key_value(self.normalize_attention(values))
        query, key, value = packed.view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        if past is not None:
            key, value = torch.cat([past[0], key], dim=2), torch.cat([past[1], value], dim=2)
        seen = F.scaled_dot_product_attention(query, key, value, is_causal=past is None)
        values = values + self.dropout(self.mix(seen.transpose(1, 2).reshape(batch, length, width)))
        return values + self.dropout(self.update(self.normalize_update(values))), (key, value)


class CausalTransformer(nn.Module):
    """Gives the logits of each next token of a sentence, from its embedding and the tokens before.

    Position 0 reads the embedding alone; position t > 0 reads token t - 1 and, in the residual stream,
    the embedding again. Token vectors and the output layer share their weights (Press and Wolf 2017).

    Args:
        settings: width, layers, heads and the most tokens.
        embedding_width: width D of the embeddings.
        vocabulary: number V of places.
    """

    mean: Tensor
    scale: Tensor
    never: Tensor

    def __init__(self, settings: DecoderSettings, embedding_width: int, vocabulary: int) -> None:
        super().__init__()
        width = settings.width
        self.max_tokens = settings.max_tokens
        self.dropout = nn.Dropout(settings.dropout)
        self.condition = nn.Linear(embedding_width, width)
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(torch.empty(settings.max_tokens + 1, width))
        self.blocks = nn.ModuleList(
            CausalBlock(width, settings.heads, settings.layers, settings.dropout)
            for _ in range(settings.layers)
        )
        self.normalize = nn.LayerNorm(width)
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        self.register_buffer("mean", torch.zeros(embedding_width))
        self.register_buffer("scale", torch.ones(()))
        never = torch.zeros(vocabulary)
        never[UNKNOWN] = float("-inf")
        self.register_buffer("never", never, persistent=False)
        # Token, position and embedding start with the same share of the residual stream: an embedding that
        # outweighs the tokens makes a writer that repeats itself.
        self.token_scale = width**0.5
        nn.init.normal_(self.tokens.weight, std=START / self.token_scale)
        nn.init.normal_(self.positions, std=START)
        nn.init.normal_(self.condition.weight, std=START / embedding_width**0.5)
        nn.init.zeros_(self.condition.bias)

    def fit_scaling(self, mean: Float[Tensor, " width"], scale: float) -> None:
        """Have embeddings centered by ``mean`` and divided by ``scale`` before they are read."""
        self.mean.copy_(mean)
        self.scale.fill_(scale)

    def read(self, embeddings: Float[Tensor, "batch width"]) -> Float[Tensor, "batch hidden"]:
        """Return what every position is told of the embeddings (B, D)."""
        told: Tensor = self.condition((embeddings - self.mean) / self.scale)
        return told

    def forward(
        self, embeddings: Float[Tensor, "batch width"], tokens: Int[Tensor, "batch length"]
    ) -> Float[Tensor, "batch positions vocabulary"]:
        """Return the logits (B, L + 1, V) of the token at each place 0..L, given all L before."""
        return self.logits(self.hidden(embeddings, tokens))

    def hidden(
        self, embeddings: Float[Tensor, "batch width"], tokens: Int[Tensor, "batch length"]
    ) -> Float[Tensor, "batch positions hidden"]:
        """Return the last hidden values (B, L + 1, W); `logits` makes logits of them."""
        memory = self.read(embeddings).unsqueeze(1)
        read = F.pad(self.token_scale * self.tokens(tokens), (0, 0, 1, 0))
        values: Tensor = self.dropout(read + memory + self.positions[: read.shape[1]])
        for block in self.blocks:
            values, _ = block(values)
        return values

    def step(
        self,
        told: Float[Tensor, "batch hidden"],
        tokens: Int[Tensor, " batch"] | None,
        past: list[KeysValues] | None,
    ) -> tuple[Float[Tensor, "batch vocabulary"], list[KeysValues]]:
        """Go one position on: the logits (B, V) of the next token, and what to remember.

        Args:
            told: what `read` gave.
            tokens: the token just written, or None at the beginning.
            past: what the step before gave.
        """
        at = 0 if past is None else past[0][0].shape[2]
        values = told + self.positions[at]
        if tokens is not None:
            values = values + self.token_scale * self.tokens(tokens)
        values, memory = values.unsqueeze(1), []
        for number, block in enumerate(self.blocks):
            values, kept = block(values, None if past is None else past[number])
            memory.append(kept)
        return self.logits(values.squeeze(1)), memory

    def logits(self, hidden: Float[Tensor, "*batch hidden"]) -> Float[Tensor, "*batch vocabulary"]:
        """Return logits over the vocabulary; the unknown has none."""
        return F.linear(self.normalize(hidden), self.tokens.weight, self.bias) + self.never
