"""The teacher: a frozen sentence encoder, loaded and run by sentence-transformers."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from tokenizers import Tokenizer

from cellnet.errors import TeacherError
from cellnet.settings import EmbeddingSettings
from cellnet.teacher.folders import TeacherFolder, deciding_files, find_teacher, sha256_of, weight_files

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

OWN = "own"

_TOKENIZER_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt")
_SAFE: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
_WEIGHTS: dict[str, Any] = {"use_safetensors": True, "dtype": torch.float32}
_TOKENS_OF_TEXTS = {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}

_importing = threading.Lock()
"""Transformers loads its parts when asked for them, and two threads that ask at once get in their way."""


class Teacher:
    """A sentence encoder with frozen weights; make one with `Teacher.load`.

    With ``embedding.pooling = "own"`` the modules that the encoder was saved with make its embeddings:
    prompt, pooling, dense layers and scaling. With any other pooling the settings say how the token vectors
    of its transformer become an embedding.

    Attributes:
        name: the setting ``embedding.teacher``.
        settings: what it was loaded with; ``teacher_width`` is the width of the embeddings, never 0.
        tokenizer: the tokenizer of the transformer.
        width: width D of the embeddings.
        fingerprint: SHA-256 of all that decides the embeddings: weights, configuration, tokenizer,
            pooling, scaling and longest text.
    """

    def __init__(self, model: SentenceTransformer, settings: EmbeddingSettings, fingerprint: str) -> None:
        self._model = model.eval().requires_grad_(False)
        self.width = _width(model, settings)
        self.settings: EmbeddingSettings = settings.replace(teacher_width=self.width)
        self.name = settings.teacher
        self.tokenizer = model.tokenizer
        self.fingerprint = fingerprint
        self.device = model.device
        _cut_texts(model, settings)

    @classmethod
    def load(cls, settings: EmbeddingSettings, device: torch.device) -> Teacher:
        """Load the teacher that the settings name (see `cellnet.teacher.folders.find_teacher`).

        A ``teacher_width`` of 0 takes the width that the teacher has.

        Raises:
            TeacherError: if it is missing, altered, incomplete, of an unsupported kind or of another
                width than ``embedding.teacher_width``, or does not fit ``embedding.pooling``,
                ``embedding.normalize`` or ``embedding.max_tokens``.
        """
        folder = find_teacher(settings.teacher)
        fingerprint = _fingerprint(folder, settings)
        with _importing:
            import sentence_transformers  # noqa: F401 - slow to import, and only needed here
        try:
            load = _load_own if settings.pooling == OWN else _load_transformer
            model = load(folder, settings, device)
        except (
            AttributeError,
            ImportError,
            KeyError,
            OSError,
            RuntimeError,
            SafetensorError,
            TypeError,
            ValueError,
        ) as error:
            raise TeacherError(f"{folder.path} cannot be loaded as a sentence encoder: {error}") from error
        return cls(model, settings, fingerprint)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the embeddings (n, D) of n texts, in their order.

        Texts of similar length are worked on together; those longer than ``embedding.max_tokens`` are cut.

        Raises:
            TeacherError: if an embedding is not finite.
        """
        embeddings = self._model.encode(
            list(texts), batch_size=self.settings.teacher_batch_size, show_progress_bar=False
        )
        result = np.asarray(embeddings, dtype=np.float32).reshape(len(texts), self.width)
        if not np.isfinite(result).all():
            raise TeacherError(
                f"teacher {self.name!r} gives embeddings that are not finite; choose another one"
            )
        return result


def teacher_fingerprint(settings: EmbeddingSettings) -> str:
    """Return the fingerprint that the teacher of these settings has (see `Teacher`), without loading it.

    Raises:
        TeacherError: if it is missing, altered or incomplete.
    """
    return _fingerprint(find_teacher(settings.teacher), settings)


