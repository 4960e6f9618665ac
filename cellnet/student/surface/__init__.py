"""The surface of the cube: where it lies, how it goes in and how it is read out."""

from cellnet.student.surface.extractor import LatticeToEmbeddingExtractor
from cellnet.student.surface.mapper import (
    EmbeddingToLatticeMapper,
    SurfacePositionalEncoding,
    VolumeStateInitializer,
)
from cellnet.student.surface.placement import Placement, place, surface_size

__all__ = [
    "EmbeddingToLatticeMapper",
    "LatticeToEmbeddingExtractor",
    "Placement",
    "SurfacePositionalEncoding",
    "VolumeStateInitializer",
    "place",
    "surface_size",
]
