"""Rows of cells taken and summed exactly, with backward passes that need no atomic additions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class CellLists:
    """One list of rows for each cell: list i is ``rows[starts[i]:starts[i + 1]]``."""

    rows: Tensor
    starts: Tensor

    @staticmethod
    def from_pairs(lists: Tensor, rows: Tensor, count: int) -> CellLists:
        """Build ``count`` lists from pairs (list, row); within a list, rows keep their order."""
        order = torch.argsort(lists, stable=True)
        lengths = torch.bincount(lists, minlength=count)
        starts = torch.zeros(count + 1, dtype=torch.int32, device=lists.device)
        starts[1:] = lengths.cumsum(0)
        return CellLists(rows[order].to(torch.int32), starts)

    @property
    def lengths(self) -> Tensor:
        """Length of each list, (count,)."""
        return self.starts.diff()

    def sum(self, values: Float[Tensor, "rows features"]) -> Float[Tensor, "count features"]:
        """Sum the rows of ``values`` (R, F) over each list, giving (count, F)."""
        return F.embedding_bag(self.rows, values, self.starts, mode="sum", include_last_offset=True)


class _GatherRows(torch.autograd.Function):
    """Copy rows; the backward pass sums, for each cell, the places it was copied to."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, rows: Tensor, back_rows: Tensor, back_starts: Tensor) -> Tensor:
        ctx.save_for_backward(back_rows, back_starts)
        return F.embedding(rows, values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        back = CellLists(*ctx.saved_tensors)
        return back.sum(gradients[0].contiguous()), None, None, None


def gather_rows(
    values_NF: Float[Tensor, "cells features"], rows: Int[Tensor, " copies"], back: CellLists
) -> Float[Tensor, "copies features"]:
    """Copy rows of (N, F) into (len(rows), F); ``back`` lists, for each cell, its copies."""
    copied: Tensor = _GatherRows.apply(values_NF, rows, back.rows, back.starts)  # type: ignore[no-untyped-call]
    return copied


class _TakeRows(torch.autograd.Function):
    """Copy rows that are all different; the backward pass puts each gradient in its place."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.count = len(values)
        return values[rows]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (rows,) = ctx.saved_tensors
        [gradient] = gradients
        return gradient.new_zeros(ctx.count, *gradient.shape[1:]).index_copy_(0, rows, gradient), None


def take_rows(
    values: Float[Tensor, "cells ..."], rows: Int[Tensor, " chosen"]
) -> Float[Tensor, "chosen ..."]:
    """Return ``values[rows]`` for rows that are all different, with a fast backward pass."""
    taken: Tensor = _TakeRows.apply(values, rows)  # type: ignore[no-untyped-call]
    return taken
