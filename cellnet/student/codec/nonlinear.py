"""The codecs that add a nonlinear part to the linear path."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cellnet.settings import EmbeddingSettings
from cellnet.student.codec.linear import EmbeddingTransformer
from cellnet.student.layers import FeatureLinear, MultiLayerPerceptron, ZeroLinear

_TOKEN_WIDTH = 32
_TOKEN_COUNT = 16
_HEADS = 4


class AutoencoderTransformer(EmbeddingTransformer):
    """One hidden layer in each direction; the one on the way back starts by reading channel 0 alone."""

    def __init__(self, settings: EmbeddingSettings, surface_size: int, state_size: int) -> None:
        super().__init__(settings, surface_size, state_size)
        width, code, hidden = settings.teacher_width, surface_size**2, settings.hidden_size
        self.encoder = MultiLayerPerceptron(width, hidden, code, ZeroLinear, FeatureLinear)
        reads_values = partial(FeatureLinear, every=state_size)
        self.decoder = MultiLayerPerceptron(
            code * state_size, settings.decoder_width, width, ZeroLinear, reads_values
        )

    def encode_nonlinear(self, centered: Tensor) -> Tensor:
        code: Tensor = self.encoder(centered)
        return code

    def decode_nonlinear(self, surface: Tensor) -> Tensor:
        centered: Tensor = self.decoder(surface.flatten(1))
        return centered


class _TokenBlock(nn.Module):
    """One transformer block (Vaswani et al. 2017, pre-norm); queries may differ from the tokens read."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.normalize_queries = nn.LayerNorm(width)
        self.normalize_tokens = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_and_value = nn.Linear(width, 2 * width)
        self.output = nn.Linear(width, width)
        self.normalize_update = nn.LayerNorm(width)
        self.update = MultiLayerPerceptron(width, 2 * width, width)

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Let queries (B, Q, H) read tokens (B, K, H); the answer has the shape of the queries."""
        tokens = self.normalize_tokens(tokens)
        query, key, value = (
            x.unflatten(-1, (_HEADS, -1)).transpose(1, 2)
            for x in (
                self.query(self.normalize_queries(queries)),
                *self.key_and_value(tokens).chunk(2, dim=-1),
            )
        )
        answer = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        queries = queries + self.output(answer)
        updated: Tensor = queries + self.update(self.normalize_update(queries))
        return updated


class AttentionTransformer(EmbeddingTransformer):
    """Attention between pieces of the embedding and places of the surface."""

    def __init__(self, settings: EmbeddingSettings, surface_size: int, state_size: int) -> None:
        super().__init__(settings, surface_size, state_size)
        code, hidden = surface_size**2, _TOKEN_WIDTH
        self.piece_width = -(-settings.teacher_width // _TOKEN_COUNT)
        self.padding = self.piece_width * _TOKEN_COUNT - settings.teacher_width
        self.piece_in = nn.Linear(self.piece_width, hidden)
        self.piece_position = nn.Parameter(torch.randn(_TOKEN_COUNT, hidden) * 0.1)
        self.place_query = nn.Parameter(torch.randn(code, hidden) * 0.1)
        self.read_pieces = _TokenBlock(hidden)
        self.place_out = ZeroLinear(hidden, 1)
        self.place_in = nn.Linear(state_size, hidden)
        self.place_position = nn.Parameter(torch.randn(code, hidden) * 0.1)
        self.piece_query = nn.Parameter(torch.randn(_TOKEN_COUNT, hidden) * 0.1)
        self.read_places = _TokenBlock(hidden)
        self.piece_out = ZeroLinear(hidden, self.piece_width)

    def encode_nonlinear(self, centered: Tensor) -> Tensor:
        pieces = F.pad(centered, (0, self.padding)).unflatten(1, (_TOKEN_COUNT, self.piece_width))
        tokens = self.piece_in(pieces) + self.piece_position
        places = self.read_pieces(self.place_query.expand(len(centered), -1, -1), tokens)
        code: Tensor = self.place_out(places)
        return code.squeeze(-1)

    def decode_nonlinear(self, surface: Tensor) -> Tensor:
        tokens = self.place_in(surface.flatten(1, 2)) + self.place_position
        pieces = self.read_places(self.piece_query.expand(len(surface), -1, -1), tokens)
        centered: Tensor = self.piece_out(pieces).flatten(1)
        return centered[:, : centered.shape[1] - self.padding]


class HierarchicalTransformer(EmbeddingTransformer):
    """Coarse to fine: surfaces of a quarter, half and full edge, each refined by a convolution."""

    def __init__(self, settings: EmbeddingSettings, surface_size: int, state_size: int) -> None:
        super().__init__(settings, surface_size, state_size)
        width, self.features = settings.teacher_width, 4
        self.edges = tuple(max(1, surface_size // divisor) for divisor in (4, 2, 1))
        self.project = nn.ModuleList(nn.Linear(width, self.features * edge**2) for edge in self.edges)
        self.refine = nn.ModuleList(
            nn.Conv2d(self.features, self.features, 3, padding=1) for _ in self.edges
        )
        self.code_out = ZeroLinear(self.features, 1)
        self.reduce = nn.Conv2d(state_size, self.features, 1)
        self.coarsen = nn.ModuleList(
            nn.Conv2d(self.features, self.features, 3, padding=1) for _ in self.edges
        )
        self.read = nn.ModuleList(ZeroLinear(self.features * edge**2, width) for edge in self.edges)

    def encode_nonlinear(self, centered: Tensor) -> Tensor:
        batch = len(centered)
        coarse = centered.new_zeros(batch, self.features, 1, 1)
        for edge, project, refine in zip(self.edges, self.project, self.refine, strict=True):
            finer = F.interpolate(coarse, size=(edge, edge), mode="bilinear", align_corners=False)
            coarse = F.silu(refine(finer + project(centered).view(batch, self.features, edge, edge)))
        code: Tensor = self.code_out(coarse.movedim(1, -1))
        return code.flatten(1)

    def decode_nonlinear(self, surface: Tensor) -> Tensor:
        fine = self.reduce(surface.movedim(-1, 1))
        centered: Tensor | None = None
        for edge, coarsen, read in zip(
            reversed(self.edges), reversed(self.coarsen), reversed(self.read), strict=True
        ):
            fine = F.silu(coarsen(F.adaptive_avg_pool2d(fine, edge)))
            part = read(fine.flatten(1))
            centered = part if centered is None else centered + part
        assert centered is not None
        return centered


CODECS: dict[str, type[EmbeddingTransformer]] = {
    "linear": EmbeddingTransformer,
    "autoencoder": AutoencoderTransformer,
    "attention": AttentionTransformer,
    "hierarchical": HierarchicalTransformer,
}


def make_codec(settings: EmbeddingSettings, surface_size: int, state_size: int) -> EmbeddingTransformer:
    """Build the codec that the settings name."""
    return CODECS[settings.type](settings, surface_size, state_size)
