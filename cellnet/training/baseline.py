"""The training of the MLP student: the cube's, with another body."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import torch

from cellnet.errors import TrainingError
from cellnet.runs import ChangeRecord
from cellnet.settings import with_changes
from cellnet.student.codec import PCA, fit_pca
from cellnet.student.perceptron import Perceptron
from cellnet.student.student import CellNet
from cellnet.training.data import TrainingData
from cellnet.training.events import ChangeEvent
from cellnet.training.learner import Learner


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

    Steps are made as the student's were (see `Learner`). Losses that need a lattice are left out; the
    others keep their weights. Live changes of the student's training are repeated at the same steps.

    Args:
        student: gives settings and number of parameters; it is not changed.
        data: what the student was trained on.
        steps: optimizer steps.
        device: where the work runs.
        pca: of the training embeddings, if it is there already.
        schedule_steps: steps over which the learning rate runs its course, ``steps`` unless given.
        changes: live changes of the student's training, in the order in which they took effect.
        progress: told how many steps are done, and how many there are; may raise to end the training.

    Raises:
        DataError: if there are too few parameters or sentences.
        TrainingError: if a loss or gradient is not finite.
    """
    at_start: dict[str, Any] = {change.key: change.old for change in reversed(changes)}
    # The student may have been trained on another device; an engine decides about speed alone.
    at_start |= {"training.max_steps": schedule_steps or steps, "training.engine": "auto"}
    settings = with_changes(student.settings, at_start)
    mlp = Perceptron.like(student)
    mlp.start_from(fit_pca(data.train) if pca is None else pca)
    learner = Learner(mlp, data, settings, device)
    waiting = deque(changes)
    for step in range(steps):
        # Together, as they were made: a ratio alone may contradict another.
        due: dict[str, Any] = {}
        while waiting and waiting[0].step <= step:
            change = waiting.popleft()
            due[change.key] = change.new
        if due:
            learner.change(with_changes(learner.settings, due))
        if not learner.step(step).result.is_finite:
            raise TrainingError(
                f"the loss or gradient of step {step + 1} of the MLP student is not finite; leave it out"
            )
        if progress is not None:
            progress(step + 1, steps)
    return mlp