def _load_own(
    folder: TeacherFolder, settings: EmbeddingSettings, device: torch.device
) -> SentenceTransformer:
    """Load an encoder with the modules that it was saved with."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Normalize, Transformer

    if not folder.modules:
        raise TeacherError(
            f"{settings.teacher!r} is a plain transformer without modules of its own; set "
            "embedding.pooling = 'mean' (or 'cls' or 'max')"
        )
    if folder.ends_normalized and not settings.normalize:
        raise TeacherError(
            f"{settings.teacher!r} scales its embeddings to unit length itself; set embedding.normalize = "
            "true"
        )
    model = SentenceTransformer(str(folder.path), device=str(device), model_kwargs=_WEIGHTS, **_SAFE)
    if isinstance(model[0], Transformer):
        _check_complete(model[0], folder)
    if settings.normalize and not folder.ends_normalized:
        model.append(Normalize())
    return model


def _load_transformer(
    folder: TeacherFolder, settings: EmbeddingSettings, device: torch.device
) -> SentenceTransformer:
    """Load the transformer alone, with the pooling and scaling of the settings."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    left_out = [kind for _, kind in folder.modules[1:] if kind not in ("Pooling", "Normalize", "Dropout")]
    if left_out:
        raise TeacherError(
            f"{settings.teacher!r} also has the modules {', '.join(left_out)}, which embedding.pooling = "
            f"{settings.pooling!r} would leave out; set embedding.pooling = 'own'"
        )
    transformer = Transformer(
        str(folder.transformer),
        model_kwargs={**_SAFE, **_WEIGHTS},
        # Positions of tokens are counted from the left, so what is padded there would shift them.
        processor_kwargs={**_SAFE, "padding_side": "right"},
        config_kwargs=dict(_SAFE),
        modality_config=_TOKENS_OF_TEXTS,
        module_output_name="token_embeddings",
    )
    if getattr(transformer.config, "is_encoder_decoder", False):
        raise TeacherError(f"{settings.teacher!r} also decodes; choose an encoder of texts")
    _check_complete(transformer, folder)
    pooling = Pooling(transformer.get_embedding_dimension(), settings.pooling)
    scaling = [Normalize()] if settings.normalize else []
    return SentenceTransformer(modules=[transformer, pooling, *scaling], device=str(device))


def _check_complete(transformer: Any, folder: TeacherFolder) -> None:
    """Raise a `TeacherError` where the files lack parameters, which would have started at random.

    Only transformers knows how names in files become parameters, and it tells only while it loads; so
    it loads the weights once more.
    """
    _, loading = type(transformer.auto_model).from_pretrained(
        str(folder.transformer),
        config=transformer.config,
        output_loading_info=True,
        **_SAFE,
        **_WEIGHTS,
    )
    absent = sorted(key for key in loading["missing_keys"] if not key.startswith("pooler."))
    if absent:
        raise TeacherError(
            f"the weights in {folder.transformer} lack {len(absent)} parameters, such as {absent[0]!r}, "
            "which would start at random; download or save the model again"
        )


def _width(model: SentenceTransformer, settings: EmbeddingSettings) -> int:
    width = model.get_embedding_dimension()
    if width is None:
        raise TeacherError(f"{settings.teacher!r} does not say how wide its embeddings are; choose another")
    if settings.teacher_width not in (0, width):
        raise TeacherError(
            f"teacher {settings.teacher!r} gives embeddings of width {width}, but embedding.teacher_width "
            f"is {settings.teacher_width}; set embedding.teacher_width = {width} or choose another teacher"
        )
    return int(width)


def _cut_texts(model: SentenceTransformer, settings: EmbeddingSettings) -> None:
    if getattr(model.tokenizer, "pad_token", "") is None:
        raise TeacherError(
            f"the tokenizer of {settings.teacher!r} has no padding token; choose another teacher"
        )
    longest = model.max_seq_length
    if longest is not None and settings.max_tokens > longest:
        raise TeacherError(
            f"teacher {settings.teacher!r} reads at most {longest} tokens, but embedding.max_tokens is "
            f"{settings.max_tokens}; set embedding.max_tokens = {longest} or less"
        )
    if isinstance(model.tokenizer, Tokenizer):  # of an encoder without a transformer, which has no limit
        model.tokenizer.enable_truncation(settings.max_tokens)
    else:
        model.max_seq_length = settings.max_tokens


def _fingerprint(folder: TeacherFolder, settings: EmbeddingSettings) -> str:
    if settings.pooling == OWN:
        base, files = folder.path, deciding_files(folder)
    else:
        base = folder.transformer
        files = weight_files(base) + [base / name for name in _TOKENIZER_FILES if (base / name).is_file()]
    parts: dict[str, Any] = {path.relative_to(base).as_posix(): sha256_of(path) for path in files}
    parts |= settings.model_dump(include={"pooling", "normalize", "max_tokens"})
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
