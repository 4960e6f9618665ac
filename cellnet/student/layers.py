"""Linear layers with a declared start, so that initialization is one pass over the model."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from cellnet.settings import InitSettings

_seeding = threading.Lock()
"""The random generator is the process's: two threads that make a model must not mix their numbers."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw the numbers inside a ``with`` block from a seed, and leave the generator as it was."""
    with _seeding, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


class ZeroLinear(nn.Linear):
    """A linear layer that starts at zero, so that what it ends starts as the identity."""


class FeatureLinear(nn.Linear):
    """A layer of features for what follows it: starts with outputs about as large as its inputs.

    Its weights start with variance 1 / inputs (LeCun et al. 1998), whatever ``init`` says: much smaller
    ones leave what follows nearly linear, from where training does not come back.

    Args:
        inputs, outputs: widths.
        every: only every so many inputs are read at the start; the others come in as they are learned.
        bias: whether there is one.
    """

    def __init__(self, inputs: int, outputs: int, every: int = 1, *, bias: bool = True) -> None:
        super().__init__(inputs, outputs, bias=bias)
        self.every = every


class ChangeLinear(nn.Linear):
    """The last layer of an expert: proposes the change of a state.

    It starts small (``init.expert_gain``) and leaves channel 0 alone, so that a fresh cube computes, yet
    carries the surface through unchanged.
    """


class StackedLinear(nn.Linear):
    """Several linear layers that read the same input, computed as one product.

    Args:
        inputs: width of the input.
        outputs: width of each layer's output.
        bias: whether every layer has one.
    """

    def __init__(self, inputs: int, outputs: Sequence[int], *, bias: bool) -> None:
        super().__init__(inputs, sum(outputs), bias=bias)
        self.outputs = tuple(outputs)

    def parts(self, values: Tensor) -> tuple[Tensor, ...]:
        """Return each layer's output (..., outputs[i]) for an input (..., inputs)."""
        return self(values).split(self.outputs, dim=-1)  # type: ignore[no-any-return]


class MultiLayerPerceptron(nn.Sequential):
    """Two linear layers around a SiLU.

    Args:
        inputs, hidden, outputs: widths.
        last, first: make the last and the first layer, and so say how they start.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        outputs: int,
        last: Callable[[int, int], nn.Linear] = nn.Linear,
        first: Callable[[int, int], nn.Linear] = nn.Linear,
    ) -> None:
        super().__init__(first(inputs, hidden), nn.SiLU(), last(hidden, outputs))


def initialize(model: nn.Module, settings: InitSettings) -> None:
    """Draw the starting weights of every linear layer; biases start at zero."""
    methods: dict[str, Callable[..., object]] = {
        "xavier": nn.init.xavier_uniform_,
        "kaiming": nn.init.kaiming_uniform_,
        "orthogonal": nn.init.orthogonal_,
    }
    draw = methods[settings.init_method]
    for layer in model.modules():
        if not isinstance(layer, nn.Linear):
            continue
        with torch.no_grad():
            if isinstance(layer, ZeroLinear):
                layer.weight.zero_()
            elif isinstance(layer, FeatureLinear):
                read = layer.weight.zero_()[:, :: layer.every]
                read.normal_(std=read.shape[1] ** -0.5)
            else:
                for weight in _blocks(layer):
                    draw(weight)
                if isinstance(layer, ChangeLinear):
                    layer.weight.mul_(settings.expert_gain)
                    layer.weight[0] = 0.0
                else:
                    layer.weight.mul_(settings.gain)
            if layer.bias is not None:
                layer.bias.zero_()


def _blocks(layer: nn.Linear) -> tuple[Tensor, ...]:
    """The matrices whose shape decides how large their starting weights are."""
    return layer.weight.split(layer.outputs) if isinstance(layer, StackedLinear) else (layer.weight,)
