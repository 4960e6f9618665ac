"""The student: codec, mapper, lattice and extractor as one module."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from cellnet.errors import CheckpointError, SettingsError
from cellnet.lattice.geometry import surface_mask
from cellnet.settings import (
    EmbeddingSettings,
    Settings,
    load_toml,
    save_toml,
    with_changes,
)
from cellnet.student.base import Reconstruction, Student
from cellnet.student.codec import make_codec, refine
from cellnet.student.cube import Lattice3D, LatticeOutput
from cellnet.student.damage import Intervention
from cellnet.student.encoder import SentenceEncoder
from cellnet.student.layers import initialize, seeded
from cellnet.student.surface import (
    EmbeddingToLatticeMapper,
    LatticeToEmbeddingExtractor,
    place,
)
from cellnet.student.weights import check_weights

if TYPE_CHECKING:
    from cellnet.teacher import Teacher

MODEL_FILE = "model.safetensors"
SETTINGS_FILE = "settings.toml"
DESCRIPTION_FILE = "config.json"
FORMAT = "cellnet-model"
VERSION = 3
MAX_DESCRIPTION_BYTES = 65_536
CELLS_AT_ONCE = 2**18
MAX_REFINED_CODE = 1024
_CELLS_REFINED_AT_ONCE = 2**15


@dataclass(frozen=True)
class StudentOutput(Reconstruction):
    """The answer of a student with a cube.

    Attributes:
        surface_out: the surface read out, (B, n, n, C).
        lattice: how the cube got there.
    """

    surface_out: Float[Tensor, "batch edge edge channels"]
    lattice: LatticeOutput


class CellNet(SentenceEncoder, Student):
    """The whole student; with a teacher attached it encodes texts (see `SentenceEncoder.encode`).

    Args:
        settings: the settings tree; ``settings.init`` seeds the starting weights.

    Raises:
        SettingsError: if codes are to be refined that have more than `MAX_REFINED_CODE` numbers, or the
            width of the teacher is left open.
    """

    has_lattice = True

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        if not settings.embedding.teacher_width:
            raise SettingsError(
                problems={
                    "embedding.teacher_width": "0 leaves the width to the teacher, and a student needs a "
                    "number: use cellnet.resolve_teacher(settings), which asks the teacher"
                }
            )
        self.settings = settings
        placement = place(settings)
        with seeded(settings.init.seed):
            self.codec = make_codec(settings.embedding, placement.size, settings.model.state_size)
            self.mapper = EmbeddingToLatticeMapper(settings, placement)
            self.lattice = Lattice3D(settings)
            self.extractor = LatticeToEmbeddingExtractor(settings, placement)
            initialize(self, settings.init)
        interior = (~surface_mask(settings.lattice.dimensions)).nonzero().flatten()
        self.register_buffer("interior", interior, persistent=False)
        self._check_refinement()

    @property
    def code_width(self) -> int:
        """Width of a code: n * n, 64 for an 8 x 8 surface."""
        return int(self.codec.surface_size**2)

    def sentences_at_once(self, most: int) -> int:
        """Return the number of sentences, at most ``most``, that fit in memory without gradients."""
        return min(most, max(1, CELLS_AT_ONCE // self.settings.lattice.cell_count))

    def codes(self, embeddings: Float[Tensor, "batch width"]) -> Float[Tensor, "batch code"]:
        """Return the codes (B, n*n) of teacher embeddings (B, D): what is put on the surface."""
        return self.put_on_surface(embeddings).flatten(1)

    def embedding_settings(self) -> EmbeddingSettings:
        """Return the settings of the teacher and the codec."""
        return self.settings.embedding

    def refining(self, steps: int) -> CellNet:
        """Return this student, sharing its weights, with another ``embedding.refinement_steps``.

        Raises:
            SettingsError: if the code has more than `MAX_REFINED_CODE` numbers.
        """
        other = copy.copy(self)
        other.settings = with_changes(self.settings, {"embedding.refinement_steps": steps})
        other._check_refinement()
        return other

    def _check_refinement(self) -> None:
        if self.settings.embedding.refinement_steps and self.code_width > MAX_REFINED_CODE:
            raise SettingsError(
                f"embedding.refinement_steps needs a code of at most {MAX_REFINED_CODE:,} numbers, but "
                f"that of this cube has {self.code_width:,}; set it to 0"
            )

    def follow(self, settings: Settings) -> None:
        """Use settings that differ in live ones from now on; no parameter changes.

        Raises:
            ValueError: if the dimensions or the boundary of the lattice differ.
        """
        self.lattice.set_lattice(settings.lattice)
        self.lattice.gate.temperature.fill_(settings.gate.temperature)
        self.settings = settings

    def learn(self, embeddings: Float[Tensor, "batch width"], *, body_rests: bool = False) -> StudentOutput:
        """Carry teacher embeddings (B, D) through the cube, or past it while it rests."""
        steps = 0 if body_rests else None
        output: StudentOutput = self(embeddings, refine=False, steps=steps, stop_early=False)
        return output

    def put_on_surface(
        self, embeddings: Float[Tensor, "batch width"], *, steps: int | None = None
    ) -> Float[Tensor, "batch edge edge"]:
        """Return the surfaces (B, n, n) of teacher embeddings (B, D).

        The code is refined by ``embedding.refinement_steps`` (see `refine`), for the undamaged cube.

        Args:
            embeddings: of the teacher.
            steps: that the cube will make; by default the setting.
        """
        surface = self.codec.encode(embeddings)

        def read_out(surface: Tensor) -> Tensor:
            return self.carry(surface, steps=steps, stop_early=False).embeddings

        return refine(
            surface,
            embeddings,
            read_out,
            steps=self.settings.embedding.refinement_steps,
            at_once=max(1, _CELLS_REFINED_AT_ONCE // self.settings.lattice.cell_count),
        )

    def forward(
        self,
        embeddings: Float[Tensor, "batch width"],
        *,
        surface_in: Float[Tensor, "batch edge edge"] | None = None,
        refine: bool = True,
        steps: int | None = None,
        keep_trace: bool = False,
        intervention: Intervention | None = None,
        stop_early: bool = True,
    ) -> StudentOutput:
        """Carry teacher embeddings (B, D) through the cube; see `Lattice3D.forward` for other options.

        The answer does not depend on the mode of the module.

        Args:
            embeddings: of the teacher.
            surface_in: their surfaces (B, n, n), where they are known already.
            refine: whether codes are refined; training learns from the codes that the encoder makes.
        """
        if surface_in is None:
            surface_in = (
                self.put_on_surface(embeddings, steps=steps) if refine else self.codec.encode(embeddings)
            )
        return self.carry(
            surface_in,
            steps=steps,
            keep_trace=keep_trace,
            intervention=intervention,
            stop_early=stop_early,
        )

    def carry(
        self,
        surface_in: Float[Tensor, "batch edge edge"],
        *,
        steps: int | None = None,
        keep_trace: bool = False,
        intervention: Intervention | None = None,
        stop_early: bool = True,
    ) -> StudentOutput:
        """Carry surfaces (B, n, n) through the cube; see `Lattice3D.forward` for the options."""
        lattice = self.lattice(
            self.mapper(surface_in),
            steps=steps,
            keep_trace=keep_trace,
            intervention=intervention,
            stop_early=stop_early,
        )
        surface_out = self.extractor(lattice.end, lattice.start)
        return StudentOutput(self.codec.decode(surface_out), surface_in, surface_out, lattice)

    def parameter_counts(self) -> dict[str, int]:
        """Return the number of parameters of each part."""
        return {
            name: sum(p.numel() for p in module.parameters())
            for name, module in (
                ("codec", self.codec),
                ("mapper", self.mapper),
                ("lattice.normalize", self.lattice.normalize),
                *((f"lattice.{name}", getattr(self.lattice, name)) for name in self.lattice.tier_of),
                ("lattice.gate", self.lattice.gate),
                ("extractor", self.extractor),
            )
        }

    def save_pretrained(self, folder: Path | str) -> None:
        """Write weights (safetensors), settings (TOML) and a small description (JSON) to ``folder``."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        save_file(tensors, target / MODEL_FILE)
        save_toml(self.settings, target / SETTINGS_FILE)
        description = {"format": FORMAT, "version": VERSION, "parameters": self.parameter_counts()}
        (target / DESCRIPTION_FILE).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def from_pretrained(
        cls, folder: Path | str, device: torch.device | str = "cpu", teacher: Teacher | None = None
    ) -> CellNet:
        """Read what `save_pretrained` wrote, and attach a teacher if one is given.

        Raises:
            CheckpointError: if files are missing, damaged or do not fit each other.
            TeacherError: if the teacher is not of the kind that the student was trained with.
        """
        source = Path(folder)
        for name in (MODEL_FILE, SETTINGS_FILE, DESCRIPTION_FILE):
            if not (source / name).is_file():
                raise CheckpointError(f"{source} holds no {name}; give a folder that save_pretrained wrote")
        _check_version(source / DESCRIPTION_FILE)
        try:
            settings = load_toml(source / SETTINGS_FILE)
            model = cls(settings)
        except SettingsError as error:
            raise CheckpointError(f"{source / SETTINGS_FILE} holds no settings: {error}") from None
        try:
            weights = load_file(source / MODEL_FILE)
            check_weights(model, weights)
        except (SafetensorError, CheckpointError) as error:
            raise CheckpointError(f"{source / MODEL_FILE} does not fit its settings: {error}") from None
        model.load_state_dict(weights)
        if teacher is not None:
            model.attach_teacher(teacher)
        return model.to(device).eval()


def _check_version(path: Path) -> None:
    """Refuse a description of another format or version."""
    if path.stat().st_size > MAX_DESCRIPTION_BYTES:
        raise CheckpointError(f"{path} is too large to describe a model")
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} does not describe a {FORMAT}; give a folder that save_pretrained wrote"
        )
    version: object = description.get("version")
    if version != VERSION:
        raise CheckpointError(
            f"{path} is of version {version!r}, but this cellnet reads {VERSION}: "
            "use the cellnet that wrote it, or train again"
        )
