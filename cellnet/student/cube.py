"""The dynamics of the cube: T steps of a mixture of experts over the connections."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from cellnet.lattice.cells import CellValues
from cellnet.lattice.chunker import AdaptiveChunker
from cellnet.lattice.connections import ConnectionIndex
from cellnet.lattice.geometry import TIERS
from cellnet.settings import LatticeSettings, Settings
from cellnet.student.damage import Damage, Intervention
from cellnet.student.experts import EXPERTS, GatingNetwork, TierNeighborhood, expert_settings
from cellnet.student.experts.neighborhood import per_cell

_SOFTNESS = 4.0


def _soft_normalization(size: int) -> nn.RMSNorm:
    """Make the normalization of the states (Zhang and Sennrich 2019) that keeps how large they are.

    Under LayerNorm a cell's neighbors see the sign of the value it holds but hardly its size, and products
    of values are what a cube can add to its linear path. With a softness of 4 a state of the size that a
    surface gives it passes nearly in proportion, and one that grows without bound still ends at a bounded
    length.
    """
    normalization = nn.RMSNorm(size, eps=_SOFTNESS)
    nn.init.constant_(normalization.weight, (1.0 + _SOFTNESS) ** 0.5)
    return normalization


@dataclass(frozen=True)
class StepTrace:
    """The record of one step.

    Attributes:
        after: states after the step, C numbers for each cell; those that the next step starts from.
        weights: weight of each expert, in the order of the table.
        proposals: proposal of each expert before the gate, C numbers for each cell.
    """

    after: CellValues
    weights: CellValues
    proposals: tuple[CellValues, ...]

    @property
    def states(self) -> Float[Tensor, "batch cells channels"]:
        """States after the step, (B, N, C), in linear order."""
        return self.after.linear

    @property
    def gate(self) -> Float[Tensor, "batch cells experts"]:
        """Weight of each expert, (B, N, E), in linear order."""
        return self.weights.linear

    @property
    def changes(self) -> Float[Tensor, "batch cells experts channels"]:
        """Proposal of each expert, before the gate, (B, N, E, C), in linear order."""
        return torch.stack([proposal.linear for proposal in self.proposals], dim=2)


@dataclass(frozen=True)
class LatticeOutput:
    """The result of a run of the lattice.

    Attributes:
        start: states that the first step starts from, C numbers for each cell.
        end: states after the last step.
        relative_change: rms(s_t+1 - s_t) / rms(s_t) of each sample at each step taken, (steps, B).
        converged: whether the run stopped before T steps because the states had settled.
        trace: one entry per step, empty unless asked for.
    """

    start: CellValues
    end: CellValues
    relative_change: Float[Tensor, "steps batch"]
    converged: bool
    trace: tuple[StepTrace, ...]

    @property
    def initial(self) -> Float[Tensor, "batch cells channels"]:
        """States that the first step starts from, (B, N, C), in linear order."""
        return self.start.linear

    @property
    def final(self) -> Float[Tensor, "batch cells channels"]:
        """States after the last step, (B, N, C), in linear order."""
        return self.end.linear


class Lattice3D(nn.Module):
    """The cube.

    Inside, cells come first and in the order of the connection index: states are (N, B, C), so that
    a neighbor is one contiguous row. Outside, states are (B, N, C) in linear order, or `CellValues`, which
    are re-ordered once, where they enter.

    Attributes:
        tier_of: the tier that each expert reads, by the expert's name, in the order of the gate.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        size = settings.model.state_size
        self.settings = settings
        self.normalize = _soft_normalization(size)
        self.tier_of = {name: kind.tier for name, kind in EXPERTS.items()}
        for name, kind in EXPERTS.items():
            self.add_module(name, kind.make(size, expert_settings(name, settings)))
        self.gate = GatingNetwork(size, settings.gate, experts=len(EXPERTS))
        self.chunker = AdaptiveChunker(settings.chunker, settings.memory)
        self._connections: dict[tuple[LatticeSettings, torch.device, int], ConnectionIndex] = {}
        self.cache_hits = 0
        self.cache_misses = 0

    def set_lattice(self, lattice: LatticeSettings) -> None:
        """Use other distance ratios from now on. No parameter changes.

        Raises:
            ValueError: if the dimensions or the boundary differ.
        """
        old = self.settings.lattice
        if (lattice.dimensions, lattice.boundary) != (old.dimensions, old.boundary):
            raise ValueError("dimensions and boundary are fixed for the life of a lattice")
        self.settings = self.settings.model_copy(update={"lattice": lattice})

    def borrow_connections(self, other: Lattice3D) -> None:
        """Use what another lattice has built, as far as its settings and device are the same."""
        self.chunker.block_cells = other.chunker.block_cells
        self._connections = dict(other._connections)

    def connections(self, device: torch.device) -> ConnectionIndex:
        """Return the connection index for the current settings on ``device``; it is cached."""
        block_cells = self.settings.neighbors.block_cells or self.chunker.block_cells
        key = (self.settings.lattice, device, block_cells)
        if key in self._connections:
            self.cache_hits += 1
        else:
            self.cache_misses += 1
            on_cpu = self.settings.chunker.preferred_device == "cpu"
            index = ConnectionIndex(
                self.settings.lattice,
                self.settings.neighbors,
                block_cells=block_cells,
                device=device,
                build_device="cpu" if on_cpu else None,
            )
            self._connections = {key: index}
        return self._connections[key]

    def forward(
        self,
        states: Float[Tensor, "batch cells channels"] | CellValues,
        *,
        steps: int | None = None,
        keep_trace: bool = False,
        intervention: Intervention | None = None,
        stop_early: bool = True,
    ) -> LatticeOutput:
        """Run the lattice.

        Args:
            states: (B, N, C) in linear order, or as `CellValues`.
            steps: number of steps; by default the setting.
            keep_trace: whether to keep states, gate weights and proposals of every step.
            intervention: damage done to the cube on the way; all steps are made then.
            stop_early: whether the run may end before the last step.

        Returns:
            The final states and how they came about. With ``stop_early`` the run ends once the relative
            change of every sample is below ``model.convergence_threshold``.

        Raises:
            ValueError: if the intervention names cells or steps that there are not.
        """
        index = self.connections(states.device)
        if not isinstance(states, CellValues):
            states = CellValues.from_linear(states)
        steps = self.settings.model.steps if steps is None else steps
        damage = Damage(intervention, index, steps)
        may_stop = stop_early and not damage.acts
        threshold = self.settings.model.convergence_threshold if may_stop else 0.0
        start = damage.before(states.of(index.order), 0)
        # A node of its own: the gradients of the steps are summed before those of what else reads the
        # start, so that the rounding of a seeded curve does not depend on who reads it.
        current = start.view_as(start)
        changes, trace, converged = [], [], False
        for step in range(steps):
            before = current
            seen, silenced = damage.connections(step), damage.silenced(step)
            if self.settings.memory.activation_checkpointing and torch.is_grad_enabled():
                current, gate, proposals = checkpoint(
                    self._step, before, seen, silenced, use_reentrant=False, preserve_rng_state=False
                )
            else:
                current, gate, proposals = self._step(before, seen, silenced)
            current = damage.after(current, step)
            changes.append(_relative_change(before, current))
            current = damage.before(current, step + 1)
            if keep_trace:
                after, weights, *proposed = (CellValues(x, index.rank) for x in (current, gate, *proposals))
                trace.append(StepTrace(after, weights, tuple(proposed)))
            if threshold and step + 1 < steps and bool((changes[-1] < threshold).all()):
                converged = True
                break
        relative_change = torch.stack(changes) if changes else start.new_zeros(0, start.shape[1])
        first, last = CellValues(start, index.rank), CellValues(current, index.rank)
        return LatticeOutput(first, last, relative_change, converged, tuple(trace))

    def _step(
        self, states: Tensor, index: ConnectionIndex, silenced: Set[str]
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """Advance states (N, B, C) by one step; also return gate weights (N, B, E) and the proposals."""
        own = self.normalize(states)
        around = {tier: TierNeighborhood(own, index.tiers[tier], self.chunker) for tier in TIERS}
        first, *others = (around[tier].sum for tier in TIERS)
        activity = sum(others, start=first) * per_cell(index.inverse_total_counts, own)
        gate = self.gate(own, activity)
        proposals = tuple(getattr(self, name)(own, around[tier]) for name, tier in self.tier_of.items())
        for place, name in enumerate(self.tier_of):
            if name not in silenced:
                states = torch.addcmul(states, gate[..., place : place + 1], proposals[place])
        return states, gate, proposals


def _relative_change(before: Tensor, after: Tensor) -> Tensor:
    """Return rms(after - before) / rms(before) of each sample, (B,), for states (N, B, C)."""
    tiny = torch.finfo(torch.float32).tiny
    change, start = (
        torch.linalg.vector_norm(x, dim=(0, 2), dtype=torch.promote_types(x.dtype, torch.float32))
        for x in (after - before, before)
    )
    relative: Tensor = change / start.clamp_min(tiny)
    return relative
