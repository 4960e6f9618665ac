"""One sentence that is sent through the cube again and again, to see what the cube makes of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cellnet.inspection import inspect
from cellnet.student.student import CellNet
from cellnet.training import TrainingData

_COMFORTABLE = range(50, 111)
"""Characters of a sentence that fits on one line beside the cube."""


@dataclass(frozen=True)
class CubeFrame:
    """The cube while it carried one sentence, at one moment of the training.

    Attributes:
        number: counts the frames of a training.
        step: training steps made.
        dimensions: cells along x, y, z.
        states: (T + 1, N, C) float32: as the sentence came in, and after each lattice step.
        gate: (T, N, E) float32: weight of each expert at each lattice step, in the order of the table.
        cosine: between the teacher's embedding and what came out of the cube.
        text: the sentence.
        seconds: what computing the frame took.
    """

    number: int
    step: int
    dimensions: tuple[int, int, int]
    states: npt.NDArray[np.float32]
    gate: npt.NDArray[np.float32]
    cosine: float
    text: str
    seconds: float


@dataclass(frozen=True)
class Probe:
    """A held-out sentence: its text and its teacher embedding (1, D)."""

    text: str
    embedding: npt.NDArray[np.float32]

    @classmethod
    def choose(cls, data: TrainingData) -> Probe:
        """Take the first held-out sentence that fits on one line, or else the first one."""
        texts = data.validation_texts
        fitting = (row for row, text in enumerate(texts) if len(text) in _COMFORTABLE)
        row = next(fitting, 0)
        text = texts[row] if texts else "the first held-out embedding"
        return cls(text, np.array(data.validation[row : row + 1], dtype=np.float32))

    def carry(self, model: CellNet) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], float]:
        """Send the sentence through the cube: states (T + 1, N, C), gate (T, N, E) and the cosine."""
        carried = inspect(model, self.embedding)
        return carried.states[0], carried.gate[0], float(carried.cosine[0, -1])
