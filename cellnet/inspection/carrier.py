"""Look inside a student: everything that happens while it carries embeddings, with or without damage."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from cellnet.measures import Embeddings, rows_to_host
from cellnet.student.damage import Intervention
from cellnet.student.student import CellNet

FloatArray = npt.NDArray[np.float32]

MAX_KEPT_BYTES = 10**9
"""Most bytes that one inspection keeps."""
_WORKING_BYTES = 2**28
"""About how much one part of the batch may take while it is carried."""
_WORKING_FACTOR = 6
"""A part takes this many times what is kept of it: proposals of three experts, and both orders of cells."""


@dataclass(frozen=True)
class Inspection:
    """What a student did with B embeddings; arrays are float32 on the host, cells in linear order.

    Attributes:
        dimensions: cells along x, y, z.
        teacher: the embeddings that went in, (B, D).
        surface_in: the code, (B, n, n).
        surface_out: the surface read out after the last step, (B, n, n, C).
        states: states that each step starts from, and those after the last, (B, T + 1, N, C); damage that
            begins at a step is seen in the states that it starts from.
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

    @property
    def nbytes(self) -> int:
        """Bytes that all arrays take."""
        return sum(value.nbytes for value in vars(self).values() if isinstance(value, np.ndarray))


def inspection_bytes(model: CellNet, rows: int) -> int:
    """Return the bytes that an inspection of ``rows`` embeddings keeps, but for the small arrays."""
    cells, steps = model.settings.lattice.cell_count, model.settings.model.steps
    return 4 * rows * cells * ((steps + 1) * model.settings.model.state_size + steps * 6)


@torch.no_grad()
def inspect(
    model: CellNet,
    embeddings: Embeddings,
    intervention: Intervention | None = None,
    *,
    surfaces: FloatArray | None = None,
) -> Inspection:
    """Send teacher embeddings (B, D) through a student, all T steps, and keep everything.

    The work is done on the model's device, in parts that bound the memory; no part sees another, so that
    the result does not depend on how many there are. The model is not changed, not even its mode.

    Args:
        model: the student.
        embeddings: of the sentences.
        intervention: what is done to the cube; nothing unless given.
        surfaces: what is put on the surface, (B, n, n), where an inspection of the embeddings has found
            it already (``surface_in``); damage does not change it.

    Raises:
        ValueError: if the embeddings or the intervention do not fit the student, or more than
            `MAX_KEPT_BYTES` would be kept.
    """
    rows = np.asarray(embeddings, dtype=np.float32)
    settings = model.settings
    width = settings.embedding.teacher_width
    if rows.ndim != 2 or rows.shape[1] != width or not len(rows):
        raise ValueError(f"embeddings of shape {rows.shape} do not fit; give (B, {width}) with B >= 1")
    edge = model.codec.surface_size
    if surfaces is not None and surfaces.shape != (len(rows), edge, edge):
        raise ValueError(
            f"surfaces of shape {surfaces.shape} do not fit; give ({len(rows)}, {edge}, {edge})"
        )
    if not np.isfinite(rows).all():
        raise ValueError("the embeddings are not finite")
    intervention = intervention or Intervention()
    intervention.check(settings.lattice.cell_count, settings.model.steps)
    one = inspection_bytes(model, 1)
    if one * len(rows) > MAX_KEPT_BYTES:
        raise ValueError(
            f"{len(rows)} sentences in this cube take {one * len(rows) / 1e6:,.0f} MB; look at "
            f"{MAX_KEPT_BYTES // one} or fewer at once"
        )
    part = max(1, _WORKING_BYTES // (one * _WORKING_FACTOR))
    parts = [
        _carry(
            model, rows[i : i + part], None if surfaces is None else surfaces[i : i + part], intervention
        )
        for i in range(0, len(rows), part)
    ]
    together = {name: np.concatenate([found[name] for found in parts]) for name in parts[0]}
    return Inspection(
        dimensions=settings.lattice.dimensions, teacher=rows, intervention=intervention, **together
    )


def _carry(
    model: CellNet, rows: FloatArray, surfaces: FloatArray | None, intervention: Intervention
) -> dict[str, FloatArray]:
    """Carry one part of the batch."""
    parameter = next(model.parameters())
    teacher = torch.from_numpy(rows).to(parameter.device, parameter.dtype)
    surface = None if surfaces is None else torch.from_numpy(surfaces).to(teacher)
    output = model(
        teacher, surface_in=surface, keep_trace=True, intervention=intervention, stop_early=False
    )
    lattice = output.lattice
    states = [lattice.initial, *(step.states for step in lattice.trace)]
    readouts = torch.stack(
        [model.codec.decode(model.extractor(state, lattice.initial)) for state in states], dim=1
    )
    found = {
        "surface_in": output.surface_in,
        "surface_out": output.surface_out,
        "states": torch.stack(states, dim=1),
        "gate": torch.stack([step.gate for step in lattice.trace], dim=1),
        "output_norms": torch.stack(
            [step.changes.square().mean(dim=-1).sqrt() for step in lattice.trace], dim=1
        ),
        "readouts": readouts,
        "cosine": F.cosine_similarity(readouts, teacher[:, None], dim=-1),
        "relative_change": lattice.relative_change.T,
    }
    return {name: rows_to_host(value) for name, value in found.items()}
