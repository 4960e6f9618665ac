"""Integrators against exact solutions: the right limit, at the right order."""

import math

import pytest
import torch
from torch import Tensor

from cellnet.settings.student import OdeMethod
from cellnet.student.experts.field import DrivenField
from cellnet.student.experts.ode import integrate

MATRIX = torch.tensor([[-0.5, 2.0, 0.0], [-2.0, -0.3, 0.4], [0.1, 0.0, 0.6]], dtype=torch.float64)


def linear(state: Tensor) -> Tensor:
    return state @ MATRIX.T


def error(method: OdeMethod, steps: int) -> float:
    start = torch.tensor([[1.0, -0.5, 2.0], [0.3, 0.7, -1.0]], dtype=torch.float64)
    exact = start @ torch.linalg.matrix_exp(MATRIX).T
    return float((integrate(linear, start, method=method, steps=steps) - exact).norm() / exact.norm())


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("midpoint", 2), ("rk4", 4)])
def test_convergence_order(method: OdeMethod, order: int) -> None:
    assert math.log2(error(method, 32) / error(method, 64)) == pytest.approx(order, abs=0.1)


def test_dopri5_meets_its_tolerance_whatever_the_number_of_steps() -> None:
    assert error("dopri5", 1) < 1e-4
    assert error("dopri5", 1) == error("dopri5", 50)


def test_euler_by_hand() -> None:
    start = torch.tensor([2.0, -4.0], dtype=torch.float64)
    found = integrate(lambda s: 0.5 * s, start, method="euler", steps=2)
    assert found.tolist() == [2.0 * 1.25**2, -4.0 * 1.25**2]


@pytest.mark.parametrize("method", ["euler", "midpoint", "rk4", "dopri5"])
def test_gradient_reaches_the_start(method: OdeMethod) -> None:
    start = torch.ones(1, 3, dtype=torch.float64, requires_grad=True)
    integrate(linear, start, method=method, steps=40).sum().backward()
    assert start.grad is not None
    expected = torch.linalg.matrix_exp(MATRIX).sum(dim=0)
    torch.testing.assert_close(start.grad[0], expected, rtol=0.1, atol=0.05)


@pytest.mark.parametrize("method", ["euler", "midpoint", "rk4", "dopri5"])
def test_driven_field_solves_its_equation(method: OdeMethod) -> None:
    field = DrivenField(3, 5, method=method, steps=200).double()
    torch.nn.init.normal_(field.to_change.weight, std=0.3)
    start, drive = torch.randn(4, 3, dtype=torch.float64), torch.randn(4, 5, dtype=torch.float64)
    state, fine = start, 5_000
    w1, w2, b2 = (
        x.detach()
        for x in (
            field.from_state.weight,
            field.to_change.weight,
            field.to_change.bias,
        )
    )
    for _ in range(fine):
        z = state @ w1.T + drive
        state = state + ((z * torch.sigmoid(z)) @ w2.T + b2) / fine
    tolerance = 5e-2 if method == "euler" else 2e-3
    with torch.no_grad():
        torch.testing.assert_close(field(start, drive), state - start, rtol=tolerance, atol=tolerance)


def test_an_untrained_field_changes_nothing() -> None:
    field = DrivenField(3, 5, method="rk4", steps=2)
    torch.nn.init.zeros_(field.to_change.weight)
    torch.nn.init.zeros_(field.to_change.bias)
    assert torch.equal(field(torch.ones(2, 3), torch.ones(2, 5)), torch.zeros(2, 3))
