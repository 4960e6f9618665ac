"""The MLP student: what the cube is compared with, at equal parameters and trained the same way."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from cellnet.errors import DataError, TrainingError
from cellnet.losses import LossInput, make_losses
from cellnet.runs import ChangeRecord
from cellnet.settings import Settings, with_changes
from cellnet.student.codec import PCA, AutoencoderTransformer, fit_pca, refine
from cellnet.student.cube import LatticeOutput
from cellnet.student.layers import initialize, seeded
from cellnet.student.student import CellNet, StudentOutput
from cellnet.training.data import Batches, TrainingData
from cellnet.training.engine import make_optimizer, set_rates
from cellnet.training.events import ChangeEvent
from cellnet.training.schedule import learning_rate, linear_path_share

LOSSES = ("reconstruction", "similarity", "diversity")
"""Those of the six losses that ask for nothing from a cube."""

_CODES_REFINED_AT_ONCE = 1024


class Perceptron(nn.Module):
    """An MLP autoencoder with the code of a student: a linear path, and one hidden layer in each direction.

    It starts as its linear path, as a student does, and from the same PCA.

    Args:
        settings: of the student; ``settings.init`` seeds the starting weights.
        surface_size: edge n of the student's surface; the code has n * n numbers.
        hidden: width of the hidden layers.
    """

    def __init__(self, settings: Settings, surface_size: int, hidden: int) -> None:
        super().__init__()
        # The width follows from the student's parameters, and may lie outside what a form offers.
        embedding = settings.embedding.model_copy(update={"hidden_size": hidden, "decoder_hidden_size": 0})
        self.settings = settings
        self.hidden = hidden
        with seeded(settings.init.seed):
            self.codec = AutoencoderTransformer(embedding, surface_size, state_size=1)
            initialize(self, settings.init)

    @classmethod
    def like(cls, student: CellNet) -> Perceptron:
        """Make the one whose number of parameters is nearest to a student's.

        Raises:
            DataError: if the student has fewer parameters than the smallest one.
        """
        wanted = parameter_count(student)
        edge, settings = student.codec.surface_size, student.settings
        width, code = settings.embedding.teacher_width, edge**2
        linear = 2 * width * code + width + code
        hidden = round((wanted - linear - width - code) / (2 * (width + code) + 2))
        if hidden < 1:
            raise DataError(
                f"the student has {wanted} parameters, too few for an MLP with a code of {code}; "
                "leave the MLP student out"
            )
        return cls(settings, edge, hidden)

    def start_from(self, pca: PCA) -> None:
        """Take scaling, and with ``embedding.pca_initialization`` the linear path, from a PCA."""
        self.codec.fit_scaling(pca)
        if self.settings.embedding.pca_initialization:
            self.codec.start_from_pca(pca)

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

    def forward(self, embeddings: Float[Tensor, "batch width"], *, refine: bool = True) -> StudentOutput:
        """Carry teacher embeddings (B, D) through the code; the answer is that of a cube without steps."""
        code = self.put_on_surface(embeddings) if refine else self.codec.encode(embeddings)
        surface = code.unsqueeze(-1)
        states = surface.flatten(1, 2)
        lattice = LatticeOutput(states, states, states.new_zeros(0, len(states)), False, ())
        return StudentOutput(self.codec.decode(surface), code, surface, lattice)


def parameter_count(model: nn.Module) -> int:
    """Return the number of parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def train_perceptron(
    student: CellNet,
    data: TrainingData,
    *,
    steps: int,
    device: torch.device,
    pca: PCA | None = None,
    schedule_steps: int | None = None,
    changes: Sequence[ChangeEvent | ChangeRecord] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Perceptron:
    """Train an MLP student with the settings that a student was trained with.

    Batches, optimizer, rates, clipping and precision are the student's; of the losses those that need no
    cube have the same weights, and the others fall away. What was changed while the student trained is
    changed at the same steps.

    Args:
        student: gives settings and number of parameters; it is not changed.
        data: what the student was trained on.
        steps: optimizer steps.
        device: where the work runs.
        pca: of the training embeddings, if it is there already.
        schedule_steps: steps over which the learning rate runs its course, ``steps`` unless given.
        changes: live changes of the student's training, in the order in which they took effect.
        progress: told how many steps are done.

    Raises:
        DataError: if there are too few parameters or sentences.
        TrainingError: if a loss is not finite.
    """
    due = deque(change for change in changes if _concerns_an_mlp(change.key))
    before = {change.key: change.old for change in reversed(due)}
    settings = with_changes(student.settings, {**before, "training.max_steps": schedule_steps or steps})
    mlp = Perceptron.like(student)
    mlp.start_from(fit_pca(data.train) if pca is None else pca)
    mlp.to(device)
    optimizer = make_optimizer(mlp, settings, device)
    losses = make_losses(settings.loss)
    training = settings.training
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    batches = Batches(data, settings)
    staged = np.empty(batches.shape, dtype=np.float32)
    mixed = training.precision == "bfloat16"
    nothing = torch.zeros(0, dtype=torch.int64, device=device)
    for step in range(steps):
        while due and due[0].step <= step:
            change = due.popleft()
            settings = with_changes(settings, {change.key: change.new})
        optimizer.zero_grad()
        for _ in range(training.accumulation_steps):
            batches.fill(staged)
            batch = torch.from_numpy(staged).to(device, copy=True)
            with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
                output = mlp(batch, refine=False)
            seen = LossInput(batch, output, nothing, settings.lattice.dimensions)
            total = torch.stack(
                [getattr(settings.loss, name) * losses[name](seen) for name in LOSSES]
            ).sum()
            (total / training.accumulation_steps).backward()
        norm = float(nn.utils.clip_grad_norm_(parameters, training.clip_norm, foreach=True))
        if not math.isfinite(norm):
            raise TrainingError(
                f"the gradient of step {step + 1} of the MLP student is not finite; leave it out"
            )
        schedule = settings.training
        set_rates(optimizer, learning_rate(step, schedule), linear_path_share(step, schedule))
        optimizer.step()
        if progress is not None:
            progress(step + 1, steps)
    return mlp


def _concerns_an_mlp(key: str) -> bool:
    """Whether a live change of this setting matters where there is no cube."""
    return key == "training.learning_rate" or key.startswith("loss.")
