"""The model as the proofs need it: float64 copies on the CPU that take every step."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from cellnet.proof.geometry import small_enough
from cellnet.settings import Settings, with_changes
from cellnet.student.codec import fit_pca
from cellnet.student.cube import Lattice3D
from cellnet.student.experts import EXPERTS, expert_settings
from cellnet.student.layers import ChangeLinear
from cellnet.student.student import CellNet

SEED = 0
EXACT = 1e-10
"""Largest difference that float64 rounding explains."""

_ADAPTIVE_REMARK = (
    "; the adaptive integrator dopri5 chooses its steps over the whole batch, which ties all cells and "
    "samples together: use euler, midpoint or rk4"
)


@dataclass(frozen=True)
class Proof:
    """One proof.

    Attributes:
        name: what is proven, in a word or two.
        passed: whether it holds; None if it does not apply to this model.
        detail: what was measured.
    """

    name: str
    passed: bool | None
    detail: str


@dataclass(frozen=True)
class Subject:
    """A model to prove things about, all in float64 on the CPU.

    Attributes:
        model: the model as it is; it never stops early.
        awake: the same, but where the model is fresh the last layers of the experts, which start small or
            at zero, are drawn at random, so that what spreads shows.
        small: ``model``, or if the cube is too large for dense or many-step work a smaller cube with the
            same experts and gate.
        fresh: whether nothing is read from the channels yet.
        embeddings: teacher embeddings, (B, D).
    """

    model: CellNet
    awake: CellNet
    small: CellNet
    fresh: bool
    embeddings: Tensor

    @property
    def settings(self) -> Settings:
        """The settings of the model."""
        return self.model.settings

    @property
    def is_adaptive(self) -> bool:
        """Whether an expert integrates with adaptive steps."""
        groups = (expert_settings(name, self.settings) for name in EXPERTS)
        return any(getattr(group, "ode_method", None) == "dopri5" for group in groups)

    def adaptive_remark(self, passed: bool) -> str:
        """Say why a proof that failed had to fail with adaptive steps."""
        return _ADAPTIVE_REMARK if self.is_adaptive and not passed else ""

    @property
    def remark(self) -> str:
        """Return the facts that a detail must name about a fresh model."""
        return "; fresh model, last layers drawn at random" if self.fresh else ""

    @property
    def small_remark(self) -> str:
        """Return the facts that a detail must name about the smaller cube."""
        dimensions = self.small.settings.lattice.dimensions
        same = dimensions == self.settings.lattice.dimensions
        return "" if same else f"; on a cube of {' x '.join(map(str, dimensions))} with the same weights"


def make_subject(model: CellNet, embeddings: Tensor) -> Subject:
    """Copy the model; the original is not touched."""
    exact = copy.deepcopy(model).to("cpu", torch.float64).eval().requires_grad_(True)
    patient = with_changes(exact.settings, {"model.convergence_threshold": 0.0})
    exact.settings = exact.lattice.settings = patient
    fresh = not bool(exact.codec.from_channels.weight.any())
    awake = copy.deepcopy(exact)
    if fresh:
        draw_last_layers(awake.lattice)
    wide = embeddings.detach().to("cpu", torch.float64)
    return Subject(exact, awake, _smaller(exact, wide), fresh, wide)


def draw_last_layers(lattice: Lattice3D) -> None:
    """Draw the last layers of the experts at random."""
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for layer in _last_layers(lattice):
            draw = torch.randn(layer.weight.shape, generator=generator, dtype=layer.weight.dtype)
            layer.weight.copy_(draw / layer.in_features**0.5)


def _last_layers(lattice: Lattice3D) -> list[ChangeLinear]:
    return [layer for layer in lattice.modules() if isinstance(layer, ChangeLinear)]


def _smaller(model: CellNet, embeddings: Tensor) -> CellNet:
    settings = small_enough(model.settings)
    if settings == model.settings:
        return model
    small = CellNet(settings).double().eval()
    small.start_from(fit_pca(embeddings.float().numpy()))
    small.lattice = copy.deepcopy(model.lattice)
    small.lattice.settings = settings
    return small
