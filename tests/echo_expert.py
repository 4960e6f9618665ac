"""A fourth expert as an extension would bring it: one class, and one line that registers it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from cellnet.settings import DistantExpertSettings
from cellnet.student.experts import EXPERTS, Neighborhood, register_expert
from cellnet.student.experts.attention import NeighborAttention
from cellnet.student.layers import ChangeLinear, StackedLinear


class EchoExpert(nn.Module):
    """Answer what far cells say, by attention over the distant tier."""

    def __init__(self, state_size: int, settings: DistantExpertSettings) -> None:
        super().__init__()
        self.from_own = StackedLinear(state_size, (state_size, 2 * state_size), bias=False)
        self.attention = NeighborAttention(heads=1)
        self.hidden = nn.Linear(state_size, settings.hidden_size)
        self.to_change = ChangeLinear(settings.hidden_size, state_size)

    def forward(self, own: Tensor, neighborhood: Neighborhood) -> Tensor:
        query, key_and_value = self.from_own.parts(own)
        context = neighborhood.attend(query, key_and_value, self.attention)
        change: Tensor = self.to_change(torch.tanh(self.hidden(context - own)))
        return change


@contextmanager
def echo_expert() -> Iterator[None]:
    """Have the expert "echo" in the table within a ``with`` block."""
    register_expert("echo", EchoExpert, settings="distant", tier="distant")
    try:
        yield
    finally:
        del EXPERTS["echo"]
