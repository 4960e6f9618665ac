"""The MLP student, with which the cube is compared at equal parameters."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cellnet.errors import DataError
from cellnet.settings import Settings
from cellnet.student.base import Reconstruction, Student
from cellnet.student.codec import AutoencoderTransformer, refine
from cellnet.student.layers import initialize, seeded
from cellnet.student.student import CellNet

_CODES_REFINED_AT_ONCE = 1024


class Perceptron(Student):
    """An MLP autoencoder with the code of a student: a linear path, and one hidden layer in each direction.

    It starts as its linear path, as a student does, and from the same PCA.

    Args:
        settings: of the student; ``settings.init`` seeds the starting weights.
        surface_size: edge n of the student's surface; the code has n * n numbers.
        hidden: width of the hidden layers.
    """

    has_lattice = False

    def __init__(self, settings: Settings, surface_size: int, hidden: int) -> None:
        super().__init__()
        # The width follows from the student's parameters, and may lie outside what a form offers.
        embedding = settings.embedding.model_copy(update={"hidden_size": hidden, "decoder_hidden_size": 0})
        self.settings = settings
        self.hidden = hidden
        with seeded(settings.init.seed):
            self.codec = AutoencoderTransformer(embedding, surface_size, state_size=1)
            initialize(self, settings.init)
        self.register_buffer("interior", torch.empty(0, dtype=torch.int64), persistent=False)

    @classmethod
    def like(cls, student: CellNet) -> Perceptron:
        """Make the one whose number of parameters is nearest to a student's.

        Raises:
            DataError: if the student has fewer parameters than the smallest one.
        """
        target = parameter_count(student)
        edge, settings = student.codec.surface_size, student.settings
        width, code = settings.embedding.teacher_width, edge**2
        linear = 2 * width * code + width + code
        hidden = round((target - linear - width - code) / (2 * (width + code) + 2))
        if hidden < 1:
            raise DataError(
                f"the student has {target} parameters, too few for an MLP with a code of {code}; "
                "leave the MLP student out"
            )
        return cls(settings, edge, hidden)

    def put_on_surface(self, embeddings: Float[Tensor, "batch width"]) -> Float[Tensor, "batch edge edge"]:
        """Return the codes as surfaces (B, n, n), refined as a student's are (`CellNet.put_on_surface`)."""
        surface = self.codec.encode(embeddings)
        return refine(
            surface,
            embeddings,
            lambda surface: self.codec.decode(surface.unsqueeze(-1)),
            steps=self.settings.embedding.refinement_steps,
            at_once=_CODES_REFINED_AT_ONCE,
        )

    def learn(
        self, embeddings: Float[Tensor, "batch width"], *, body_rests: bool = False
    ) -> Reconstruction:
        """Carry teacher embeddings (B, D) through the code; there is no body that could rest."""
        answer: Reconstruction = self(embeddings, refine=False)
        return answer

    def forward(self, embeddings: Float[Tensor, "batch width"], *, refine: bool = True) -> Reconstruction:
        """Carry teacher embeddings (B, D) through the code."""
        code = self.put_on_surface(embeddings) if refine else self.codec.encode(embeddings)
        return Reconstruction(self.codec.decode(code.unsqueeze(-1)), code)


def parameter_count(model: nn.Module) -> int:
    """Return the number of parameters."""
    return sum(parameter.numel() for parameter in model.parameters())
