"""Weights of the losses."""

from __future__ import annotations

from cellnet.settings.base import SettingsGroup, setting


class LossSettings(SettingsGroup):
    """Weights of the six losses. Each loss is dimensionless and about 1 when bad."""

    reconstruction: float = setting(
        1.0, label="Reconstruction", help="Weight of the unexplained variance.", live=True, ge=0.0, le=1e3
    )
    similarity: float = setting(
        0.5, label="Similarity", help="Weight of the cosine losses.", live=True, ge=0.0, le=1e3
    )
    diversity: float = setting(
        0.1, label="Diversity", help="Weight of the variance hinge.", live=True, ge=0.0, le=1e3
    )
    emergence: float = setting(
        0.1,
        label="Emergence",
        help="Weight of the loss that asks the interior for a rich answer to each input.",
        live=True,
        ge=0.0,
        le=1e3,
    )
    lattice_dynamics: float = setting(
        0.1,
        label="Lattice dynamics",
        help="Weight of the loss that lets the lattice change first and settle later.",
        live=True,
        ge=0.0,
        le=1e3,
    )
    spatial_consistency: float = setting(
        0.05,
        label="Spatial consistency",
        help="Weight of Geary's C over face neighbors.",
        live=True,
        ge=0.0,
        le=1e3,
    )
    emergence_amplitude: float = setting(
        0.1,
        label="Emergence amplitude",
        help="Interior change, relative to its start, under which the emergence loss asks for more.",
        gt=0.0,
        le=10.0,
    )
