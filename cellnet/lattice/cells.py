"""Values of all cells, in whatever order they were made, given in the order in which they are read."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cellnet.lattice.sums import take_rows


@dataclass(frozen=True)
class CellValues:
    """Values of all cells; they are brought to another order only where they are read in it.

    Attributes:
        rows: the values, (N, B, ...), in any order.
        rank: place in ``rows`` of each linear index, (N,).
    """

    rows: Float[Tensor, "cells batch *values"]
    rank: Int[Tensor, " cells"]

    @classmethod
    def from_linear(cls, values: Float[Tensor, "batch cells *values"]) -> CellValues:
        """Take values (B, N, ...) in linear order as they are."""
        return cls(values.transpose(0, 1), torch.arange(values.shape[1], device=values.device))

    @property
    def device(self) -> torch.device:
        """Device of the values."""
        return self.rows.device

    @property
    def linear(self) -> Float[Tensor, "batch cells *values"]:
        """The values in linear order, (B, N, ...); brought to that order at each access."""
        return take_rows(self.rows, self.rank).transpose(0, 1)

    def of(self, cells: Int[Tensor, " chosen"]) -> Float[Tensor, "chosen batch *values"]:
        """Return the values of the cells with these linear indices, (len(cells), B, ...)."""
        return take_rows(self.rows, self.rank[cells])
