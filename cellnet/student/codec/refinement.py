"""Codes found by descent through the student that reads them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

_DAMPING = 1e-2
_FIRST_LENGTH = 0.5
_LENGTHS = (0.05, 5.0)


def refine(
    surface: Float[Tensor, "batch edge edge"],
    targets: Float[Tensor, "batch width"],
    read_out: Callable[[Tensor], Tensor],
    *,
    steps: int,
    at_once: int,
) -> Float[Tensor, "batch edge edge"]:
    """Return surfaces (B, n, n) whose answers are nearer to the targets (B, D) than those of ``surface``.

    An encoder guesses a code in one go, and guesses worse for sentences that it was not trained on. But
    what the code is for is known: its answer should be the embedding itself. So the guess is improved by
    descent on the squared error, as in semi-amortized inference (Kim et al. 2018). A step goes along the
    gradient in the Gauss-Newton metric around the zero code, as far as Barzilai and Borwein (1988) have it,
    for each sentence by itself. The best code that was seen is returned, so that none is worse than the
    first.

    Each call makes 2 n*n passes for the metric, and each step a pass and its gradient for each sentence.

    Args:
        surface: where the descent begins. A later gradient passes to it as if it had been returned.
        targets: what the answers should be.
        read_out: maps surfaces (b, n, n) to answers (b, D), differentiably, and each one by itself.
        steps: of the descent; 0 changes nothing.
        at_once: how many codes are worked on together; the memory of a gradient grows with it.
    """
    if not steps:
        return surface
    # Neither modes nor the precision of the caller reach in here, and copies can be differentiated.
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast(surface.device.type, enabled=False),
    ):

        def answer(code: Tensor) -> Tensor:
            return read_out(code.view(-1, *surface.shape[1:]))

        codes = surface.detach().flatten(1).to(targets)
        factor = _metric_factor(answer, torch.eye(codes.shape[1]).to(codes), at_once)
        parts = zip(codes.split(at_once), targets.split(at_once), strict=True)
        found = [_descend(code.clone(), target.clone(), answer, factor, steps) for code, target in parts]
        best = torch.cat(found).view_as(surface)
    return surface + (best - surface).detach()


@torch.no_grad()
def _metric_factor(read_out: Callable[[Tensor], Tensor], numbers: Tensor, at_once: int) -> Tensor:
    """Return the Cholesky factor of the metric, (S, S): of how the answer moves with each two numbers.

    How it moves is read off where a number is half a standard deviation above and below the mean.
    """
    moves = [read_out(part / 2) - read_out(-part / 2) for part in numbers.split(at_once)]
    slope = torch.cat(moves)
    metric = slope @ slope.T
    metric.diagonal().add_(_DAMPING * metric.diagonal().mean())
    factor: Tensor = torch.linalg.cholesky(metric)
    return factor


def _descend(
    code: Tensor, target: Tensor, read_out: Callable[[Tensor], Tensor], factor: Tensor, steps: int
) -> Tensor:
    """Return the best codes that so many steps find, (b, S)."""
    error, gradient = _look(code, target, read_out)
    best, least = code, error
    length = torch.full_like(error, _FIRST_LENGTH)
    for _ in range(steps):
        moved = -length * torch.cholesky_solve(gradient.T, factor).T
        code = code + moved
        error, after = _look(code, target, read_out)
        better = error < least
        best, least = torch.where(better, code, best), torch.where(better, error, least)
        curvature = (moved * (after - gradient)).sum(dim=1, keepdim=True)
        size = (moved @ factor).square().sum(dim=1, keepdim=True)
        length = torch.where(curvature > 0, size / curvature, _FIRST_LENGTH).clamp(*_LENGTHS)
        gradient = after
    return best


def _look(code: Tensor, target: Tensor, read_out: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Return half the squared error of each code, (b, 1), and its gradient, (b, S)."""
    code = code.detach().requires_grad_()
    error = 0.5 * (read_out(code) - target).square().sum(dim=1, keepdim=True)
    (gradient,) = torch.autograd.grad(error.sum(), code)
    return error.detach(), gradient
