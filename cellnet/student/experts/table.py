"""The one table of experts. Gate, cost, proofs, measures, figures and flags follow from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from torch import nn

from cellnet.lattice.geometry import Tier
from cellnet.settings import Settings, SettingsGroup
from cellnet.student.experts.distant import DistantExpert
from cellnet.student.experts.functional import FunctionalExpert
from cellnet.student.experts.local import LocalExpert

_LATTICE_PARTS: Final = ("normalize", "gate")


@dataclass(frozen=True)
class ExpertKind:
    """One row of the table.

    Attributes:
        make: called with the number of channels C and the settings group; returns a module that is called
            as ``expert(own, neighborhood)`` with normalized states (N, B, C) and the `Neighborhood` of its
            tier, and returns the change that it proposes, (N, B, C).
        settings: name of the group of the settings tree that ``make`` gets; experts may share one.
        tier: the tier whose neighborhood it reads; experts may share one.
    """

    make: Callable[[int, Any], nn.Module]
    settings: str
    tier: Tier


EXPERTS: Final[dict[str, ExpertKind]] = {
    "local": ExpertKind(LocalExpert, settings="local", tier="local"),
    "functional": ExpertKind(FunctionalExpert, settings="functional", tier="functional"),
    "distant": ExpertKind(DistantExpert, settings="distant", tier="distant"),
}
"""The experts by name. Their order is that of the gate's weights; a name is also part of weight names."""


def register_expert(name: str, make: Callable[[int, Any], nn.Module], *, settings: str, tier: Tier) -> None:
    """Add an expert to the table, before any student is made or loaded.

    Raises:
        ValueError: if the name is taken or is not an identifier, or the settings group does not exist.
    """
    if not name.isidentifier() or name in EXPERTS or name in _LATTICE_PARTS:
        taken = ", ".join((*EXPERTS, *_LATTICE_PARTS))
        raise ValueError(f"{name!r} cannot name an expert: give an identifier other than {taken}")
    if settings not in Settings.model_fields:
        raise ValueError(
            f"{settings!r} is no settings group; use one of {', '.join(Settings.model_fields)}"
        )
    EXPERTS[name] = ExpertKind(make, settings, tier)


def expert_settings(name: str, settings: Settings) -> SettingsGroup:
    """Return the settings group of an expert."""
    group: SettingsGroup = getattr(settings, EXPERTS[name].settings)
    return group
