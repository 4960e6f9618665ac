"""Cost of a training step, counted from the settings: parameters, bytes, operations, and time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from cellnet.lattice.distances import distance_table
from cellnet.lattice.geometry import TIERS, Tier
from cellnet.settings import EmbeddingSettings, LatticeSettings, NeighborSettings, Settings
from cellnet.student.codec import make_codec
from cellnet.student.cube import Lattice3D
from cellnet.student.experts import EXPERTS, ExpertKind
from cellnet.student.experts.attention import NeighborAttention
from cellnet.student.surface import place
from cellnet.student.surface.placement import surface_size

FLOAT_BYTES: Final = 4
BYTES_PER_PARAMETER: Final = 4 * FLOAT_BYTES
"""The weight itself, its gradient, and the two moments of AdamW."""
_INDEX_BYTES: Final = 4
_KEY_BYTES: Final = 8
_PADDING: Final = 8
_SMALL: Final = LatticeSettings(dimensions=(4, 4, 4), adaptive_radius_ratio=0.5)
"""The cube in which the work for each cell is counted; the tiers over which experts attend are emptied."""
_SMALL_RATIOS: Final = (0.6, 0.8, 1.0)
_SMALL_BATCH: Final = 4
_STATES_BESIDE: Final = 7
"""Sizes of the states that the losses and the way in and out keep."""
_BACKWARD: Final = 3.0
"""A training step is the forward pass and a backward pass of about twice its work."""

# Fitted to seventeen settings, from 4^3 to 20^3 cells, on one core of a server: within 17 % for all but
# one with half as many channels (22 %). Only their proportions matter: a measured step sets the scale.
_SECONDS_PER_LATTICE_STEP: Final = 4.4e-3
_SECONDS_PER_DENSE_FLOP: Final = 6.2e-11
_SECONDS_PER_ATTENTION_FLOP: Final = 6.9e-11
_SECONDS_PER_NEIGHBOR_BYTE: Final = 2.9e-11
_SECONDS_PER_PARAMETER: Final = 2.3e-8


@dataclass(frozen=True)
class StepCost:
    """The needs of one training step.

    Attributes:
        parameters: numbers that are learned.
        connections: neighbors of all cells together, by which a step is so expensive.
        attention_width: cells that a block of the attention gathers, padding included, of all experts that
            attend; 0 without neighbors.
        dense_flops, attention_flops: floating-point operations of layers and of attention, both passes.
        neighbor_bytes: bytes that the sums over neighbors read, both passes.
        lattice_steps: steps of the lattice in a training step, recomputed ones included.
        weight_bytes, activation_bytes, index_bytes: weights with gradients and moments; what the forward
            pass keeps for the backward pass; lists and masks of neighbors.
    """

    parameters: int
    connections: int
    attention_width: int
    dense_flops: float
    attention_flops: float
    neighbor_bytes: float
    lattice_steps: float
    weight_bytes: int
    activation_bytes: int
    index_bytes: int

    @property
    def memory_bytes(self) -> int:
        """All that a training needs at once, the libraries themselves and the sentences excepted."""
        return self.weight_bytes + self.activation_bytes + self.index_bytes

    @property
    def relative_seconds(self) -> float:
        """Seconds of a step on the machine that the shares of the parts were measured on."""
        return (
            _SECONDS_PER_LATTICE_STEP * self.lattice_steps
            + _SECONDS_PER_DENSE_FLOP * self.dense_flops
            + _SECONDS_PER_ATTENTION_FLOP * self.attention_flops
            + _SECONDS_PER_NEIGHBOR_BYTE * self.neighbor_bytes
            + _SECONDS_PER_PARAMETER * self.parameters
        )


def predict_seconds(settings: Settings, measured: Settings, seconds: float) -> float:
    """Return the seconds of a step with ``settings``, given those measured with other settings.

    Both must mean the same device, threads and precision. On a CPU it is usually within a quarter.
    """
    return seconds * step_cost(settings).relative_seconds / step_cost(measured).relative_seconds


def step_cost(settings: Settings) -> StepCost:
    """Count what one training step with these settings needs."""
    lattice = settings.lattice
    cells, batch = lattice.cell_count, settings.training.batch_size
    attended = _attended(settings)
    widths = {tier: attention_width(lattice, _block_cells(settings), tier) for tier in attended}
    width = sum(widths[tier] for tier in attended)
    connections = _connections(lattice)
    size, steps = settings.model.state_size, settings.model.steps
    rounds = settings.training.accumulation_steps
    recomputed = settings.memory.activation_checkpointing
    passes = (_BACKWARD + recomputed) * rounds
    states = cells * batch
    state = _state_cost(*_without_geometry(settings))
    parameters = parameter_count(settings)
    codec = codec_parameters(settings.embedding, _surface(settings), size)
    blocks = -(-cells // _block_cells(settings))
    return StepCost(
        parameters=parameters,
        connections=connections,
        attention_width=width,
        dense_flops=passes * (states * steps * state.flops + 2.0 * batch * (codec + _mixture(settings))),
        attention_flops=4.0 * passes * steps * states * width * size,
        neighbor_bytes=float((2 + recomputed) * rounds * steps) * connections * batch * size * FLOAT_BYTES,
        lattice_steps=passes / _BACKWARD * steps,
        weight_bytes=parameters * BYTES_PER_PARAMETER,
        activation_bytes=_activation_bytes(settings, [widths[tier] for tier in attended], blocks),
        index_bytes=connections * _INDEX_BYTES
        + blocks * sum(widths.values()) * (_block_cells(settings) + _KEY_BYTES + _INDEX_BYTES),
    )


def parameter_count(settings: Settings) -> int:
    """Return how many numbers the student of these settings learns, without making it."""
    size, cells = settings.model.state_size, settings.lattice.cell_count
    codec = codec_parameters(settings.embedding, _surface(settings), size)
    placed = _placed_cells(settings)
    mapper = (placed + cells) * size + _mixture(settings)
    match settings.embedding.extraction_strategy:
        case "surface_mean":
            extractor = 0
        case "weighted_surface":
            extractor = placed * size
        case "volume_projection":
            extractor = cells * size
    return codec + mapper + extractor + _lattice_parameters(*_without_geometry(settings))


def _mixture(settings: Settings) -> int:
    """Number of weights by which the whole surface is lifted onto the placed cells."""
    if settings.embedding.lifting_strategy == "own_value":
        return 0
    return _placed_cells(settings) * (settings.model.state_size - 1) * _surface(settings) ** 2


@lru_cache(maxsize=32)
def _placed_cells(settings: Settings) -> int:
    """Number of cells that hold the surface, which a large cube takes a while to place."""
    return len(place(settings).cells)


@lru_cache(maxsize=32)
def codec_parameters(embedding: EmbeddingSettings, surface: int, state_size: int) -> int:
    """Return the number of parameters of a codec for a surface of this edge; no memory is used for them."""
    with torch.device("meta"):
        codec = make_codec(embedding, surface, state_size)
    return sum(parameter.numel() for parameter in codec.parameters())


_Experts = tuple[tuple[str, ExpertKind], ...]


@lru_cache(maxsize=32)
def _lattice_parameters(settings: Settings, experts: _Experts) -> int:
    with torch.device("meta"):
        lattice = Lattice3D(settings)
    return sum(parameter.numel() for parameter in lattice.parameters())


def _attended(settings: Settings) -> tuple[Tier, ...]:
    """Return the tier of each attention that a lattice step computes."""
    return _attentions(*_without_geometry(settings))


@lru_cache(maxsize=32)
def _attentions(settings: Settings, experts: _Experts) -> tuple[Tier, ...]:
    with torch.device("meta"):
        lattice = Lattice3D(settings)
    return tuple(
        tier
        for name, tier in lattice.tier_of.items()
        for part in getattr(lattice, name).modules()
        if isinstance(part, NeighborAttention)
    )


def _without_geometry(settings: Settings) -> tuple[Settings, _Experts]:
    """Return what is equal for all lattices with equally many parameters, as a key of what is counted."""
    kept = {"model", "gate", *(kind.settings for kind in EXPERTS.values())}
    reduced = Settings(**{name: getattr(settings, name).model_dump() for name in kept})
    return reduced, tuple(EXPERTS.items())


def _surface(settings: Settings) -> int:
    return surface_size(settings.lattice.dimensions, settings.embedding.placement_strategy)


def _connections(lattice: LatticeSettings) -> int:
    table = distance_table(lattice)
    return int(table.pairs[table.band(0.0, lattice.distant_distance_threshold)].sum())


def _block_cells(settings: Settings) -> int:
    requested = settings.neighbors.block_cells or settings.chunker.optimal_batch_size
    return min(requested, settings.lattice.cell_count)


def attention_width(lattice: LatticeSettings, block_cells: int, tier: Tier = "functional") -> int:
    """Return how many cells a block in the middle of the cube gathers of a tier, padded.

    Exact where a block is a box, as along a Morton curve through edges that are powers of two.
    """
    thresholds = NeighborSettings().get_distance_thresholds(lattice)
    bounds = list(pairwise((0.0, *thresholds)))[TIERS.index(tier)]
    shape = _block_shape(lattice, block_cells)
    seen = _dilated(lattice.dimensions, lattice.boundary == "toroidal", *bounds, shape)
    return -(-seen // _PADDING) * _PADDING


def _block_shape(lattice: LatticeSettings, block_cells: int) -> tuple[int, int, int]:
    x, y, z = lattice.dimensions
    if not lattice.enable_morton_encoding:
        return 1, min(y, max(1, block_cells // z)), min(z, block_cells)
    bits = round(math.log2(block_cells))
    # The last axis has the lowest bit of the curve.
    edges = [2 ** ((bits + axis) // 3) for axis in range(3)]
    return min(x, edges[0]), min(y, edges[1]), min(z, edges[2])


@lru_cache(maxsize=64)
def _dilated(
    dimensions: tuple[int, int, int], wraps: bool, low: float, high: float, block: tuple[int, int, int]
) -> int:
    """Count the cells that lie in the shell ``low < r <= high`` around any cell of a box of cells."""
    reach = [min(math.floor(high), length - 1) for length in dimensions]
    axes = [np.arange(-r, r + 1) ** 2 for r in reach]
    distance = np.sqrt((axes[0][:, None, None] + axes[1][:, None] + axes[2]).astype(np.float64))
    seen: npt.NDArray[np.bool_] = (distance > low) & (distance <= high)
    if not seen.any():
        return 0
    for axis, (length, edge, r) in enumerate(zip(dimensions, block, reach, strict=True)):
        line = np.moveaxis(seen, axis, 0)
        wide = np.zeros((2 * r + edge, *line.shape[1:]), dtype=np.bool_)
        for start in range(edge):
            wide[start : start + 2 * r + 1] |= line
        if wraps:
            wide = wide[:length]
        else:
            start = length // edge // 2 * edge
            wide = wide[max(0, r - start) : r - start + length]
        seen = np.moveaxis(wide, 0, axis)
    return int(seen.sum())


class _FlopCounter(TorchDispatchMode):
    """Adds up the floating-point operations of matrix products in this thread alone.

    PyTorch's own ``FlopCounterMode`` also hooks into the modules of all threads, which breaks a training.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func._overloadpacket in flop_registry:
            self.total += flop_registry[func._overloadpacket](*args, **(kwargs or {}), out_val=result)
        return result


