"""What a loss is given: the student's answer, the teacher's embedding and the lattice's states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

from cellnet.lattice.geometry import Dimensions
from cellnet.student.student import StudentOutput


@dataclass(frozen=True)
class LossInput:
    """One batch as the losses see it.

    Attributes:
        target: teacher embeddings y, (B, D).
        output: the student's answer; ``output.embeddings`` is y^, (B, D).
        interior: linear indices of the cells on none of the six faces.
        dimensions: the lattice.
    """

    target: Float[Tensor, "batch width"]
    output: StudentOutput
    interior: Int[Tensor, " interior"]
    dimensions: Dimensions


@runtime_checkable
class Loss(Protocol):
    """A dimensionless loss, about 1 when bad."""

    def __call__(self, batch: LossInput) -> Float[Tensor, ""]:
        """Return the loss as a scalar."""
        ...
