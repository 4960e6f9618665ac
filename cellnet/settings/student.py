"""Settings of the student: its dynamics, its experts, the gate, and how weights start."""

from __future__ import annotations

from typing import Literal

from cellnet.settings.base import SettingsGroup, setting

OdeMethod = Literal["euler", "midpoint", "rk4", "dopri5"]


class ModelSettings(SettingsGroup):
    """The dynamics that every expert shares."""

    state_size: int = setting(
        32, label="State size", help="Channels C of each cell's state.", ge=2, le=512, fork="fixed"
    )
    steps: int = setting(
        5, label="Lattice steps", help="Steps T of the lattice in one forward pass.", ge=1, le=100
    )
    convergence_threshold: float = setting(
        1e-4,
        label="Convergence threshold",
        help="At inference the lattice stops early once the relative change of a step is below this; "
        "0 turns it off.",
        ge=0.0,
        lt=1.0,
    )


class LocalExpertSettings(SettingsGroup):
    """The reflex: mean over the local tier, then an MLP with the cell's own state."""

    hidden_size: int = setting(
        64, label="Hidden size", help="Width of the expert's MLP.", ge=1, le=4096, fork="fixed"
    )


class FunctionalExpertSettings(SettingsGroup):
    """The work-horse: attention over the functional tier and a continuous part."""

    hidden_size: int = setting(
        64, label="Hidden size", help="Width of the expert's MLPs.", ge=1, le=4096, fork="fixed"
    )
    heads: int = setting(
        1, label="Heads", help="Attention heads; must divide the state size.", ge=1, le=64, fork="fixed"
    )
    ode_method: OdeMethod = setting("euler", label="ODE method", help="Integrator of the continuous part.")
    integration_steps: int = setting(
        3,
        label="Integration steps",
        help="Fixed steps of the integrator; an adaptive method ignores it.",
        ge=1,
        le=64,
    )


class DistantExpertSettings(SettingsGroup):
    """Slow fields: the mean over the distant tier drives an ODE."""

    hidden_size: int = setting(
        64, label="Hidden size", help="Width of the expert's MLP.", ge=1, le=4096, fork="fixed"
    )
    ode_method: OdeMethod = setting("euler", label="ODE method", help="Integrator of the expert's ODE.")
    integration_steps: int = setting(
        3,
        label="Integration steps",
        help="Fixed steps of the integrator; an adaptive method ignores it.",
        ge=1,
        le=64,
    )


class GateSettings(SettingsGroup):
    """The gate that mixes the experts."""

    hidden_size: int = setting(
        32, label="Hidden size", help="Width of the gate's MLP.", ge=1, le=4096, fork="fixed"
    )
    temperature: float = setting(
        1.0,
        label="Temperature",
        help="Above 1 the experts are mixed more evenly, below 1 one of them dominates.",
        live=True,
        gt=0.0,
        le=100.0,
    )


class InitSettings(SettingsGroup):
    """The starting weights, and whether a run can be repeated bit by bit."""

    seed: int = setting(0, label="Seed", help="Seed of all random numbers.", ge=0, le=2**31 - 1)
    reproducible: bool = setting(
        False,
        label="Reproducible",
        help="Use deterministic algorithms only; slower on CUDA, and an error where none exists.",
    )
    init_method: Literal["xavier", "kaiming", "orthogonal"] = setting(
        "xavier", label="Initialization", help="Distribution of the starting weights.", fork="unused"
    )
    gain: float = setting(
        1.0, label="Gain", help="Scale of the starting weights.", gt=0.0, le=10.0, fork="unused"
    )
    expert_gain: float = setting(
        0.3,
        label="Expert gain",
        help="Scale of the starting weights of each expert's last layer: how far a fresh cube moves its "
        "states in a step. At 0 a fresh cube is the identity.",
        ge=0.0,
        le=10.0,
        fork="unused",
    )
