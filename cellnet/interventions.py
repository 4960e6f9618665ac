"""Damage done to the cube while it works: lesions, silenced experts, cut tiers, noise."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from cellnet.lattice.geometry import Tier


@dataclass(frozen=True)
class Intervention:
    """What is done to the cube during a run.

    Attributes:
        lesioned: linear indices of cells whose state is held at zero from ``from_step`` on, to the end
            (or through ``to_step``, after which they may heal).
        silenced: experts whose proposal is replaced by zero; the gate is unchanged.
        cut: tiers without any connection; their expert then sees each cell alone, as for an empty tier.
        noise: standard deviation of Gaussian noise, relative to the rms of the states, added once, to the
            states that step ``from_step`` starts from.
        seed: of the noise.
        from_step: first step that it acts on, 0 for the states as they came in.
        to_step: last step that it acts on (silencing, cutting and lesions); None for the last of all.
    """

    lesioned: tuple[int, ...] = ()
    silenced: Set[Tier] = frozenset()
    cut: Set[Tier] = frozenset()
    noise: float = 0.0
    seed: int = 0
    from_step: int = 0
    to_step: int | None = None

    @property
    def is_none(self) -> bool:
        """Whether nothing is done at all."""
        return not (self.lesioned or self.silenced or self.cut or self.noise)
