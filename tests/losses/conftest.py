"""A student's output made of chosen numbers."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from cellnet.lattice.cells import CellValues
from cellnet.losses import LossInput
from cellnet.student.cube import LatticeOutput
from cellnet.student.student import StudentOutput

DIMENSIONS = (4, 3, 5)
INTERIOR = [
    (x * 3 + y) * 5 + z for x in range(1, 3) for y in range(1, 2) for z in range(1, 4)
]  # The cells on none of the six faces.

MakeBatch = Callable[..., LossInput]


def _make_batch(
    *,
    target: Tensor | None = None,
    answer: Tensor | None = None,
    initial: Tensor | None = None,
    final: Tensor | None = None,
    relative_change: Tensor | None = None,
) -> LossInput:
    given = (x for x in (target, answer, initial, final) if x is not None)
    size = next((len(x) for x in given), 6)
    target = torch.randn(size, 7) if target is None else target
    answer = torch.randn(size, 7) if answer is None else answer
    initial = torch.randn(size, 60, 2) if initial is None else initial
    final = torch.randn(size, 60, 2) if final is None else final
    relative_change = torch.rand(3, size) if relative_change is None else relative_change
    start, end = (CellValues.from_linear(states) for states in (initial, final))
    lattice = LatticeOutput(start, end, relative_change, False, ())
    output = StudentOutput(answer, torch.zeros(size, 4, 4), torch.zeros(size, 4, 4, 2), lattice)
    return LossInput(target, output, torch.tensor(INTERIOR), DIMENSIONS)


@pytest.fixture
def make_batch() -> MakeBatch:
    torch.manual_seed(11)
    return _make_batch
