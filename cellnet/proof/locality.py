"""Proofs of what reaches whom."""

from __future__ import annotations

import torch
from torch import Tensor

from cellnet.lattice.geometry import Tier
from cellnet.proof.geometry import displacements, shifted_sum, spread
from cellnet.proof.subject import EXACT, SEED, Proof, Subject
from cellnet.settings import Settings
from cellnet.student.cube import Lattice3D


def _starts(subject: Subject) -> tuple[Tensor, Tensor]:
    """Return states (3, N, C) and a mask (3, N) of one cell each: a corner, in a face, the center."""
    x, y, z = subject.settings.lattice.dimensions
    states = subject.awake.mapper(subject.awake.codec.encode(subject.embeddings[:3])).linear
    mask = torch.zeros(states.shape[:2], dtype=torch.bool)
    for sample, (a, b, c) in enumerate(((0, 0, 0), (0, y // 2, z // 2), (x // 2, y // 2, z // 2))):
        mask[sample, (a * y + b) * z + c] = True
    return states, mask


def _disturb(states: Tensor, cells: Tensor) -> Tensor:
    """Add unit noise to the given cells, (B, N) boolean, of states (B, N, C)."""
    generator = torch.Generator().manual_seed(SEED)
    noise = torch.randn(states.shape, generator=generator, dtype=states.dtype)
    return torch.where(cells.unsqueeze(-1), states + noise, states)


def _differs(before: Tensor, after: Tensor) -> Tensor:
    return (before != after).any(dim=-1)


@torch.no_grad()
def prove_reach(subject: Subject) -> Proof:
    """A change of one cell arrives within t steps exactly where t connections lead, bit for bit.

    Two runs are compared. No cell beyond reach may differ in any bit. That every cell within reach does
    is shown one step at a time, with all cells reached so far disturbed, since over several steps a real
    effect can become smaller than float64 resolves.
    """
    lattice, settings = subject.awake.lattice, subject.settings
    states, start = _starts(subject)
    moves = torch.cat(list(displacements(settings).values()))
    before = [entry.states for entry in lattice(states, keep_trace=True).trace]
    after = [entry.states for entry in lattice(_disturb(states, start), keep_trace=True).trace]
    beyond = missed = 0
    reached, current = start, states
    for undisturbed, disturbed in zip(before, after, strict=True):
        spreading = lattice(_disturb(current, reached), steps=1).final
        reached = spread(reached, moves, settings)
        beyond += int((_differs(undisturbed, disturbed) & ~reached).sum())
        missed += int((_differs(undisturbed, spreading) ^ reached).sum())
        current = undisturbed
    final = _differs(before[-1], after[-1]).sum(dim=1).tolist()
    expected = reached.sum(dim=1).tolist()
    passed = beyond == 0 and missed == 0
    return Proof(
        "reach",
        passed,
        f"after {len(before)} steps a change at a corner, a face, the center is in {_list(final)} cells of "
        f"{_list(expected)} within reach; beyond reach: {beyond}; step by step, wrong cells: {missed}"
        + subject.remark
        + subject.adaptive_remark(passed),
    )


@torch.no_grad()
def prove_tiers(subject: Subject) -> Proof:
    """Prove that a proposal depends on the cell and its tier alone, before the gate."""
    lattice, settings = subject.awake.lattice, subject.settings
    states, start = _starts(subject)
    tiers = displacements(settings)
    [before] = lattice(states, steps=1, keep_trace=True).trace
    [after] = lattice(_disturb(states, start), steps=1, keep_trace=True).trace
    wrong: dict[str, int] = {}
    counts = []
    for place, (name, tier) in enumerate(lattice.tier_of.items()):
        seen = spread(start, tiers[tier], settings)
        changed = _differs(before.changes[:, :, place], after.changes[:, :, place])
        wrong[name] = int((changed ^ seen).sum())
        counts.append(f"{name} {_list((changed.sum(dim=1) - 1).tolist())}")
    everyone = spread(start, torch.cat(list(tiers.values())), settings)
    wrong["gate"] = int((_differs(before.gate, after.gate) ^ everyone).sum())
    error = _index_error(lattice, tiers, settings)
    passed = not any(wrong.values()) and error <= EXACT
    errors = "".join(f"; {name}: {count} wrong cells" for name, count in wrong.items() if count)
    return Proof(
        "tiers",
        passed,
        f"neighbors that answer a change at a corner, a face, the center: {', '.join(counts)}"
        + (errors or "; exactly those of each tier, and for the gate those of all")
        + f"; sums over the tiers of all cells differ from sums over distances by {error:.0e}"
        + subject.remark
        + subject.adaptive_remark(passed),
    )


def _index_error(lattice: Lattice3D, tiers: dict[Tier, Tensor], settings: Settings) -> float:
    """Return how far sums over the neighbor lists, and blocks, of all cells are from shifted sums."""
    index = lattice.connections(torch.device("cpu"))
    generator = torch.Generator().manual_seed(SEED)
    values = torch.randn(settings.lattice.cell_count, generator=generator, dtype=torch.float64)
    rows = values[index.order].unsqueeze(1)
    error = 0.0
    for tier, moves in tiers.items():
        connections = index.tiers[tier]
        expected = shifted_sum(values.unsqueeze(0), moves, settings)[0]
        sums = [connections.sum(rows.unsqueeze(1)).flatten()]
        if tier == "functional" and not connections.is_empty:
            sums.append(connections.sum_by_blocks(rows).flatten())
        for found in sums:
            error = max(error, float((found[index.rank] - expected).abs().max()))
    return error


def _list(values: list[int]) -> str:
    return " / ".join(map(str, values))
