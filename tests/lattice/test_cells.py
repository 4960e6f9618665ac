"""Values of cells in two orders, against plain indexing."""

import pytest
import torch

from cellnet.lattice.cells import CellValues

ORDER = torch.tensor([4, 0, 3, 1, 2])  # linear index of the cell at each place


@pytest.mark.parametrize("shape", [(), (3,), (3, 2)], ids=str)
def test_values_in_the_order_of_the_engine_are_given_in_linear_order(shape: tuple[int, ...]) -> None:
    linear = torch.randn(2, 5, *shape)
    values = CellValues(linear.transpose(0, 1)[ORDER], torch.argsort(ORDER))
    assert torch.equal(values.linear, linear)
    chosen = torch.tensor([2, 4])
    assert torch.equal(values.of(chosen), linear.transpose(0, 1)[chosen])
    assert torch.equal(CellValues.from_linear(linear).linear, linear)
    assert torch.equal(CellValues.from_linear(linear).of(chosen), values.of(chosen))


def test_gradients_arrive_at_the_cells_that_were_read() -> None:
    rows = torch.zeros(5, 2, 3, requires_grad=True)
    CellValues(rows, torch.argsort(ORDER)).of(torch.tensor([2, 4])).sum().backward()
    assert rows.grad is not None
    assert torch.equal(rows.grad[:, 0, 0], torch.isin(ORDER, torch.tensor([2, 4])).float())
