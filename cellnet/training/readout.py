"""The readout solved in one go: ridge regression from what the cube computes to what it should say."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from cellnet.errors import SettingsError
from cellnet.model import CellNet

MAX_FITTED_INPUTS = 8192

_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
_HELD_OUT_EVERY = 10
_SMALLEST_RELATIVE_DEVIATION = 1e-6


def check_readout(model: CellNet) -> None:
    """See that the readout of a model can be fitted.

    Raises:
        SettingsError: if it has so many inputs that their moments would fill the memory.
    """
    channels = model.settings.model.state_size
    inputs = model.code_width * channels
    if inputs > MAX_FITTED_INPUTS:
        raise SettingsError(
            f"training.fit_readout_every = {model.settings.training.fit_readout_every} needs at most "
            f"{MAX_FITTED_INPUTS:,} inputs of the readout, but a code of {model.code_width} with "
            f"model.state_size = {channels} has {inputs:,}; set it to 0"
        )


@dataclass(frozen=True)
class ReadoutFit:
    """What a fit found.

    Attributes:
        penalty: the ridge penalty on standardized channels that told best on the rows held back; None if
            the readout as it was told better still, and so was kept.
        unexplained: share of the variance of those rows that was left unexplained then.
    """

    penalty: float | None
    unexplained: float


class ReadoutRegression:
    """Solve the linear readout of a student for sentences shown to it part by part.

    The readout is linear in the surface that the cube gives back, so for a cube as it stands the best one
    is a matter of algebra (ridge regression, Hoerl and Kennard 1970). Channel 0, the linear path, goes
    unpenalized; the other channels are penalized by what channel 0 does not explain of them. The penalty is
    chosen on every tenth row, held back from a first solution and included in the last. Only second moments
    are kept, in float64: (n*n*C + 1 + D) squared numbers, twice.

    Where codes are refined, they are refined here for the readout as it was; codes and readout in turn then
    bring the answers nearer and nearer.

    Few sentences do not determine a readout: then the one that the optimizer has made may do better on
    those rows, which it has seen before, and stays.

    Args:
        model: the student; `solve` replaces its codec's two linear readouts.
    """

    def __init__(self, model: CellNet) -> None:
        self.model = model
        codec = model.codec
        self.free = codec.from_surface.in_features + 1
        self.channels = codec.from_channels.in_features
        width = self.free + self.channels + codec.from_surface.out_features
        device = codec.from_surface.weight.device
        self._moments = torch.zeros(2, width, width, dtype=torch.float64, device=device)
        self._rows = [0, 0]

    @torch.no_grad()
    def add(self, embeddings: Float[Tensor, "batch width"]) -> None:
        """Take in teacher embeddings (B, D)."""
        self.model.eval()
        surface = self.model(embeddings, stop_early=False).surface_out
        codec = self.model.codec
        target = (embeddings - codec.mean) / codec.scale - codec.decode_nonlinear(surface)
        values = surface[..., 0].flatten(1)
        columns = (values, torch.ones_like(values[:, :1]), surface[..., 1:].flatten(1), target)
        rows = torch.cat([x.double() for x in columns], dim=1)
        held = torch.arange(sum(self._rows), sum(self._rows) + len(rows), device=rows.device)
        is_held = held % _HELD_OUT_EVERY == 0
        for place, chosen in enumerate((rows[~is_held], rows[is_held])):
            self._moments[place].addmm_(chosen.T, chosen)
            self._rows[place] += len(chosen)

    @torch.no_grad()
    def solve(self) -> ReadoutFit:
        """Replace the readout by the solution for all rows taken in.

        Raises:
            ValueError: if there were fewer than 20 rows.
        """
        if sum(self._rows) < 2 * _HELD_OUT_EVERY:
            raise ValueError(f"{sum(self._rows)} sentences are too few to solve the readout from")
        seen, held = self._moments
        codec, values = self.model.codec, self.free - 1
        present = torch.cat(
            [codec.from_surface.weight.T, codec.from_surface.bias[None], codec.from_channels.weight.T]
        )
        kept = self._error(held, present.double())
        errors = {penalty: self._error(held, self._weights(seen, penalty)) for penalty in _PENALTIES}
        penalty = min(errors, key=lambda p: errors[p])
        if kept <= errors[penalty]:
            return ReadoutFit(None, kept)
        weights = self._weights(seen + held, penalty)
        codec.from_surface.weight.copy_(weights[:values].T)
        codec.from_surface.bias.copy_(weights[values])
        codec.from_channels.weight.copy_(weights[self.free :].T)
        return ReadoutFit(penalty, errors[penalty])

    def _weights(self, moments: Tensor, penalty: float) -> Tensor:
        """Return the readout (inputs, D) for second moments."""
        free, inputs = self.free, self.free + self.channels
        cross, target = moments[:free, free:inputs], moments[:, inputs:]
        inverse = torch.linalg.pinv(moments[:free, :free], hermitian=True)
        # What channel 0 and the constant leave of the other channels, and of the target.
        rest = moments[free:inputs, free:inputs] - cross.T @ inverse @ cross
        answer = target[free:inputs] - cross.T @ inverse @ target[:free]
        spread = rest.diagonal().clamp_min(0.0).sqrt()
        used = spread > _SMALLEST_RELATIVE_DEVIATION * spread.max()
        scale = torch.where(used, 1.0 / spread, 0.0)
        standardized = rest * scale * scale[:, None]
        standardized.diagonal().add_(penalty)
        of_channels = scale[:, None] * torch.linalg.solve(standardized, scale[:, None] * answer, left=True)
        of_values = inverse @ (target[:free] - cross @ of_channels)
        return torch.cat([of_values, of_channels])

    def _error(self, moments: Tensor, weights: Tensor) -> float:
        """Return the unexplained share of the target's variance on rows of which these are the moments."""
        inputs, constant = len(weights), self.free - 1
        reach = moments[:inputs, :inputs] @ weights
        residual = (
            moments[inputs:, inputs:].trace()
            - 2.0 * (weights * moments[:inputs, inputs:]).sum()
            + (weights * reach).sum()
        )
        count, sums = moments[constant, constant], moments[constant, inputs:]
        return float(residual / (moments[inputs:, inputs:].trace() - sums.square().sum() / count))
