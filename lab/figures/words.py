"""Figures in words: what ratios mean, what was gained, how long it takes."""

from functools import lru_cache

from cellnet.lattice.geometry import GeometryReport, geometry_report
from cellnet.settings import Settings
from lab.training import Snapshot


@lru_cache(maxsize=32)
def tier_report(settings: Settings) -> GeometryReport:
    """Return the report on the distance ratios of these settings."""
    thresholds = settings.neighbors.get_distance_thresholds(settings.lattice)
    return geometry_report(settings.lattice, thresholds, settings.model.steps)


def gain(snapshot: Snapshot) -> float | None:
    """Return the variance that the cube explains beyond PCA; None before the first validation."""
    if snapshot.explained_variance is None or snapshot.pca is None:
        return None
    return snapshot.explained_variance - snapshot.pca


def duration(seconds: float) -> str:
    """``75`` as ``1 min 15 s``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
