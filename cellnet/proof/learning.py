"""Proofs that everything learns, that samples stay apart, and that the lattice does the work."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from cellnet.lattice.geometry import TIERS
from cellnet.losses import LossInput, loss_weights, make_losses, total_loss
from cellnet.proof.geometry import displacements
from cellnet.proof.reference import DenseNeighborhood
from cellnet.proof.subject import SEED, Proof, Subject, draw_last_layers
from cellnet.student.damage import Intervention
from cellnet.student.experts import EXPERTS
from cellnet.student.student import CellNet

_TRAINING_STEPS = 5
_RATE = 1e-3
_ROUNDING = 1e-12
_SMALLEST_CHANGE = 1e-6
_MOST_NAMES = 4
_FEW_CELLS = 6


def prove_gradients(subject: Subject) -> Proof:
    """Every weight of the experts, the gate and the norm gets a gradient in a few steps, and moves."""
    model = copy.deepcopy(subject.small)
    before = {name: value.detach().clone() for name, value in model.lattice.named_parameters()}
    touched = {name: torch.zeros_like(value, dtype=torch.bool) for name, value in before.items()}
    # No weight decay: it would move weights that no gradient reaches.
    optimizer = torch.optim.AdamW(model.parameters(), lr=_RATE, weight_decay=0.0)
    for _ in range(_TRAINING_STEPS):
        optimizer.zero_grad()
        _total_loss(model, subject.embeddings).backward()
        for name, value in model.lattice.named_parameters():
            if value.grad is not None:
                touched[name] |= value.grad != 0
        optimizer.step()
    idle = _idle_weights(model)
    failed, count, idle_count = [], 0, 0
    for name, value in model.lattice.named_parameters():
        live = ~idle.get(name, torch.zeros_like(touched[name]))
        if not bool((touched[name] & (value != before[name]))[live].all()):
            failed.append(name)
        count += int(live.sum())
        idle_count += int((~live).sum())
    not_applicable = ""
    if idle:
        empty = ", ".join(tier for tier in TIERS if not len(displacements(model.settings)[tier]))
        not_applicable = (
            f"; not applicable, since they read only the empty tier ({empty}): {idle_count} weights in "
            + ", ".join(sorted(idle))
        )
    return Proof(
        "gradients",
        not failed,
        (f"without gradient or unmoved: {_some(failed)}" if failed else f"all {count} weights moved")
        + f" within {_TRAINING_STEPS} steps{not_applicable}{subject.small_remark}",
    )


def _total_loss(model: CellNet, embeddings: Tensor) -> Tensor:
    settings = model.settings
    output = model.learn(embeddings)
    batch = LossInput(embeddings, output, model.interior, settings.lattice.dimensions)
    raw = {name: loss(batch) for name, loss in make_losses(settings.loss).items()}
    return total_loss(raw, torch.tensor([*loss_weights(settings.loss).values()], dtype=torch.float64))


def _idle_weights(model: CellNet) -> dict[str, Tensor]:
    """Return, for weights that read nothing but an empty tier, which elements those are."""
    lattice, moves = copy.deepcopy(model.lattice), displacements(model.settings)
    draw_last_layers(lattice)
    idle: dict[str, Tensor] = {}
    for expert, tier in lattice.tier_of.items():
        if not len(moves[tier]):
            alone, among = (
                _reached_weights(getattr(lattice, expert), model, full=full) for full in (False, True)
            )
            for name, reached in among.items():
                if bool((reached & ~alone[name]).any()):
                    idle[f"{expert}.{name}"] = reached & ~alone[name]
    return idle


def _reached_weights(expert: nn.Module, model: CellNet, *, full: bool) -> dict[str, Tensor]:
    """Return which weights of an expert get a gradient in a few cells that see all of them, or none."""
    generator = torch.Generator().manual_seed(SEED)
    size = model.settings.model.state_size
    own = torch.randn(_FEW_CELLS, 2, size, generator=generator, dtype=torch.float64)
    seen = DenseNeighborhood(own, torch.full((_FEW_CELLS, _FEW_CELLS), full))
    weights = dict(expert.named_parameters())
    answer = expert(own, seen)
    if not answer.requires_grad:
        return {name: torch.zeros_like(value, dtype=torch.bool) for name, value in weights.items()}
    direction = torch.randn(answer.shape, generator=generator, dtype=torch.float64)
    gradients = torch.autograd.grad(
        (answer * direction).sum(), [*weights.values()], materialize_grads=True, allow_unused=True
    )
    return {name: gradient != 0 for name, gradient in zip(weights, gradients, strict=True)}


def prove_samples(subject: Subject) -> Proof:
    """Prove that the answer to a sample does not depend on the others in its batch."""
    batch = subject.embeddings[:4]
    generator = torch.Generator().manual_seed(SEED)
    others = torch.randn(batch.shape, generator=generator, dtype=batch.dtype) * batch.std() + batch.mean()
    order = torch.tensor([2, 0, 3, 1])
    with torch.no_grad():
        answers = subject.awake(batch).embeddings
        mixed = 0
        for sample in (0, len(batch) - 1):
            company = others.clone()
            company[sample] = batch[sample]
            mixed += int((subject.awake(company).embeddings[sample] != answers[sample]).sum())
        permuted = subject.awake(batch[order]).embeddings
        moved = float((permuted - answers[order]).norm() / answers.norm())
    leaked = _foreign_gradient(subject.small, batch)
    passed = mixed == 0 and moved <= _ROUNDING and leaked == 0.0
    return Proof(
        "samples",
        passed,
        f"numbers that differ when the other samples are exchanged: {mixed}; relative difference when "
        f"samples change places: {moved:.0e}; largest gradient between two samples: {leaked:.2g}"
        + subject.adaptive_remark(passed),
    )


def _foreign_gradient(model: CellNet, batch: Tensor) -> float:
    """Return the largest gradient of the first sample's output with respect to any other sample."""
    inputs = batch.clone().requires_grad_(True)
    answer = model(inputs).embeddings[0]
    [gradient] = torch.autograd.grad(answer.sum(), inputs)
    return float(gradient[1:].abs().max())


