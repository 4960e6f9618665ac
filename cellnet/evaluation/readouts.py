"""What the student would answer if the cube stopped after each step."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from cellnet.student.student import CellNet


def readouts(model: CellNet, surface_in: Tensor) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Yield what is read out after each step 0..T, (B, D), and the gate of that step, (B, N, 3).

    Args:
        model: the student.
        surface_in: what is put on the surface, (B, n, n); see `CellNet.put_on_surface`.
    """
    states = model.mapper(surface_in)
    initial = states
    yield model.codec.decode(model.extractor(states, initial)), None
    for _ in range(model.settings.model.steps):
        output = model.lattice(states, steps=1, keep_trace=True)
        states = output.final
        yield model.codec.decode(model.extractor(states, initial)), output.trace[0].gate