@dataclass(frozen=True)
class _StateCost:
    """The cost of one lattice step for one cell of one sample, attention excepted."""

    flops: float
    kept_bytes: float


@lru_cache(maxsize=32)
def _state_cost(settings: Settings, experts: _Experts) -> _StateCost:
    """Count in a small cube what PyTorch computes and keeps in one more lattice step.

    Nothing is drawn at random, so that a training in another thread is not disturbed.
    """
    one, two = (_count(settings, steps) for steps in (1, 2))
    return _StateCost(two.flops - one.flops, two.kept_bytes - one.kept_bytes)


def _count(settings: Settings, steps: int) -> _StateCost:
    small = settings.replace(lattice=_small_lattice(settings).model_dump())
    with torch.device("meta"):
        lattice = Lattice3D(small)
    lattice.to_empty(device="cpu")
    for tensor in (*lattice.parameters(), *lattice.buffers()):
        tensor.detach().zero_()
    own = {parameter.untyped_storage().data_ptr() for parameter in lattice.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.setdefault(tensor.untyped_storage().data_ptr(), tensor.untyped_storage())
        return tensor

    states = torch.zeros(_SMALL_BATCH, _SMALL.cell_count, settings.model.state_size)
    keeping = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with keeping, _FlopCounter() as counter:
        lattice(states, steps=steps, stop_early=False)
    count = _SMALL_BATCH * _SMALL.cell_count
    kept_bytes = sum(storage.nbytes() for place, storage in kept.items() if place not in own)
    return _StateCost(counter.total / count, kept_bytes / count)


def _small_lattice(settings: Settings) -> LatticeSettings:
    """Return the small cube, in which the tiers over which experts attend are empty."""
    attended, bound, ratios = _attended(settings), 0.0, {}
    for tier, ratio in zip(TIERS, _SMALL_RATIOS, strict=True):
        bound = bound if tier in attended else ratio
        ratios[f"{tier}_distance_ratio"] = bound
    small: LatticeSettings = _SMALL.replace(**ratios)
    return small


def _activation_bytes(settings: Settings, widths: list[int], blocks: int) -> int:
    """Return the bytes kept between the passes: of each step, or of one and the states if recomputed."""
    states = settings.lattice.cell_count * settings.training.batch_size
    per_state = states * settings.model.state_size * FLOAT_BYTES
    one = int(states * _state_cost(*_without_geometry(settings)).kept_bytes)
    one += sum(_attention_bytes(settings, width, blocks) for width in widths)
    steps = settings.model.steps
    inside = one + steps * per_state if settings.memory.activation_checkpointing else steps * one
    return inside + _STATES_BESIDE * per_state


def _attention_bytes(settings: Settings, width: int, blocks: int) -> int:
    """Gathered queries, keys, values and answers of one lattice step, or of one chunk of it."""
    if not width:
        return 0
    batch, size = settings.training.batch_size, settings.model.state_size
    queries = blocks * _block_cells(settings) * batch * size * FLOAT_BYTES
    gathered = blocks * width * batch * 2 * size * FLOAT_BYTES
    budget = settings.memory.chunk_budget_mb * 2**20
    if gathered > budget:
        return 2 * queries + budget // settings.model.steps
    masks = blocks * _block_cells(settings) * width * FLOAT_BYTES
    return 2 * queries + gathered + masks
