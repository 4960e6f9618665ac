"""From the states of the cube back to a surface, with all channels."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cellnet.lattice.cells import CellValues
from cellnet.lattice.geometry import coordinates
from cellnet.settings import Settings
from cellnet.student.surface.placement import Placement


class LatticeToEmbeddingExtractor(nn.Module):
    """Read the surface out: its values from channel 0, and from the other channels what the cube changed.

    The other channels of a fresh state hold each value over again in known proportions, which says nothing
    new and would only drown what the experts add.

    ``surface_mean`` takes the mean over the placed cells that share a coordinate. ``weighted_surface``
    starts there and learns the weight of each placed cell in each channel, so that a channel may listen to
    those of the cells that have something to say. ``volume_projection`` also starts there and learns such
    weights for every cell of the cube, each projected along z onto the surface.

    Of states that nothing changed, all three start by giving back exactly the surface that was put in.
    """

    cells: Tensor
    coordinate: Tensor
    weight: Tensor

    def __init__(self, settings: Settings, placement: Placement) -> None:
        super().__init__()
        strategy = settings.embedding.extraction_strategy
        self.size = placement.size
        cells, coordinate = placement.cells, placement.coordinate
        share = 1.0 / torch.bincount(coordinate, minlength=self.size**2)[coordinate].unsqueeze(1)
        if strategy == "volume_projection":
            dimensions = settings.lattice.dimensions
            x, y, _ = coordinates(dimensions).unbind(1)
            projected = (x * self.size // dimensions[0]) * self.size + y * self.size // dimensions[1]
            others = torch.ones(settings.lattice.cell_count, dtype=torch.bool)
            others[cells] = False
            cells = torch.cat([cells, others.nonzero().flatten()])
            coordinate = torch.cat([coordinate, projected[others]])
            share = torch.cat([share, torch.zeros(int(others.sum()), 1)])
        order = torch.argsort(coordinate, stable=True)
        self.register_buffer("cells", cells[order], persistent=False)
        self.register_buffer("coordinate", coordinate[order], persistent=False)
        if strategy == "surface_mean":
            self.register_buffer("weight", share[order], persistent=False)
        else:
            self.weight = nn.Parameter(share[order].repeat(1, settings.model.state_size))

    def forward(
        self, states: CellValues, initial: CellValues
    ) -> Float[Tensor, "batch {self.size} {self.size} channels"]:
        """Map states, and those that the first step started from, to surfaces (B, n, n, C)."""
        after, before = states.of(self.cells), initial.of(self.cells)
        _, batch, channels = after.shape
        read = torch.cat([after[..., :1], after[..., 1:] - before[..., 1:]], dim=-1)
        weighted = read * self.weight.to(read.dtype).unsqueeze(1)
        rows = weighted.new_zeros(self.size**2, batch, channels)
        rows = rows.index_add(0, self.coordinate, weighted)
        surface: Tensor = rows.transpose(0, 1).unflatten(1, (self.size, self.size))
        return surface
