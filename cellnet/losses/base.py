"""The contract of a loss, and its input: teacher embeddings and what the student made of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from cellnet.errors import TrainingError
from cellnet.lattice.geometry import Dimensions
from cellnet.settings import LossSettings
from cellnet.student.base import Reconstruction
from cellnet.student.cube import LatticeOutput
from cellnet.student.student import StudentOutput


@dataclass(frozen=True)
class LossInput:
    """One batch as the losses see it.

    Attributes:
        target: teacher embeddings y, (B, D).
        output: the student's answer; ``output.embeddings`` is y^, (B, D).
        interior: linear indices of the cells on none of the six faces; none where there is no lattice.
        dimensions: the lattice.
    """

    target: Float[Tensor, "batch width"]
    output: Reconstruction
    interior: Int[Tensor, " interior"]
    dimensions: Dimensions

    @property
    def lattice(self) -> LatticeOutput:
        """The states of the lattice.

        Raises:
            TrainingError: if the student has none.
        """
        if not isinstance(self.output, StudentOutput):
            raise TrainingError(
                "the student has no lattice; make_losses(..., lattice=False) leaves out "
                "the losses that need one"
            )
        return self.output.lattice


class Loss(ABC):
    """A dimensionless loss, about 1 when bad.

    Attributes:
        needs_lattice: whether it measures states of the lattice; a student without one goes without it.
    """

    needs_lattice: ClassVar[bool] = False

    @classmethod
    def made_from(cls, settings: LossSettings) -> Loss:
        """Return the loss that the settings ask for; one with parameters takes them from there."""
        return cls()

    @abstractmethod
    def __call__(self, batch: LossInput) -> Float[Tensor, ""]:
        """Return the loss as a scalar."""
