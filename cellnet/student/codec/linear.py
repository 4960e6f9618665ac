"""Between teacher space and the surface: the linear path, and the codecs built around it."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cellnet.settings import EmbeddingSettings
from cellnet.student.codec.pca import PCA
from cellnet.student.layers import ZeroLinear

_SMALLEST_RELATIVE_DEVIATION = 1e-4


class EmbeddingTransformer(nn.Module):
    """The linear codec, and the base of the others.

    Teacher embeddings are centered by the training mean and divided by one global factor. The linear
    path goes from there to the surface and from channel 0 of the surface back. The other channels are
    read by a linear layer that starts at zero. Subclasses add a nonlinear part to each direction; it
    starts at zero too, so that every codec starts as its linear path.

    Args:
        settings: embedding settings.
        surface_size: edge n of the surface.
        state_size: channels C that are read out.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, settings: EmbeddingSettings, surface_size: int, state_size: int) -> None:
        super().__init__()
        width, code = settings.teacher_width, surface_size**2
        self.surface_size = surface_size
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(()))
        self.to_surface = nn.Linear(width, code)
        self.from_surface = nn.Linear(code, width)
        if state_size > 1:
            self.from_channels = ZeroLinear(code * (state_size - 1), width, bias=False)

    @torch.no_grad()
    def fit_scaling(self, pca: PCA) -> None:
        """Take the mean and the global scale from the training embeddings."""
        self.mean.copy_(pca.mean)
        self.scale.fill_((pca.total_variance / len(pca.mean)) ** 0.5)

    @torch.no_grad()
    def start_from_pca(self, pca: PCA) -> None:
        """Start the linear path from the principal components of the training embeddings.

        Each surface coordinate then holds one component, scaled to unit variance. Coordinates beyond
        the number of components, or with hardly any variance, start unused.
        """
        deviation = pca.variance.sqrt()
        used = deviation > _SMALLEST_RELATIVE_DEVIATION * deviation[0]
        count = min(int(used.sum()), self.surface_size**2)
        basis, deviation = pca.components[:count], deviation[:count, None]
        scale = float(self.scale)
        for layer in (self.to_surface, self.from_surface):
            layer.weight.zero_()
            layer.bias.zero_()
        self.to_surface.weight[:count] = (basis / deviation * scale).to(self.to_surface.weight)
        self.from_surface.weight[:, :count] = (basis * deviation / scale).T.to(self.from_surface.weight)

    def encode(self, embeddings: Float[Tensor, "batch width"]) -> Float[Tensor, "batch edge edge"]:
        """Map teacher embeddings (B, D) to surfaces (B, n, n)."""
        centered = (embeddings - self.mean) / self.scale
        code = self.to_surface(centered) + self.encode_nonlinear(centered)
        surface: Tensor = code.unflatten(1, (self.surface_size, self.surface_size))
        return surface

    def decode(self, surface: Float[Tensor, "batch edge edge channels"]) -> Float[Tensor, "batch width"]:
        """Map surfaces with channels (B, n, n, C) to teacher embeddings (B, D)."""
        linear = self.from_surface(surface[..., 0].flatten(1))
        if surface.shape[-1] > 1:
            linear = linear + self.from_channels(surface[..., 1:].flatten(1))
        centered: Tensor = linear + self.decode_nonlinear(surface)
        return centered * self.scale + self.mean

    def encode_nonlinear(self, centered: Tensor) -> Tensor | float:
        """Return the addition to the code (B, n*n) of centered embeddings (B, D)."""
        return 0.0

    def decode_nonlinear(self, surface: Tensor) -> Tensor | float:
        """Return the addition to the centered embedding (B, D) of a surface (B, n, n, C)."""
        return 0.0
