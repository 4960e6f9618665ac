"""The teacher: a frozen transformer that turns sentences into embeddings."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor
from torch.nn import functional

from cellnet.errors import TeacherError
from cellnet.settings import EmbeddingSettings
from cellnet.teacher.folders import find_teacher, sha256_of, weight_files

_FINGERPRINT_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt")


_importing = threading.Lock()
"""Transformers loads its parts when asked for them, and two threads that ask at once get in their way."""


class Teacher:
    """A sentence encoder with frozen weights; make one with `Teacher.load`.

    Pooling, length and scaling follow the settings, also where a sentence-transformers folder
    suggests others.

    Attributes:
        name: the setting ``embedding.teacher``.
        settings: what it was loaded with.
        tokenizer: the tokenizer of the transformer.
        width: width D of the embeddings.
        fingerprint: SHA-256 of all that decides the embeddings: weights, configuration, tokenizer,
            pooling, scaling and longest text.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        settings: EmbeddingSettings,
        fingerprint: str,
        device: torch.device,
    ) -> None:
        self.name = settings.teacher
        self.tokenizer = tokenizer
        self.fingerprint = fingerprint
        self.device = device
        self.settings = settings
        self._model = model.to(device=device, dtype=torch.float32).eval().requires_grad_(False)
        self.width: int = _width(model, settings)
        _check_length(model, tokenizer, settings)

    @classmethod
    def load(cls, settings: EmbeddingSettings, device: torch.device) -> Teacher:
        """Load the teacher that the settings name (see `cellnet.teacher.folders.find_teacher`).

        Raises:
            TeacherError: if it is missing, altered, incomplete, of an unsupported kind or of another
                width than ``embedding.teacher_width``, or cannot read ``embedding.max_tokens``.
        """
        with _importing:
            from transformers import AutoModel, AutoTokenizer  # slow to import, and only needed here

        folder = find_teacher(settings.teacher)
        fingerprint = _fingerprint(folder, settings)
        try:
            tokenizer = AutoTokenizer.from_pretrained(
                folder, trust_remote_code=False, local_files_only=True, padding_side="right"
            )
            model, loading = AutoModel.from_pretrained(
                folder,
                trust_remote_code=False,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
            )
        except (ImportError, KeyError, OSError, RuntimeError, SafetensorError, ValueError) as error:
            raise TeacherError(f"{folder} cannot be loaded as a sentence encoder: {error}") from error
        absent = sorted(key for key in loading["missing_keys"] if not key.startswith("pooler."))
        if absent:
            raise TeacherError(
                f"the weights in {folder} lack {len(absent)} parameters, such as {absent[0]!r}, which "
                "would start at random; download or save the model again"
            )
        return cls(model, tokenizer, settings, fingerprint, device)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the embeddings (n, D) of n texts, in their order.

        Texts are sorted by their number of tokens inside, so that a batch has little padding; texts
        longer than ``embedding.max_tokens`` are cut.

        Raises:
            TeacherError: if an embedding is not finite.
        """
        result = np.empty((len(texts), self.width), dtype=np.float32)
        order = np.argsort(self._token_counts(texts), kind="stable")[::-1]
        for start in range(0, len(order), self.settings.teacher_batch_size):
            rows = order[start : start + self.settings.teacher_batch_size]
            result[rows] = self._embed([texts[row] for row in rows]).cpu().numpy()
        if not np.isfinite(result).all():
            raise TeacherError(
                f"teacher {self.name!r} gives embeddings that are not finite; choose another one"
            )
        return result

    def _token_counts(self, texts: Sequence[str]) -> list[int]:
        if not texts:
            return []
        return [len(ids) for ids in self._tokenize(list(texts))["input_ids"]]

    def _tokenize(self, texts: list[str], **options: Any) -> Any:
        return self.tokenizer(texts, truncation=True, max_length=self.settings.max_tokens, **options)

    @torch.inference_mode()
    def _embed(self, texts: list[str]) -> Tensor:
        batch = self._tokenize(texts, padding=True, return_tensors="pt").to(self.device)
        states_BLD: Tensor = self._model(**batch).last_hidden_state
        pooled_BD = pool(states_BLD, batch["attention_mask"], self.settings.pooling)
        return functional.normalize(pooled_BD, dim=-1) if self.settings.normalize else pooled_BD


def pool(states_BLD: Tensor, mask_BL: Tensor, pooling: str) -> Tensor:
    """Return one vector (B, D) per text from its token vectors (B, L, D); masked tokens do not count."""
    if pooling == "cls":
        return states_BLD[:, 0]
    mask_BL1 = mask_BL.unsqueeze(-1).bool()
    if pooling == "max":
        return states_BLD.masked_fill(~mask_BL1, float("-inf")).amax(dim=1)
    return states_BLD.masked_fill(~mask_BL1, 0.0).sum(dim=1) / mask_BL1.sum(dim=1)


def _width(model: Any, settings: EmbeddingSettings) -> int:
    width = getattr(model.config, "hidden_size", None)
    if not isinstance(width, int) or getattr(model.config, "is_encoder_decoder", False):
        raise TeacherError(f"{settings.teacher!r} is a {type(model).__name__}, not an encoder of texts")
    if width != settings.teacher_width:
        raise TeacherError(
            f"teacher {settings.teacher!r} gives embeddings of width {width}, but embedding.teacher_width "
            f"is {settings.teacher_width}; set embedding.teacher_width = {width} or choose another teacher"
        )
    return width


def _check_length(model: Any, tokenizer: Any, settings: EmbeddingSettings) -> None:
    if tokenizer.pad_token is None:
        raise TeacherError(
            f"the tokenizer of {settings.teacher!r} has no padding token; choose another teacher"
        )
    positions = getattr(model.config, "max_position_embeddings", None) or tokenizer.model_max_length
    longest = min(positions, tokenizer.model_max_length)
    if settings.max_tokens > longest:
        raise TeacherError(
            f"teacher {settings.teacher!r} reads at most {longest} tokens, but embedding.max_tokens is "
            f"{settings.max_tokens}; set embedding.max_tokens = {longest} or less"
        )


def teacher_fingerprint(settings: EmbeddingSettings) -> str:
    """Return the fingerprint that the teacher of these settings has (see `Teacher`), without loading it.

    Raises:
        TeacherError: if it is missing, altered or incomplete.
    """
    return _fingerprint(find_teacher(settings.teacher), settings)


def _fingerprint(folder: Path, settings: EmbeddingSettings) -> str:
    files = weight_files(folder) + [
        folder / name for name in _FINGERPRINT_FILES if (folder / name).is_file()
    ]
    parts: dict[str, Any] = {path.name: sha256_of(path) for path in files}
    parts |= settings.model_dump(include={"pooling", "normalize", "max_tokens"})
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
