"""Codes found by descent: never worse, the least-squares answer where all is linear, each by itself."""

import numpy as np
import pytest
import torch
from torch import Tensor

from cellnet.student.codec import refine

CODE, WIDTH, EDGE = 9, 24, 3


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


SLOPE = drawn(WIDTH, CODE)
MIXER = drawn(CODE, WIDTH, seed=1)


def linear(surface: Tensor) -> Tensor:
    return surface.flatten(1) @ SLOPE.T


def curved(surface: Tensor) -> Tensor:
    return linear(surface) + (2.0 * surface.flatten(1)).tanh() @ MIXER


def errors(surface: Tensor, targets: Tensor) -> Tensor:
    return (curved(surface) - targets).square().sum(dim=1)


def test_where_all_is_linear_it_finds_the_least_squares() -> None:
    targets = drawn(5, WIDTH, seed=2)
    found = refine(drawn(5, EDGE, EDGE, seed=3), targets, linear, steps=25, at_once=2)
    expected = np.linalg.lstsq(SLOPE.numpy(), targets.numpy().T, rcond=None)[0].T
    np.testing.assert_allclose(found.flatten(1).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_more_steps_are_never_worse_for_any_sentence(seed: int) -> None:
    start, targets = drawn(40, EDGE, EDGE, seed=seed), drawn(40, WIDTH, seed=seed + 10)
    before = errors(start, targets)
    for steps in (1, 2, 4, 8, 16):
        after = errors(refine(start, targets, curved, steps=steps, at_once=64), targets)
        assert (after <= before + 1e-9).all()
        before = after
    assert before.mean() < 0.8 * errors(start, targets).mean()


def test_sixteen_steps_end_where_the_gradient_is_small() -> None:
    targets = curved(drawn(30, EDGE, EDGE, seed=4)) + 0.1 * drawn(30, WIDTH, seed=5)
    start = drawn(30, EDGE, EDGE, seed=4) + 0.2 * drawn(30, EDGE, EDGE, seed=6)
    found = refine(start, targets, curved, steps=16, at_once=64).requires_grad_()
    (gradient,) = torch.autograd.grad(errors(found, targets).sum(), found)
    (at_start,) = torch.autograd.grad(errors(start.requires_grad_(), targets).sum(), start)
    assert gradient.norm() < 0.05 * at_start.norm()


def test_a_code_that_is_best_already_stays() -> None:
    start = drawn(6, EDGE, EDGE)
    assert torch.equal(refine(start, curved(start), curved, steps=3, at_once=6), start)


def test_no_steps_change_nothing() -> None:
    start = drawn(6, EDGE, EDGE)
    assert refine(start, drawn(6, WIDTH), curved, steps=0, at_once=6) is start


def test_each_sentence_goes_its_own_way() -> None:
    start, targets = drawn(7, EDGE, EDGE), drawn(7, WIDTH, seed=2)
    together = refine(start, targets, curved, steps=4, at_once=7)
    for at_once in (1, 3):
        torch.testing.assert_close(refine(start, targets, curved, steps=4, at_once=at_once), together)
    others = torch.cat([targets[:1], 100.0 * targets[1:]])
    torch.testing.assert_close(refine(start, others, curved, steps=4, at_once=7)[0], together[0])


def test_numbers_that_nothing_reads_stay_finite() -> None:
    slope = SLOPE.clone()
    slope[:, 4:] = 0.0
    start, targets = drawn(5, EDGE, EDGE), drawn(5, WIDTH, seed=2)
    found = refine(start, targets, lambda x: x.flatten(1) @ slope.T, steps=6, at_once=5)
    assert found.isfinite().all()
    torch.testing.assert_close(found.flatten(1)[:, 4:], start.flatten(1)[:, 4:])


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_it_works_in_every_mode(mode: type[torch.no_grad]) -> None:
    expected = refine(drawn(4, EDGE, EDGE), drawn(4, WIDTH, seed=2), curved, steps=3, at_once=4)
    with mode():
        start, targets = drawn(4, EDGE, EDGE), drawn(4, WIDTH, seed=2)
        found = refine(start, targets, curved, steps=3, at_once=4)
        torch.testing.assert_close(found, expected)


def test_a_gradient_passes_to_the_guess() -> None:
    start = drawn(4, EDGE, EDGE).requires_grad_()
    found = refine(start, drawn(4, WIDTH, seed=2), curved, steps=3, at_once=4)
    found.sum().backward()
    assert torch.equal(start.grad, torch.ones_like(start))
