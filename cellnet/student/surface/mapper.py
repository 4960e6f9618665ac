"""From a surface to the starting states of the cube."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from cellnet.lattice.cells import CellValues
from cellnet.settings import Settings
from cellnet.student.layers import FeatureLinear
from cellnet.student.surface.placement import Placement

_START_SCALE = 0.5


class SurfacePositionalEncoding(nn.Module):
    """A learned vector for each placed cell, added to its state.

    It starts at zero in channel 0, which carries the surface value itself.
    """

    def __init__(self, placed: int, state_size: int) -> None:
        super().__init__()
        start = torch.randn(placed, state_size) * _START_SCALE
        start[:, 0] = 0.0
        self.vectors = nn.Parameter(start)

    def forward(
        self, states: Float[Tensor, "batch placed channels"]
    ) -> Float[Tensor, "batch placed channels"]:
        """Add the encoding to the states (B, P, C) of the placed cells."""
        return states + self.vectors


class VolumeStateInitializer(nn.Module):
    """Learned starting states of the cells that hold no surface.

    They do not depend on the input: whatever these cells come to know of it, the experts brought.
    """

    def __init__(self, cells: int, state_size: int) -> None:
        super().__init__()
        self.states = nn.Parameter(torch.randn(cells, state_size) * _START_SCALE)

    def forward(self, batch: int) -> Float[Tensor, "{batch} cells channels"]:
        """Return the states (B, cells, C)."""
        return self.states.expand(batch, -1, -1)


class EmbeddingToLatticeMapper(nn.Module):
    """Put each surface value into its own cells, lifted to C channels.

    Channel 0 of a placed cell starts as the value itself; the others as a random direction times it. Each
    placed cell has a direction of its own, by which its neighbors can tell its value from the others'.

    With the lifting ``whole_surface`` a random mixture of all values is added to the other channels, again
    one of its own for each placed cell: so each has something to say from the first step on, where it would
    have to wait for the values of others to travel to it.
    """

    coordinate: Tensor
    position: Tensor

    def __init__(self, settings: Settings, placement: Placement) -> None:
        super().__init__()
        size = settings.model.state_size
        lift = torch.randn(len(placement.cells), size) * _START_SCALE
        lift[:, 0] = 1.0
        self.lift = nn.Parameter(lift)
        self.mixture: FeatureLinear | None = None
        if settings.embedding.lifting_strategy == "whole_surface":
            self.mixture = FeatureLinear(placement.size**2, len(placement.cells) * (size - 1), bias=False)
        self.positional_encoding = SurfacePositionalEncoding(len(placement.cells), size)
        everything = torch.arange(settings.lattice.cell_count)
        others = everything[~torch.isin(everything, placement.cells)]
        self.volume = VolumeStateInitializer(len(others), size)
        self.register_buffer("coordinate", placement.coordinate, persistent=False)
        # Placed cells and the others lie one behind the other: the place of each linear index.
        position = torch.argsort(torch.cat([placement.cells, others]))
        self.register_buffer("position", position, persistent=False)

    def forward(self, surface: Float[Tensor, "batch edge edge"]) -> CellValues:
        """Map surfaces (B, n, n) to states, C numbers for each cell."""
        values = surface.flatten(1)
        lifted = values[:, self.coordinate].unsqueeze(-1) * self.lift
        if self.mixture is not None:
            mixed = self.mixture(values).unflatten(1, (len(self.lift), -1))
            lifted = lifted + F.pad(mixed, (1, 0))
        placed = self.positional_encoding(lifted)
        both = torch.cat([placed, self.volume(len(surface)).to(placed.dtype)], dim=1)
        return CellValues(both.transpose(0, 1), self.position)
