"""cellnet: a 3D cellular neural network that learns to carry sentence embeddings."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cellnet.decoder import GenerativeDecoder, TextDecoder
    from cellnet.inspection import Inspection, inspect
    from cellnet.lattice.chunker import AdaptiveChunker
    from cellnet.lattice.connections import ConnectionIndex
    from cellnet.proof import Proof, prove
    from cellnet.runs import RunStore
    from cellnet.settings import LatticeSettings, NeighborSettings, Settings, preset
    from cellnet.student.codec import EmbeddingTransformer
    from cellnet.student.cube import Lattice3D
    from cellnet.student.damage import Intervention
    from cellnet.student.experts import DistantExpert, FunctionalExpert, GatingNetwork, LocalExpert
    from cellnet.student.student import CellNet
    from cellnet.student.surface import EmbeddingToLatticeMapper, LatticeToEmbeddingExtractor
    from cellnet.teacher import Teacher, resolve_teacher
    from cellnet.training import EmbeddingTrainer, TrainingData, TrainingSession, prepare_data
    from cellnet.training.memory import MemoryPoolManager

__version__ = "0.1.0"

__all__ = [
    "AdaptiveChunker",
    "CellNet",
    "ConnectionIndex",
    "DistantExpert",
    "EmbeddingToLatticeMapper",
    "EmbeddingTrainer",
    "EmbeddingTransformer",
    "FunctionalExpert",
    "GatingNetwork",
    "GenerativeDecoder",
    "Inspection",
    "Intervention",
    "Lattice3D",
    "LatticeSettings",
    "LatticeToEmbeddingExtractor",
    "LocalExpert",
    "MemoryPoolManager",
    "NeighborSettings",
    "Proof",
    "RunStore",
    "Settings",
    "Teacher",
    "TextDecoder",
    "TrainingData",
    "TrainingSession",
    "__version__",
    "inspect",
    "prepare_data",
    "preset",
    "prove",
    "resolve_teacher",
]

# Names are imported on first use (PEP 562): a program that needs the settings alone starts at once.
_HOMES = {
    "AdaptiveChunker": "lattice.chunker",
    "CellNet": "student.student",
    "ConnectionIndex": "lattice.connections",
    "DistantExpert": "student.experts",
    "EmbeddingToLatticeMapper": "student.surface",
    "EmbeddingTrainer": "training",
    "EmbeddingTransformer": "student.codec",
    "FunctionalExpert": "student.experts",
    "GatingNetwork": "student.experts",
    "GenerativeDecoder": "decoder",
    "Inspection": "inspection",
    "Intervention": "student.damage",
    "Lattice3D": "student.cube",
    "LatticeSettings": "settings",
    "LatticeToEmbeddingExtractor": "student.surface",
    "LocalExpert": "student.experts",
    "MemoryPoolManager": "training.memory",
    "NeighborSettings": "settings",
    "Proof": "proof",
    "RunStore": "runs",
    "Settings": "settings",
    "Teacher": "teacher",
    "TextDecoder": "decoder",
    "TrainingData": "training",
    "TrainingSession": "training",
    "inspect": "inspection",
    "prepare_data": "training",
    "preset": "settings",
    "prove": "proof",
    "resolve_teacher": "teacher",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cellnet' has no attribute {name!r}")
    value = getattr(import_module(f"cellnet.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
