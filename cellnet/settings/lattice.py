"""Settings of the cube: its size, its boundary, and the distance ratios that split neighbors into tiers."""

from __future__ import annotations

from typing import Literal, NamedTuple, Self

from pydantic import field_validator, model_validator

from cellnet.settings.base import SettingsGroup, setting


class DistanceThresholds(NamedTuple):
    """Upper distance of each tier, in cells."""

    local: float
    functional: float
    distant: float


class LatticeSettings(SettingsGroup):
    """The cube: its size, its boundary and the ratios that split neighbors into tiers."""

    dimensions: tuple[int, int, int] = setting(
        (8, 8, 8), label="Dimensions", help="Number of cells along x, y and z.", unit="cells", fork="fixed"
    )
    adaptive_radius_ratio: float = setting(
        0.2,
        label="Radius ratio",
        help="Largest connection distance, as a share of the longest edge.",
        live=True,
        gt=0.0,
        le=1.0,
    )
    local_distance_ratio: float = setting(
        0.1,
        label="Local ratio",
        help="Outer bound of the local tier, as a share of the largest connection distance.",
        live=True,
        ge=0.0,
        le=1.0,
    )
    functional_distance_ratio: float = setting(
        0.65,
        label="Functional ratio",
        help="Outer bound of the functional tier, as a share of the largest connection distance.",
        live=True,
        ge=0.0,
        le=1.0,
    )
    distant_distance_ratio: float = setting(
        1.0,
        label="Distant ratio",
        help="Outer bound of the distant tier, as a share of the largest connection distance.",
        live=True,
        ge=0.0,
        le=1.0,
    )
    boundary: Literal["open", "toroidal"] = setting(
        "open",
        label="Boundary",
        help="Open: the cube ends at its faces. Toroidal: opposite faces touch.",
    )
    enable_morton_encoding: bool = setting(
        True,
        label="Morton order",
        help="Order cells inside the engine along a Morton curve, so that blocks of cells share "
        "their neighbors. It changes speed and memory, never the result.",
    )
    target_performance_ms: float = setting(
        100.0,
        label="Target step time",
        help="A training step that takes longer is slow. Every 100 slow steps are a warning in the log. "
        "Their share is among the figures of the run. The lab's status bar says so while the newest steps "
        "are slow.",
        unit="ms",
        gt=0.0,
    )

    @field_validator("dimensions", mode="before")
    @classmethod
    def _lists_are_tuples(cls, value: object) -> object:
        # TOML and JSON know no tuples.
        return tuple(value) if isinstance(value, list) else value

    @field_validator("dimensions")
    @classmethod
    def _edges_are_sensible(cls, value: tuple[int, int, int]) -> tuple[int, int, int]:
        if min(value) < 3 or max(value) > 128:
            raise ValueError(
                f"each of {list(value)} must be between 3 and 128 cells (below 3 there is no interior)"
            )
        return value

    @model_validator(mode="after")
    def _ratios_are_ordered(self) -> Self:
        ratios = (
            self.local_distance_ratio,
            self.functional_distance_ratio,
            self.distant_distance_ratio,
        )
        if not ratios[0] <= ratios[1] <= ratios[2]:
            raise ValueError(
                f"local, functional and distant ratios are {ratios}; they must not decrease, "
                "since each tier begins where the one before it ends"
            )
        return self

    @property
    def cell_count(self) -> int:
        """Number of cells N."""
        x, y, z = self.dimensions
        return x * y * z

    @property
    def max_radius(self) -> float:
        """Largest connection distance, in cells."""
        return max(self.dimensions) * self.adaptive_radius_ratio

    @property
    def local_distance_threshold(self) -> float:
        """Outer bound of the local tier, in cells."""
        return self.max_radius * self.local_distance_ratio

    @property
    def functional_distance_threshold(self) -> float:
        """Outer bound of the functional tier, in cells."""
        return self.max_radius * self.functional_distance_ratio

    @property
    def distant_distance_threshold(self) -> float:
        """Outer bound of the distant tier, in cells."""
        return self.max_radius * self.distant_distance_ratio


class NeighborSettings(SettingsGroup):
    """The computation of neighborhoods. Distances come from `LatticeSettings` alone."""

    block_cells: int = setting(
        0,
        label="Cells per block",
        help="Cells that share one list of neighbors in the attention; 0 lets the chunker choose.",
        unit="cells",
        ge=0,
        le=8192,
    )

    def get_distance_thresholds(self, lattice: LatticeSettings) -> DistanceThresholds:
        """Return the outer bound of each tier, in cells."""
        return DistanceThresholds(
            lattice.local_distance_threshold,
            lattice.functional_distance_threshold,
            lattice.distant_distance_threshold,
        )
