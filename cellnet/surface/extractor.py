"""From the states of the cube back to a surface, with all channels."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cellnet.lattice.geometry import coordinates
from cellnet.settings import Settings
from cellnet.surface.placement import Placement


class LatticeToEmbeddingExtractor(nn.Module):
    """Read the surface out.

    ``surface_mean`` takes the mean over the placed cells that share a coordinate. ``weighted_surface``
    starts there and learns the weight of each placed cell. ``volume_projection`` also starts there and
    learns a weight for every cell of the cube, each projected along z onto the surface.

    All three start by giving back exactly the surface that the mapper put in.
    """

    cells: Tensor
    coordinate: Tensor
    weight: Tensor

    def __init__(self, settings: Settings, placement: Placement) -> None:
        super().__init__()
        strategy = settings.embedding.extraction_strategy
        self.size = placement.size
        cells, coordinate = placement.cells, placement.coordinate
        share = 1.0 / torch.bincount(coordinate, minlength=self.size**2)[coordinate]
        if strategy == "volume_projection":
            dimensions = settings.lattice.dimensions
            x, y, _ = coordinates(dimensions).unbind(1)
            projected = (x * self.size // dimensions[0]) * self.size + y * self.size // dimensions[1]
            others = torch.ones(settings.lattice.cell_count, dtype=torch.bool)
            others[cells] = False
            cells = torch.cat([cells, others.nonzero().flatten()])
            coordinate = torch.cat([coordinate, projected[others]])
            share = torch.cat([share, torch.zeros(int(others.sum()))])
        order = torch.argsort(coordinate, stable=True)
        self.register_buffer("cells", cells[order], persistent=False)
        self.register_buffer("coordinate", coordinate[order], persistent=False)
        if strategy == "surface_mean":
            self.register_buffer("weight", share[order], persistent=False)
        else:
            self.weight = nn.Parameter(share[order])

    def forward(
        self, states: Float[Tensor, "batch cells channels"]
    ) -> Float[Tensor, "batch {self.size} {self.size} channels"]:
        """Map states (B, N, C) to surfaces with channels (B, n, n, C)."""
        batch, _, channels = states.shape
        weighted = states[:, self.cells] * self.weight.to(states.dtype).unsqueeze(-1)
        surface = weighted.new_zeros(batch, self.size**2, channels)
        surface = surface.index_add(1, self.coordinate, weighted)
        return surface.view(batch, self.size, self.size, channels)
