"""Proofs that every part runs, and that a step is what it should be."""

from __future__ import annotations

import copy
from collections import defaultdict

import torch
from torch import Tensor, nn

from cellnet.proof.geometry import dense_masks
from cellnet.proof.reference import DenseLattice
from cellnet.proof.subject import EXACT, SEED, Proof, Subject, draw_last_layers

_ADAPTIVE_TOLERANCE = 1e-3


@torch.no_grad()
def prove_called(subject: Subject) -> Proof:
    """Each expert and the gate run once per step, on all cells and all samples, empty tier or not."""
    model, settings = subject.model, subject.settings
    batch = subject.embeddings[:2]
    surface = model.put_on_surface(batch)  # may go through the cube to refine the code
    shapes: defaultdict[str, list[tuple[int, ...]]] = defaultdict(list)
    hooks = []
    for name in (*model.lattice.tier_of, "gate"):
        part: nn.Module = getattr(model.lattice, name)

        def note(_: nn.Module, __: object, answer: Tensor, name: str = name) -> None:
            shapes[name].append(tuple(answer.shape))

        hooks.append(part.register_forward_hook(note))
    model.carry(surface)
    for hook in hooks:
        hook.remove()
    cells, steps = settings.lattice.cell_count, settings.model.steps
    passed = True
    counts = []
    for name in (*model.lattice.tier_of, "gate"):
        width = len(model.lattice.tier_of) if name == "gate" else settings.model.state_size
        passed &= shapes[name] == [(cells, len(batch), width)] * steps
        counts.append(f"{name} {len(shapes[name])}")
    return Proof(
        "called",
        passed,
        f"calls in {steps} steps: {', '.join(counts)}; each for {cells} cells x {len(batch)} samples",
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
        modules = dict(lattice.named_children())
        dense = DenseLattice(lattice.state_dict(), temperature, dense_masks(settings), settings, modules)
        error, current = 0.0, states
        for entry in lattice(states, keep_trace=True).trace:
            change = dense.step(current) - current
            error = max(error, float((entry.states - current - change).norm() / change.norm()))
            current = entry.states
    except KeyError as missing:
        return Proof("reference", False, f"the lattice has no weight {missing}: an expert was replaced")
    limit = _ADAPTIVE_TOLERANCE if subject.is_adaptive else EXACT
    return Proof(
        "reference",
        error <= limit,
        f"largest relative difference of a step's change from a dense float64 reference: {error:.1e} "
        f"(limit {limit:.0e})" + subject.remark + subject.small_remark,
    )
