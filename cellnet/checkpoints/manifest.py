"""The `state.json` of a checkpoint: what belongs to it, and how large it may be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cellnet.errors import CheckpointError

FORMAT = 2
STATE_FILE = "state.json"
SETTINGS_FILE = "settings.toml"
MAX_STATE_BYTES = 32 * 2**20
MAX_SETTINGS_BYTES = 2**20
MAX_FILES = 32
MAX_TOTAL_BYTES = 16 * 2**30

GROUP_PATTERN = r"[a-z_]{1,64}"
FILE_PATTERN = rf"{GROUP_PATTERN}\.safetensors|settings\.toml"

FileName = Annotated[str, Field(pattern=rf"^(?:{FILE_PATTERN})$")]


class FileEntry(BaseModel):
    """Size in bytes and sha256 of one file."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    bytes: int = Field(ge=0, le=MAX_TOTAL_BYTES)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """The content of `state.json`."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    format: int
    cellnet: str = Field(max_length=64)
    files: dict[FileName, FileEntry] = Field(max_length=MAX_FILES)
    state: dict[str, Any]


def check_total(sizes: Mapping[str, int]) -> None:
    """Refuse files that are together larger than a checkpoint may be."""
    if (total := sum(sizes.values())) > MAX_TOTAL_BYTES:
        raise CheckpointError(
            f"the files take {total} bytes, a checkpoint at most {MAX_TOTAL_BYTES}; use a smaller model"
        )


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `state.json`.

    Raises:
        CheckpointError: if the state is not JSON (NaN and infinity are not) or is too large.
    """
    try:
        text = json.dumps(manifest.model_dump(), allow_nan=False, indent=1)
    except (TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"the state is not JSON ({error}); store tensors in a group, None instead of NaN or infinity"
        ) from None
    data = text.encode()
    if len(data) > MAX_STATE_BYTES:
        raise CheckpointError(
            f"the state takes {len(data)} bytes of JSON and at most {MAX_STATE_BYTES} are allowed; "
            "store long arrays as tensors in a group"
        )
    (folder / STATE_FILE).write_bytes(data)


def read_manifest(folder: Path) -> Manifest:
    """Read and validate `state.json`.

    Raises:
        CheckpointError: if it is missing, too large, malformed or of a newer format.
    """
    path = folder / STATE_FILE
    if path.is_symlink() or not path.is_file():
        raise CheckpointError(
            f"there is no checkpoint at {folder} (no file {STATE_FILE}); give the folder of a checkpoint, "
            "such as RUN/checkpoints/step-00000100"
        )
    if (size := path.stat().st_size) > MAX_STATE_BYTES:
        raise CheckpointError(
            f"{path} takes {size} bytes and at most {MAX_STATE_BYTES} are allowed; this is no checkpoint "
            "of cellnet: use another"
        )
    try:
        values = json.loads(path.read_bytes(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not valid JSON ({error}); use another checkpoint") from None
    version = values.get("format") if isinstance(values, dict) else None
    if isinstance(version, int) and version > FORMAT:
        raise CheckpointError(
            f"{folder} has checkpoint format {version} and this cellnet reads {FORMAT}; upgrade cellnet"
        )
    try:
        manifest = Manifest.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise CheckpointError(
            f"{path} describes no checkpoint ({where}: {first['msg']}); use another checkpoint"
        ) from None
    if manifest.format != FORMAT:
        raise CheckpointError(
            f"{folder} has checkpoint format {version} and this cellnet reads {FORMAT}; "
            "use another checkpoint"
        )
    check_total({name: entry.bytes for name, entry in manifest.files.items()})
    return manifest


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
