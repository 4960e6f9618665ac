"""The carrier: sends embeddings through a student and keeps every step, with or without damage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from cellnet.measures import Embeddings, parts, rows_to_host
from cellnet.student.damage import Intervention
from cellnet.student.student import CellNet, StudentOutput

FloatArray = npt.NDArray[np.float32]

MAX_KEPT_BYTES = 10**9
"""Most bytes that one inspection keeps."""
_WORKING_BYTES = 2**28
"""About how much one part of the batch may take while it is carried."""
_ORDERS_FACTOR = 3
"""A part takes this many times what is kept of it, and once more for each expert's proposals."""


@dataclass(frozen=True)
class Carried:
    """A part of a batch that went through a student; tensors are on the student's device.

    Attributes:
        rows: the rows of the batch that this part is.
        teacher: their embeddings, (B, D).
        output: the answer of the student, with a trace of all T steps.
        readouts: the embeddings read out after each step 0..T, (B, T + 1, D).
    """

    rows: slice
    teacher: Tensor
    output: StudentOutput
    readouts: Tensor

    @property
    def states(self) -> Tensor:
        """States that each step starts from, and those after the last, (B, T + 1, N, C)."""
        lattice = self.output.lattice
        return torch.stack([lattice.initial, *(step.states for step in lattice.trace)], dim=1)

    @property
    def gate(self) -> Tensor:
        """Weight of each expert at each step, (B, T, N, E)."""
        return torch.stack([step.gate for step in self.output.lattice.trace], dim=1)


@torch.no_grad()
def carry(
    model: CellNet,
    embeddings: Embeddings | Tensor,
    intervention: Intervention | None = None,
    *,
    surfaces: FloatArray | Tensor | None = None,
) -> Iterator[Carried]:
    """Send teacher embeddings (n, D) through a student, all T steps, part by part.

    Whoever asks what a student does with a sentence asks here, so that one student and one sentence give
    one cube. Codes are refined as the settings say. The size of a part bounds the memory; no part depends
    on another. The model is not changed, and its mode does not matter.

    Args:
        model: the student; the work is done on its device, in its precision.
        embeddings: of the sentences.
        intervention: damage to the cube; none unless given.
        surfaces: their codes (n, e, e), where they are known already; damage does not change them.
    """
    like = next(model.parameters())
    working = inspection_bytes(model, 1) * (_ORDERS_FACTOR + len(model.lattice.tier_of))
    size = max(1, _WORKING_BYTES // working)
    for rows in parts(len(embeddings), size):
        teacher = _part(embeddings, rows, like)
        surface = None if surfaces is None else _part(surfaces, rows, like)
        output = model(
            teacher, surface_in=surface, keep_trace=True, intervention=intervention, stop_early=False
        )
        lattice = output.lattice
        readouts = [
            model.codec.decode(model.extractor(states, lattice.start))
            for states in (lattice.start, *(step.after for step in lattice.trace))
        ]
        yield Carried(rows, teacher, output, torch.stack(readouts, dim=1))


def _part(values: Embeddings | Tensor, rows: slice, like: Tensor) -> Tensor:
    chosen = values[rows]
    tensor = chosen if isinstance(chosen, Tensor) else torch.from_numpy(np.array(chosen))
    return tensor.to(like.device, like.dtype)


@dataclass(frozen=True)
class Inspection:
    """The way of B embeddings through a student; arrays are float32 on the host, cells in linear order.

    Attributes:
        dimensions: cells along x, y, z.
        teacher: the embeddings that went in, (B, D).
        surface_in: the code, (B, n, n).
        surface_out: the surface read out after the last step, (B, n, n, C).
        states: states that each step starts from, and those after the last, (B, T + 1, N, C); damage that
            begins at a step is seen in the states that it starts from.
        gate: weight of each expert at each step, in the order of the table, (B, T, N, E).
        output_norms: rms over channels of each expert's proposal, before the gate, (B, T, N, E).
        readouts: embeddings read out after each step 0..T, (B, T + 1, D); the last is the reconstruction.
        cosine: between each readout and the teacher, (B, T + 1).
        relative_change: rms(s_t+1 - s_t) / rms(s_t), (B, T).
        intervention: the damage.
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

    @property
    def nbytes(self) -> int:
        """Bytes that all arrays take."""
        return sum(value.nbytes for value in vars(self).values() if isinstance(value, np.ndarray))


def inspection_bytes(model: CellNet, rows: int) -> int:
    """Return the bytes that an inspection of ``rows`` embeddings keeps, but for the small arrays."""
    cells, steps = model.settings.lattice.cell_count, model.settings.model.steps
    return (
        4
        * rows
        * cells
        * ((steps + 1) * model.settings.model.state_size + steps * 2 * len(model.lattice.tier_of))
    )


def inspect(
    model: CellNet,
    embeddings: Embeddings,
    intervention: Intervention | None = None,
    *,
    surfaces: FloatArray | None = None,
) -> Inspection:
    """Send teacher embeddings (B, D) through a student and keep everything (see `carry`).

    Args:
        model: the student.
        embeddings: of the sentences.
        intervention: damage to the cube; none unless given.
        surfaces: their codes (B, n, n), from an earlier inspection (``surface_in``).

    Raises:
        ValueError: if the embeddings or the intervention do not fit the student, or more than
            `MAX_KEPT_BYTES` would be kept.
    """
    teacher = np.asarray(embeddings, dtype=np.float32)
    settings = model.settings
    width = settings.embedding.teacher_width
    if teacher.ndim != 2 or teacher.shape[1] != width or not len(teacher):
        raise ValueError(f"embeddings of shape {teacher.shape} do not fit; give (B, {width}) with B >= 1")
    edge = model.codec.surface_size
    if surfaces is not None and surfaces.shape != (len(teacher), edge, edge):
        raise ValueError(
            f"surfaces of shape {surfaces.shape} do not fit; give ({len(teacher)}, {edge}, {edge})"
        )
    if not np.isfinite(teacher).all():
        raise ValueError("the embeddings are not finite")
    intervention = intervention or Intervention()
    intervention.check(settings.lattice.cell_count, settings.model.steps)
    one = inspection_bytes(model, 1)
    if one * len(teacher) > MAX_KEPT_BYTES:
        raise ValueError(
            f"{len(teacher)} sentences in this cube take {one * len(teacher) / 1e6:,.0f} MB; look at "
            f"{MAX_KEPT_BYTES // one} or fewer at once"
        )
    kept = [_keep(part) for part in carry(model, teacher, intervention, surfaces=surfaces)]
    arrays = {name: np.concatenate([part[name] for part in kept]) for name in kept[0]}
    return Inspection(
        dimensions=settings.lattice.dimensions, teacher=teacher, intervention=intervention, **arrays
    )


def _keep(part: Carried) -> dict[str, FloatArray]:
    lattice = part.output.lattice
    norms = [step.changes.square().mean(dim=-1).sqrt() for step in lattice.trace]
    tensors = {
        "surface_in": part.output.surface_in,
        "surface_out": part.output.surface_out,
        "states": part.states,
        "gate": part.gate,
        "output_norms": torch.stack(norms, dim=1),
        "readouts": part.readouts,
        "cosine": F.cosine_similarity(part.readouts, part.teacher[:, None], dim=-1),
        "relative_change": lattice.relative_change.T,
    }
    return {name: rows_to_host(value) for name, value in tensors.items()}
