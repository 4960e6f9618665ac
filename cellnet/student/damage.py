"""Damage done to the cube while it works: lesions, silenced experts, cut tiers, noise."""

from __future__ import annotations

import math
from collections.abc import Set
from dataclasses import dataclass

import torch
from torch import Tensor

from cellnet.lattice.connections import ConnectionIndex
from cellnet.lattice.geometry import TIERS, Tier
from cellnet.student.experts import EXPERTS


@dataclass(frozen=True)
class Intervention:
    """Damage to the cube during a run. Equal damage is an equal value, and hashable.

    Attributes:
        lesioned: linear indices of cells whose state is held at zero from ``from_step`` on, to the end
            (or through ``to_step``, after which they may heal).
        silenced: experts whose proposal is replaced by zero; the gate is unchanged.
        cut: tiers without any connection; their experts then see each cell alone, as for an empty tier.
        noise: standard deviation of Gaussian noise, relative to the rms of each sample's states, added
            once, to the states that step ``from_step`` starts from; the same pattern for every sample.
        seed: of the noise.
        from_step: first step that it acts on, 0 for the states as they came in.
        to_step: last step that it acts on (silencing, cutting and lesions); None for the last of all.

    Raises:
        ValueError: if a value is impossible for any cube.
    """

    lesioned: tuple[int, ...] = ()
    silenced: Set[str] = frozenset()
    cut: Set[Tier] = frozenset()
    noise: float = 0.0
    seed: int = 0
    from_step: int = 0
    to_step: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "lesioned", tuple(sorted({int(cell) for cell in self.lesioned})))
        for name, what, known in (("silenced", "experts", tuple(EXPERTS)), ("cut", "tiers", TIERS)):
            chosen = frozenset(getattr(self, name))
            if unknown := sorted(map(str, chosen - set(known))):
                raise ValueError(f"{name} names {', '.join(unknown)}; the {what} are {', '.join(known)}")
            object.__setattr__(self, name, chosen)
        if not 0.0 <= self.noise < math.inf:
            raise ValueError(f"noise is {self.noise}; give a finite number of at least 0")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"the seed is {self.seed}; give a whole number from 0 to 2^63 - 1")
        if self.from_step < 0:
            raise ValueError(f"from_step is {self.from_step}; the first step is 0")
        if self.to_step is not None and self.to_step < self.from_step:
            raise ValueError(f"to_step {self.to_step} is before from_step {self.from_step}")

    @property
    def is_none(self) -> bool:
        """Whether nothing is done at all."""
        return not (self.lesioned or self.silenced or self.cut or self.noise)

    def check(self, cells: int, steps: int) -> None:
        """Check that it fits a run of ``steps`` steps on a cube of ``cells`` cells.

        Raises:
            ValueError: if a cell or a step does not exist.
        """
        if self.is_none:
            return
        if self.lesioned and not 0 <= self.lesioned[0] <= self.lesioned[-1] < cells:
            wrong = self.lesioned[0] if self.lesioned[0] < 0 else self.lesioned[-1]
            raise ValueError(f"there is no cell {wrong}; the cells of this cube are 0 to {cells - 1}")
        last = self.from_step if self.to_step is None else self.to_step
        if last >= steps:
            name = "from_step" if self.from_step >= steps else "to_step"
            raise ValueError(f"{name} is {getattr(self, name)}, but the run has the steps 0 to {steps - 1}")


class Damage:
    """An intervention at work in one run of the lattice; states are (N, B, C) in the engine's order.

    What it does not touch it hands back as it is, so that a run without damage is not changed by a bit.

    Args:
        intervention: None for none.
        index: the connections of the run.
        steps: of the run.

    Raises:
        ValueError: if the intervention does not fit the run.
    """

    def __init__(self, intervention: Intervention | None, index: ConnectionIndex, steps: int) -> None:
        self._what = what = intervention or Intervention()
        what.check(len(index.order), steps)
        self.acts = not what.is_none
        self._last = steps - 1 if what.to_step is None else what.to_step
        self._index = index
        self._cut = index.without(what.cut) if what.cut else index
        self._dead: Tensor | None = None
        if what.lesioned:
            cells = torch.tensor(what.lesioned, device=index.rank.device)
            self._dead = torch.zeros(len(index.order), 1, 1, dtype=torch.bool, device=cells.device)
            self._dead[index.rank[cells]] = True

    def connections(self, step: int) -> ConnectionIndex:
        """Return the connections of a step."""
        return self._cut if self._is_on(step) else self._index

    def silenced(self, step: int) -> Set[str]:
        """Return the experts that are silenced in a step."""
        return self._what.silenced if self._is_on(step) else frozenset()

    def before(self, states: Tensor, step: int) -> Tensor:
        """Return the states that a step starts from, given those that came before it."""
        if step == self._what.from_step:
            if self._what.noise:
                states = states + self._noise(states)
            return self.after(states, step)
        return states

    def after(self, states: Tensor, step: int) -> Tensor:
        """Return the states after a step, given what the step made."""
        if self._dead is None or not self._is_on(step):
            return states
        return states.masked_fill(self._dead, 0.0)

    def _is_on(self, step: int) -> bool:
        return self._what.from_step <= step <= self._last

    def _noise(self, states: Tensor) -> Tensor:
        """Draw (N, 1, C) on the CPU in linear order, so that neither device nor order nor batch matters."""
        generator = torch.Generator().manual_seed(self._what.seed)
        shape = (states.shape[0], 1, states.shape[2])
        pattern = torch.randn(shape, generator=generator, dtype=torch.float64)[self._index.order.cpu()]
        rms = states.detach().double().square().mean(dim=(0, 2), keepdim=True).sqrt()
        return (self._what.noise * rms * pattern.to(states.device)).to(states.dtype)
