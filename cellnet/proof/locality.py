"""Proofs of who is called and what reaches whom."""

from __future__ import annotations

import copy
from collections import defaultdict

import torch
from torch import Tensor, nn

from cellnet.lattice.geometry import TIERS
from cellnet.proof.geometry import dense_masks, displacements, spread
from cellnet.proof.reference import DenseLattice
from cellnet.proof.subject import SEED, Proof, Subject, draw_last_layers

_TOLERANCE = 1e-10
_ADAPTIVE_TOLERANCE = 1e-3
_ADAPTIVE_REMARK = (
    "; the adaptive integrator dopri5 chooses its steps over the whole batch, which ties all cells and "
    "samples together: use euler, midpoint or rk4"
)


def is_adaptive(subject: Subject) -> bool:
    """Whether an expert integrates with adaptive steps."""
    settings = subject.settings
    return "dopri5" in (settings.functional.ode_method, settings.distant.ode_method)


def adaptive_remark(subject: Subject, passed: bool) -> str:
    """Say why a proof fails with adaptive steps."""
    return _ADAPTIVE_REMARK if is_adaptive(subject) and not passed else ""


@torch.no_grad()
def prove_called(subject: Subject) -> Proof:
    """Each expert and the gate run once per step, on all cells and all samples, empty tier or not."""
    model, settings = subject.model, subject.settings
    shapes: defaultdict[str, list[tuple[int, ...]]] = defaultdict(list)
    hooks = []
    for name in (*TIERS, "gate"):
        part: nn.Module = getattr(model.lattice, name)

        def note(_: nn.Module, __: object, answer: Tensor, name: str = name) -> None:
            shapes[name].append(tuple(answer.shape))

        hooks.append(part.register_forward_hook(note))
    batch = subject.embeddings[:2]
    model(batch)
    for hook in hooks:
        hook.remove()
    cells, steps = settings.lattice.cell_count, settings.model.steps
    passed = True
    counts = []
    for name in (*TIERS, "gate"):
        width = 3 if name == "gate" else settings.model.state_size
        passed &= shapes[name] == [(cells, len(batch), width)] * steps
        counts.append(f"{name} {len(shapes[name])}")
    return Proof(
        "called",
        passed,
        f"calls in {steps} steps: {', '.join(counts)}; each for {cells} cells x {len(batch)} samples",
    )


def _starts(subject: Subject) -> tuple[Tensor, Tensor]:
    """Return states (3, N, C) and a mask (3, N) of one cell each: a corner, in a face, the center."""
    x, y, z = subject.settings.lattice.dimensions
    states = subject.awake.mapper(subject.awake.codec.encode(subject.embeddings[:3]))
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
        + adaptive_remark(subject, passed),
    )


@torch.no_grad()
def prove_tiers(subject: Subject) -> Proof:
    """What each expert proposes, before the gate, depends on the cell and its tier, and nothing else."""
    lattice, settings = subject.awake.lattice, subject.settings
    states, start = _starts(subject)
    tiers = displacements(settings)
    [before] = lattice(states, steps=1, keep_trace=True).trace
    [after] = lattice(_disturb(states, start), steps=1, keep_trace=True).trace
    wrong: dict[str, int] = {}
    counts = []
    for place, tier in enumerate(TIERS):
        seen = spread(start, tiers[tier], settings)
        changed = _differs(before.changes[:, :, place], after.changes[:, :, place])
        wrong[tier] = int((changed ^ seen).sum())
        counts.append(f"{tier} {_list((changed.sum(dim=1) - 1).tolist())}")
    everyone = spread(start, torch.cat(list(tiers.values())), settings)
    wrong["gate"] = int((_differs(before.gate, after.gate) ^ everyone).sum())
    passed = not any(wrong.values())
    errors = "".join(f"; {name}: {count} wrong cells" for name, count in wrong.items() if count)
    return Proof(
        "tiers",
        passed,
        f"neighbors that answer a change at a corner, a face, the center: {', '.join(counts)}"
        + (errors or "; exactly those of each tier, and for the gate those of all")
        + subject.remark
        + adaptive_remark(subject, passed),
    )


@torch.no_grad()
def prove_reference(subject: Subject) -> Proof:
    """Every step equals the dense float64 reference."""
    lattice = copy.deepcopy(subject.small.lattice)
    if subject.fresh:
        draw_last_layers(lattice)
    settings = lattice.settings
    generator = torch.Generator().manual_seed(SEED)
    shape = (2, settings.lattice.cell_count, settings.model.state_size)
    states = torch.randn(shape, generator=generator, dtype=torch.float64)
    try:
        temperature = float(dict(lattice.named_buffers())["gate.temperature"])
        dense = DenseLattice(lattice.state_dict(), temperature, dense_masks(settings), settings)
        error, current = 0.0, states
        for entry in lattice(states, keep_trace=True).trace:
            change = dense.step(current) - current
            error = max(error, float((entry.states - current - change).norm() / change.norm()))
            current = entry.states
    except KeyError as missing:
        return Proof("reference", False, f"the lattice has no weight {missing}: an expert was replaced")
    limit = _ADAPTIVE_TOLERANCE if is_adaptive(subject) else _TOLERANCE
    return Proof(
        "reference",
        error <= limit,
        f"largest relative difference of a step's change from a dense float64 reference: {error:.1e} "
        f"(limit {limit:.0e})" + subject.remark + subject.small_remark,
    )


def _list(values: list[int]) -> str:
    return " / ".join(map(str, values))
