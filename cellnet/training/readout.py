"""The readout solved in one go: ridge regression from what the cube computes to what it should say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cellnet.embedding import EmbeddingTransformer
from cellnet.errors import SettingsError
from cellnet.model import CellNet

MAX_FITTED_INPUTS = 8192
ROWS_AT_ONCE = 128
"""How many sentences a regression had best take in at once."""

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
        penalty: the ridge penalty on standardized features that told best on the rows held back; None if
            the readout as it was told better still, and so was kept.
        unexplained: share of the variance of those rows that was left unexplained then.
    """

    penalty: float | None
    unexplained: float


@dataclass(frozen=True)
class LinearReadout:
    """What of a model's answer is linear, and can be solved.

    Attributes:
        codec: its ``from_surface`` reads the n * n values of channel 0, and has the bias.
        features: the layer that reads the F features.
        read: carries teacher embeddings (B, D); returns values (B, n * n), features (B, F), and what else
            the codec adds to a centered and scaled answer (B, D).
    """

    codec: EmbeddingTransformer
    features: nn.Linear
    read: Callable[[Tensor], tuple[Tensor, Tensor, Tensor | float]]


def linear_readout(model: CellNet) -> LinearReadout:
    """Return the readout of a student: linear in all channels of the surface that the cube gives back."""
    codec = model.codec

    def read(embeddings: Tensor) -> tuple[Tensor, Tensor, Tensor | float]:
        model.eval()
        surface = model(embeddings, stop_early=False).surface_out
        return surface[..., 0].flatten(1), surface[..., 1:].flatten(1), codec.decode_nonlinear(surface)

    return LinearReadout(codec, codec.from_channels, read)


class ReadoutRegression:
    """Solve a linear readout for sentences shown to it part by part.

    For a cube as it stands the best readout is a matter of algebra (ridge regression, Hoerl and Kennard
    1970). Channel 0, the linear path, goes unpenalized; the features, which are the other channels, are
    penalized by what channel 0 does not explain of them. The penalty is chosen on every tenth row, held
    back from a first solution and included in the last. Only second moments are kept, in float64:
    (n*n + 1 + F + D) squared numbers, twice.

    Where codes are refined, they are refined here for the readout as it was; codes and readout in turn then
    bring the answers nearer and nearer.

    Few sentences do not determine a readout: then the one that the optimizer has made may do better on
    those rows, which it has seen before, and stays.

    Args:
        readout: `solve` replaces its two layers.
    """

    def __init__(self, readout: LinearReadout) -> None:
        self.readout = readout
        values = readout.codec.from_surface
        self.free = values.in_features + 1
        self.features = readout.features.in_features
        width = self.free + self.features + values.out_features
        self._moments = torch.zeros(2, width, width, dtype=torch.float64, device=values.weight.device)
        self._rows = [0, 0]

    @torch.no_grad()
    def add(self, embeddings: Float[Tensor, "batch width"]) -> None:
        """Take in teacher embeddings (B, D)."""
        values, features, rest = self.readout.read(embeddings)
        codec = self.readout.codec
        target = (embeddings - codec.mean) / codec.scale - rest
        columns = (values, torch.ones_like(values[:, :1]), features, target)
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
        codec, layer, values = self.readout.codec, self.readout.features, self.free - 1
        present = torch.cat([codec.from_surface.weight.T, codec.from_surface.bias[None], layer.weight.T])
        kept = self._error(held, present.double())
        errors = {penalty: self._error(held, self._weights(seen, penalty)) for penalty in _PENALTIES}
        penalty = min(errors, key=lambda p: errors[p])
        if kept <= errors[penalty]:
            return ReadoutFit(None, kept)
        weights = self._weights(seen + held, penalty)
        codec.from_surface.weight.copy_(weights[:values].T)
        codec.from_surface.bias.copy_(weights[values])
        layer.weight.copy_(weights[self.free :].T)
        return ReadoutFit(penalty, errors[penalty])

    def _weights(self, moments: Tensor, penalty: float) -> Tensor:
        """Return the readout (inputs, D) for second moments."""
        free, inputs = self.free, self.free + self.features
        cross, target = moments[:free, free:inputs], moments[:, inputs:]
        inverse = torch.linalg.pinv(moments[:free, :free], hermitian=True)
        # What channel 0 and the constant leave of the features, and of the target.
        rest = moments[free:inputs, free:inputs] - cross.T @ inverse @ cross
        answer = target[free:inputs] - cross.T @ inverse @ target[:free]
        spread = rest.diagonal().clamp_min(0.0).sqrt()
        used = spread > _SMALLEST_RELATIVE_DEVIATION * spread.max()
        scale = torch.where(used, 1.0 / spread, 0.0)
        standardized = rest * scale * scale[:, None]
        standardized.diagonal().add_(penalty)
        of_features = scale[:, None] * torch.linalg.solve(standardized, scale[:, None] * answer, left=True)
        of_values = inverse @ (target[:free] - cross @ of_features)
        return torch.cat([of_values, of_features])

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
