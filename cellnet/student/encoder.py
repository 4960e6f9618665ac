"""Texts to codes, with the interface that sentence-transformers gives to encoders and asks of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self, overload

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import trange

from cellnet.errors import TeacherError
from cellnet.settings import EmbeddingSettings

if TYPE_CHECKING:
    from cellnet.teacher import Teacher

Codes = NDArray[np.float32]
Vectors = NDArray[np.floating[Any]] | Tensor | Sequence[Tensor] | Sequence[NDArray[np.floating[Any]]]

_MUST_AGREE = ("teacher_width", "pooling", "normalize")


@dataclass
class EvaluationLog:
    """The findings of evaluators of sentence-transformers; they report to ``model.model_card_data``.

    Attributes:
        metrics: the newest value of each, by name.
    """

    metrics: dict[str, float] = field(default_factory=dict)

    def set_evaluation_metrics(
        self, evaluator: object, metrics: Mapping[str, float], epoch: int = 0, step: int = 0
    ) -> None:
        """Keep what an evaluator found."""
        self.metrics.update(metrics)


class SentenceEncoder(nn.Module):
    """A model that makes a code of a teacher's embedding, and so, with the teacher, of a text.

    The evaluators of sentence-transformers accept it as a model. Codes are compared by cosine.

    Attributes:
        model_card_data: where those evaluators leave what they found.
    """

    similarity_fn_name: Literal["cosine"] = "cosine"

    def __init__(self) -> None:
        super().__init__()
        self.model_card_data = EvaluationLog()
        self._teacher: Teacher | None = None

    @property
    def code_width(self) -> int:
        """Width S of a code."""
        raise NotImplementedError

    def codes(self, embeddings: Tensor) -> Tensor:
        """Return the codes (B, S) of teacher embeddings (B, D)."""
        raise NotImplementedError

    def embedding_settings(self) -> EmbeddingSettings:
        """Return the settings of the teacher that the model was made for."""
        raise NotImplementedError

    @property
    def teacher(self) -> Teacher:
        """The attached teacher.

        Raises:
            TeacherError: if there is none.
        """
        if self._teacher is None:
            name = self.embedding_settings().teacher
            raise TeacherError(
                f"no teacher is attached, and texts come to the student through teacher {name!r}: call "
                "student.attach_teacher(Teacher.load(student.settings.embedding, device)), or load the "
                "student with CellNet.from_pretrained(folder, teacher=teacher)"
            )
        return self._teacher

    def attach_teacher(self, teacher: Teacher) -> Self:
        """Encode texts with this teacher from now on, on its own device; return the model.

        It is not part of the model: neither its weights nor its device follow the model's.

        Raises:
            TeacherError: if its width, pooling or scaling are not those the model was trained with.
        """
        wanted, given = self.embedding_settings(), teacher.settings
        for name in _MUST_AGREE:
            if getattr(given, name) != getattr(wanted, name):
                raise TeacherError(
                    f"teacher {teacher.name!r} has embedding.{name} {getattr(given, name)!r}, but the "
                    f"student was trained with {getattr(wanted, name)!r}; load the teacher with "
                    "student.settings.embedding"
                )
        self._teacher = teacher
        return self

    @overload
    def encode(
        self,
        inputs: str | Sequence[str],
        prompt_name: None = None,
        prompt: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        *,
        precision: Literal["float32"] | None = "float32",
        convert_to_numpy: Literal[True] = True,
        convert_to_tensor: Literal[False] = False,
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
    ) -> Codes: ...

    @overload
    def encode(
        self,
        inputs: str | Sequence[str],
        prompt_name: None = None,
        prompt: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        *,
        precision: Literal["float32"] | None = "float32",
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
    ) -> Codes | Tensor | list[Tensor]: ...

    @torch.no_grad()
    def encode(
        self,
        inputs: str | Sequence[str],
        prompt_name: None = None,
        prompt: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        *,
        precision: Literal["float32"] | None = "float32",
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
    ) -> Codes | Tensor | list[Tensor]:
        """Return the codes of texts, in their order, as ``SentenceTransformer.encode`` returns embeddings.

        A text goes through the attached teacher and then on the surface of the cube; its code is what is
        put there, n * n numbers (64 for an 8 x 8 surface).

        Args:
            inputs: one text or several; texts of similar length are worked on together.
            prompt_name: there are no named prompts.
            prompt: put before each text.
            batch_size: texts at once; the teacher takes at most ``embedding.teacher_batch_size`` of them.
            show_progress_bar: whether to draw one on stderr.
            precision: of the codes.
            convert_to_numpy: whether to return an array (texts, n * n) rather than a list of tensors.
            convert_to_tensor: whether to return one tensor, on the model's device, rather than an array.
            normalize_embeddings: whether to scale each code to length 1.
            truncate_dim: return only the first so many numbers of each code.

        Returns:
            As the flags say; for one text its own code, (n * n,).

        Raises:
            TeacherError: if no teacher is attached.
            ValueError: for a prompt name, another precision, or an impossible batch or width.
        """
        _check(prompt_name, precision, batch_size)
        teacher = self.teacher
        texts = [(prompt or "") + text for text in ([inputs] if isinstance(inputs, str) else inputs)]
        like = next(self.parameters())
        width = self.code_width
        if truncate_dim is not None and not 1 <= truncate_dim <= width:
            raise ValueError(f"truncate_dim is {truncate_dim}; the codes have 1 to {width} numbers")
        order = np.argsort([-len(text) for text in texts], kind="stable")
        codes = like.new_empty(len(texts), width)
        for start in trange(0, len(texts), batch_size, desc="Batches", disable=not show_progress_bar):
            rows = order[start : start + batch_size]
            embeddings = torch.from_numpy(teacher.encode([texts[row] for row in rows]))
            codes[torch.from_numpy(rows).to(like.device)] = self.codes(embeddings.to(like))
        codes = codes[:, :truncate_dim]
        if normalize_embeddings:
            codes = F.normalize(codes, dim=1)
        chosen: Tensor = codes[0] if isinstance(inputs, str) else codes
        if convert_to_tensor:
            return chosen
        if convert_to_numpy:
            array: Codes = chosen.float().cpu().numpy()
            return array
        return chosen if isinstance(inputs, str) else list(chosen)

    encode_query = encode
    """Queries are texts like all others."""

    encode_document = encode
    """Documents are texts like all others."""

    @staticmethod
    def similarity(embeddings1: Vectors, embeddings2: Vectors) -> Tensor:
        """Return the cosine of each code (n, S) with each other code (m, S), as (n, m)."""
        return _unit(embeddings1) @ _unit(embeddings2).T

    @staticmethod
    def similarity_pairwise(embeddings1: Vectors, embeddings2: Vectors) -> Tensor:
        """Return the cosine of each pair of codes (n, S), as (n,)."""
        return (_unit(embeddings1) * _unit(embeddings2)).sum(dim=1)


def _check(prompt_name: object, precision: object, batch_size: int) -> None:
    if prompt_name is not None:
        raise ValueError(f"prompt_name is {prompt_name!r}, but there are no named prompts; give prompt")
    if precision not in (None, "float32"):
        raise ValueError(f"precision is {precision!r}, but codes are float32")
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; give at least 1")


def _unit(vectors: Vectors) -> Tensor:
    """Return vectors, or one vector, as rows of length 1."""
    if isinstance(vectors, Tensor):
        rows = vectors
    elif isinstance(vectors, np.ndarray):
        rows = torch.from_numpy(vectors)
    else:
        rows = torch.stack([torch.as_tensor(vector) for vector in vectors])
    return F.normalize(rows.reshape(-1, rows.shape[-1]), dim=1)
