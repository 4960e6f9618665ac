"""A trained writer: embeddings in, sentences out; kept as safetensors and JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from cellnet.checkpoints import load_checkpoint, save_checkpoint
from cellnet.checkpoints.manifest import read_manifest
from cellnet.decoder.network import CausalTransformer
from cellnet.decoder.search import sample, search
from cellnet.decoder.vocabulary import Vocabulary
from cellnet.errors import CheckpointError, DataError
from cellnet.measures import Embeddings
from cellnet.settings import Settings

KIND = "cellnet-decoder"
VERSION = 1
_GROUP = "decoder"
TEMPERATURE = 0.7
"""Of the candidates that are drawn; at 1 most say something else."""


@dataclass(frozen=True, slots=True)
class Written:
    """A sentence that was written.

    Attributes:
        text: the sentence.
        score: its log probability over length ** ``decoder.length_penalty``.
        tokens: how many tokens it has.
    """

    text: str
    score: float
    tokens: int


class GenerativeDecoder:
    """Writes the sentence that an embedding stands for.

    Attributes:
        network: the transformer.
        vocabulary: what it can write.
        settings: the tree that it was trained with; the groups embedding and decoder matter here.
        facts: JSON values on where it comes from: ``teacher``, ``student``, ``training`` and ``report``.
    """

    def __init__(
        self,
        network: CausalTransformer,
        vocabulary: Vocabulary,
        settings: Settings,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self.network = network.eval()
        self.vocabulary = vocabulary
        self.settings = settings
        self.facts: dict[str, Any] = dict(facts or {})

    @property
    def width(self) -> int:
        """Width D of the embeddings."""
        return len(self.network.mean)

    @property
    def device(self) -> torch.device:
        """The device."""
        return self.network.mean.device

    def write(
        self,
        embeddings: NDArray[np.float32] | Tensor,
        *,
        beams: int | None = None,
        length_penalty: float | None = None,
    ) -> list[Written]:
        """Return one sentence for each of B embeddings (B, D); none influences another.

        Args:
            embeddings: reconstructions of a student, or embeddings of its teacher.
            beams: 1 is greedy; ``decoder.beams`` unless given.
            length_penalty: ``decoder.length_penalty`` unless given.

        Raises:
            DataError: if the embeddings have another shape or are not finite.
        """
        defaults = self.settings.decoder
        rows = self.rows(embeddings)
        sentences = search(
            self.network,
            rows,
            beams=defaults.beams if beams is None else beams,
            length_penalty=defaults.length_penalty if length_penalty is None else length_penalty,
        )
        return [
            Written(self.vocabulary.decode(one.tokens), one.score, len(one.tokens)) for one in sentences
        ]

    def write_nearest(
        self,
        embeddings: Embeddings,
        encode: Callable[[Sequence[str]], Embeddings],
        *,
        found: Sequence[str] | None = None,
        seed: int = 0,
    ) -> list[str]:
        """Return for each of B embeddings (B, D) the sentence whose own embedding comes nearest to it.

        Candidates are what `write` finds and ``decoder.candidates`` sentences that are drawn.

        Args:
            embeddings: reconstructions of a student, or embeddings of its teacher.
            encode: gives the teacher's embeddings of texts.
            found: what `write` found for them, if that is known.
            seed: of what is drawn.

        Raises:
            DataError: if the embeddings have another shape or are not finite.
        """
        best = [one.text for one in self.write(embeddings)] if found is None else list(found)
        count, rows = self.settings.decoder.candidates, self.rows(embeddings)
        if count and best:
            generator = torch.Generator(rows.device).manual_seed(seed)
            drawn = sample(
                self.network, rows.repeat(count, 1), temperature=TEMPERATURE, generator=generator
            )
            texts = [*best, *map(self.vocabulary.decode, drawn)]
            given = F.normalize(rows.cpu().double(), dim=1)
            own = F.normalize(torch.from_numpy(np.array(encode(texts), np.float64)), dim=1)
            cosines = (own.view(count + 1, len(best), -1) * given).sum(dim=2)
            places = cosines.argmax(dim=0).tolist()
            best = [texts[place * len(best) + row] for row, place in enumerate(places)]
        return best

    def rows(self, embeddings: NDArray[np.float32] | Tensor) -> Tensor:
        """Return checked embeddings (B, D) as a tensor on the device; raises `DataError`."""
        if embeddings.ndim != 2 or embeddings.shape[1] != self.width:
            raise DataError(
                f"embeddings of shape {tuple(embeddings.shape)} do not fit a decoder of width "
                f"{self.width}; give them as (B, {self.width})"
            )
        if isinstance(embeddings, np.ndarray):
            embeddings = torch.from_numpy(np.array(embeddings, dtype=np.float32))
        rows = embeddings.detach().to(self.device, torch.float32)
        if not bool(rows.isfinite().all()):
            raise DataError("an embedding is not finite, so nothing can be written of it; compute it again")
        return rows

    def save_pretrained(self, folder: Path | str) -> None:
        """Write weights (safetensors), settings (TOML) and vocabulary and facts (JSON) to ``folder``.

        Raises:
            CheckpointError: if the folder holds anything but an older decoder, which is replaced.
        """
        target = check_target(folder)
        state: dict[str, Any] = {
            "kind": KIND,
            "version": VERSION,
            "width": self.width,
            "vocabulary": self.vocabulary.to_json(),
            "facts": self.facts,
        }
        save_checkpoint(target, {_GROUP: self.network.state_dict()}, state, self.settings)

    @classmethod
    def from_pretrained(cls, folder: Path | str, device: torch.device | str = "cpu") -> GenerativeDecoder:
        """Read what `save_pretrained` wrote; every file is checked against its recorded sha256.

        Raises:
            CheckpointError: if files are missing, damaged, too large, of something else or do not fit
                each other.
        """
        source = Path(folder)
        _check_kind(source, read_manifest(source).state)
        saved = load_checkpoint(source)
        width, tensors = saved.state.get("width"), saved.tensors.get(_GROUP)
        if saved.settings is None or tensors is None or type(width) is not int:
            raise CheckpointError(f"{source} lacks settings, weights or width; train the decoder again")
        if width != saved.settings.embedding.teacher_width:
            raise CheckpointError(
                f"the decoder in {source} reads width {width}, its settings say "
                f"{saved.settings.embedding.teacher_width}; train it again"
            )
        facts = saved.state.get("facts")
        vocabulary = Vocabulary.from_json(saved.state.get("vocabulary"))
        with torch.device("meta"):  # nothing is allocated for sizes that the weights do not have
            network = CausalTransformer(saved.settings.decoder, width, len(vocabulary))
        _check_tensors(network, tensors, source)
        network = CausalTransformer(saved.settings.decoder, width, len(vocabulary))
        network.load_state_dict(tensors)
        return cls(network.to(device), vocabulary, saved.settings, facts if isinstance(facts, dict) else {})


def check_target(folder: Path | str) -> Path:
    """Return where a decoder may be written: a new or empty folder, or one that holds a decoder.

    Raises:
        CheckpointError: if something else is there.
    """
    target = Path(folder)
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise CheckpointError(f"{target} is no folder; give a new name")
    if target.is_dir() and any(target.iterdir()):
        try:
            _check_kind(target, read_manifest(target).state)
        except CheckpointError:
            raise CheckpointError(f"{target} holds something that is no decoder; give a new name") from None
    return target


def weights_fingerprint(model: nn.Module) -> str:
    """Return the SHA-256 of all weights of a model, in the order of their names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _check_kind(folder: Path, state: Mapping[str, Any]) -> None:
    if state.get("kind") != KIND:
        raise CheckpointError(f"{folder} holds no decoder; give a folder that cellnet train-decoder wrote")
    if state.get("version") != VERSION:
        raise CheckpointError(
            f"the decoder in {folder} is of version {state.get('version')!r}, but this cellnet reads "
            f"{VERSION}: update cellnet or train it again"
        )


def _check_tensors(network: nn.Module, tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Refuse weights that are not exactly those of the network, or not finite."""
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    for name in sorted(shapes.keys() | given.keys()):
        if shapes.get(name) != given.get(name):
            raise CheckpointError(
                f"the weights in {folder} do not fit its settings: {name!r} is {given.get(name)}, "
                f"not {shapes.get(name)}; train the decoder again"
            )
        if tensors[name].dtype != torch.float32 or not bool(tensors[name].isfinite().all()):
            raise CheckpointError(f"{name!r} in {folder} is not finite float32; train the decoder again")
