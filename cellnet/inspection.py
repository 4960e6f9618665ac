"""Look inside a student: everything that happens while it carries embeddings, with or without damage."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cellnet.interventions import Intervention
from cellnet.measures import Embeddings
from cellnet.model import CellNet

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Inspection:
    """What a student did with B embeddings; arrays are float32 on the host, cells in linear order.

    Attributes:
        dimensions: cells along x, y, z.
        teacher: the embeddings that went in, (B, D).
        surface_in: the code, (B, n, n).
        surface_out: the surface read out after the last step, (B, n, n, C).
        states: states before the first and after each step, (B, T + 1, N, C).
        gate: weight of each expert at each step (local, functional, distant), (B, T, N, 3).
        output_norms: rms over channels of what each expert proposed, before the gate, (B, T, N, 3).
        readouts: what is read out after each step 0..T, (B, T + 1, D); the last is the reconstruction.
        cosine: between each readout and the teacher, (B, T + 1).
        relative_change: rms(s_t+1 - s_t) / rms(s_t), (B, T).
        intervention: what was done to the cube.
    """

    dimensions: tuple[int, int, int]
    teacher: FloatArray
    surface_in: FloatArray
    surface_out: FloatArray
    states: FloatArray
    gate: FloatArray
    output_norms: FloatArray
    readouts: FloatArray
    cosine: FloatArray
    relative_change: FloatArray
    intervention: Intervention = field(default_factory=Intervention)


def inspect(model: CellNet, embeddings: Embeddings, intervention: Intervention | None = None) -> Inspection:
    """Send teacher embeddings (B, D) through a student, all T steps, and keep everything.

    Raises:
        ValueError: if the embeddings or the intervention do not fit the student.
    """
    raise NotImplementedError