@torch.no_grad()
def prove_ablation(subject: Subject) -> Proof:
    """Silencing an expert changes a trained model's reconstruction loss."""
    if subject.fresh:
        return Proof("ablation", None, "not applicable: a fresh model's experts propose nothing yet")
    tiers = displacements(subject.settings)
    loss = _unexplained(subject.model(subject.embeddings).embeddings, subject.embeddings)
    rises = {
        name: _unexplained(
            subject.model(subject.embeddings, intervention=Intervention(silenced={name})).embeddings,
            subject.embeddings,
        )
        / loss
        - 1.0
        for name in EXPERTS
    }
    counted = [name for name, kind in EXPERTS.items() if len(tiers[kind.tier])]
    return Proof(
        "ablation",
        all(abs(rises[name]) > _SMALLEST_CHANGE for name in counted),
        "relative change of the reconstruction loss when silenced: "
        + ", ".join(
            f"{name} {rise:+.2%}" + ("" if name in counted else " (empty tier, not judged)")
            for name, rise in rises.items()
        ),
    )


@torch.no_grad()
def prove_not_identity(subject: Subject) -> Proof:
    """A lattice changes the states, and once its channels are read also what is read out."""
    name = "not the identity"
    model, target = subject.model, subject.embeddings
    output = model(target)
    start, end = output.lattice.start, output.lattice.end
    change = float((end.rows - start.rows).norm() / start.rows.norm())
    if subject.fresh:
        return Proof(
            name,
            None,
            f"a fresh model reads nothing from its channels yet; its states change by {change:.3f}",
        )
    at_start = 1.0 - _unexplained(model.codec.decode(model.extractor(start, start)), target)
    at_end = 1.0 - _unexplained(output.embeddings, target)
    return Proof(
        name,
        change > _SMALLEST_CHANGE and abs(at_end - at_start) > _SMALLEST_CHANGE,
        f"relative change of the states {change:.3f}; explained variance of the read-out before the first "
        f"step {at_start:.4f}, after the last {at_end:.4f}",
    )


def _unexplained(answer: Tensor, target: Tensor) -> float:
    """Return squared error over squared distance from the mean."""
    return float((answer - target).square().sum() / (target - target.mean(dim=0)).square().sum())


def _some(names: list[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
