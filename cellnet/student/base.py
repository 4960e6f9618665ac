"""The part that students have in common: a codec, and a body that carries the code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from cellnet.settings import Settings
from cellnet.student.codec import PCA, EmbeddingTransformer


@dataclass(frozen=True)
class Reconstruction:
    """The answer of a student to a batch.

    Attributes:
        embeddings: reconstructed teacher embeddings, (B, D).
        surface_in: the code, (B, n, n).
    """

    embeddings: Float[Tensor, "batch width"]
    surface_in: Float[Tensor, "batch edge edge"]


class Student(nn.Module):
    """A model that a training can teach: a codec and a body, the cube or another.

    Attributes:
        settings: of the student.
        codec: teacher embeddings to codes and back.
        interior: linear indices of the cells on none of the six faces; none where there is no lattice.
        has_lattice: whether losses may measure states of a lattice.
    """

    settings: Settings
    codec: EmbeddingTransformer
    interior: Tensor
    has_lattice: ClassVar[bool]

    def start_from(self, pca: PCA) -> None:
        """Take scaling, and with ``embedding.pca_initialization`` the linear path, from a PCA."""
        self.codec.fit_scaling(pca)
        if self.settings.embedding.pca_initialization:
            self.codec.start_from_pca(pca)

    def learn(
        self, embeddings: Float[Tensor, "batch width"], *, body_rests: bool = False
    ) -> Reconstruction:
        """Reconstruct teacher embeddings (B, D) as a training step does, from codes that are not refined.

        Args:
            embeddings: of the teacher.
            body_rests: whether the codec learns alone, so that the body passes the code on.
        """
        raise NotImplementedError

    def follow(self, settings: Settings) -> None:
        """Take over what live changes mean for the body; by default nothing."""
