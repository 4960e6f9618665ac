"""Pictures of the cube kept over a training, in the run's folder, so that pages can scrub through it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Self, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from cellnet.errors import RunError
from cellnet.files import new_file, remove_stale
from cellnet.student.experts import EXPERTS
from lab.training.probe import CubeFrame

FRAMES_FOLDER: Final = "frames"
MAX_FRAMES: Final = 64
MAX_BYTES: Final = 256 * 10**6

_FORMAT: Final = 1
_NAME: Final = re.compile(r"step-(?P<step>\d{8,9})\.safetensors")
_LARGEST: Final = 2.0**15
"""Half precision ends at 65,504; larger states are stored divided by a power of two."""
_MAX_HEADER_BYTES: Final = 2**17
_MAX_FILE_BYTES: Final = 2**30
_MAX_CELLS: Final = 128**3
_TEXT_CHARACTERS: Final = 10_000

Result = TypeVar("Result")
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[int, Field(ge=1)]
Row = Annotated[list[Finite], Field(max_length=101)]


class FrameSummary(BaseModel):
    """The facts of a frame that are known without its states; T lattice steps.

    Attributes:
        step: training steps made.
        dimensions: cells along x, y, z.
        lattice_steps, channels: T and C.
        text: the sentence.
        cosine: between the teacher's embedding and what came out of the cube.
        seconds: what computing the frame took.
        gate_mean: mean over cells of each expert's weight, in the order of the table, T rows.
        gate_entropy: mean over cells of the gate's entropy over that of an even mixture, T values.
        norms: rms of the states before the first and after each lattice step, T + 1 values.
        scale: what the stored states are divided by.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    format: int = _FORMAT
    step: Annotated[int, Field(ge=0, lt=10**9)]
    dimensions: Annotated[list[Positive], Field(min_length=3, max_length=3)]
    lattice_steps: Annotated[int, Field(ge=1, le=100)]
    channels: Annotated[int, Field(ge=1, le=512)]
    text: Annotated[str, Field(max_length=_TEXT_CHARACTERS)]
    cosine: Finite
    seconds: Finite
    gate_mean: Annotated[list[list[Finite]], Field(max_length=100)]
    gate_entropy: Row
    norms: Row
    scale: Annotated[float, Field(gt=0.0, allow_inf_nan=False)]

    @property
    def cells(self) -> int:
        """Number of cells N."""
        return math.prod(self.dimensions)

    @model_validator(mode="after")
    def _sizes_agree(self) -> Self:
        counts = (len(self.gate_mean), len(self.gate_entropy), len(self.norms) - 1)
        if self.format != _FORMAT or counts != (self.lattice_steps,) * 3 or self.cells > _MAX_CELLS:
            raise ValueError("its sizes do not agree")
        if any(len(row) != len(EXPERTS) for row in self.gate_mean):
            raise ValueError(f"its experts are not the {len(EXPERTS)} of the table: {', '.join(EXPERTS)}")
        return self

    @classmethod
    def of(cls, frame: CubeFrame) -> FrameSummary:
        """Sum up a frame.

        Raises:
            ValueError: if a value is not finite.
        """
        if not np.isfinite(frame.states).all() or not np.isfinite(frame.gate).all():
            raise ValueError(f"the states of the cube at step {frame.step} are not finite")
        gate = frame.gate.astype(np.float64)
        entropy = -(gate * np.log(np.maximum(gate, np.finfo(np.float64).tiny))).sum(axis=-1) / math.log(
            len(EXPERTS)
        )
        largest = float(np.abs(frame.states).max())
        return cls(
            step=frame.step,
            dimensions=list(frame.dimensions),
            lattice_steps=len(frame.gate),
            channels=frame.states.shape[-1],
            text=frame.text[:_TEXT_CHARACTERS],
            cosine=frame.cosine,
            seconds=frame.seconds,
            gate_mean=gate.mean(axis=1).tolist(),
            gate_entropy=entropy.mean(axis=1).tolist(),
            norms=np.sqrt(np.square(frame.states, dtype=np.float64).mean(axis=(1, 2))).tolist(),
            scale=2.0 ** max(0, math.ceil(math.log2(largest / _LARGEST))) if largest > 0 else 1.0,
        )


@dataclass(frozen=True)
class _Stored:
    """A frame's file as it was when it was looked at."""

    path: Path
    step: int
    bytes: int
    changed: int


class FrameStore:
    """The frames of one run, at most `MAX_FRAMES` and `MAX_BYTES`, spread evenly over its steps.

    The training thread adds, any thread or process may read at the same time. Reading treats the files as
    hostile: sizes and shapes are checked before anything is taken from them.

    Args:
        folder: made when the first frame is added.
        max_frames, max_bytes: most that is kept; the first and the newest frame always are.
    """

    def __init__(self, folder: Path, *, max_frames: int = MAX_FRAMES, max_bytes: int = MAX_BYTES) -> None:
        self.folder = folder
        self.max_frames = max_frames
        self.max_bytes = max_bytes
        self._summaries: dict[_Stored, FrameSummary] = {}

    def add(self, frame: CubeFrame) -> None:
        """Keep a frame, in half precision, in place of one of the same step; thin out what is too much.

        Raises:
            OSError: if it cannot be written.
            ValueError: if a value is not finite.
        """
        summary = FrameSummary.of(frame)
        tensors = {
            "states": (frame.states / np.float32(summary.scale)).astype(np.float16),
            "gate": frame.gate.astype(np.float16),
        }
        with new_file(self._path(frame.step)) as new:
            save_file(tensors, new, {"frame": summary.model_dump_json()})
        self._thin()

    def steps(self) -> list[int]:
        """Training steps of which there is a frame, ascending."""
        return [stored.step for stored in self._stored()]

    def load(self, step: int) -> CubeFrame:
        """Return the frame of a step; its number counts the frames that are kept.

        Raises:
            RunError: if there is none, or its file is damaged.
        """
        stored = self._stored()
        for number, entry in enumerate(stored, 1):
            if entry.step == step:
                return self._load(entry, number)
        known = ", ".join(str(entry.step) for entry in stored) or "none yet"
        raise RunError(f"there is no picture of the cube at step {step}; there are: {known}")

    def summary(self, step: int) -> FrameSummary:
        """Return the summary of one frame; it is read from the head of its file, once.

        Raises:
            RunError: if there is none, or its file is damaged.
        """
        entries = [entry for entry in self._stored() if entry.step == step]
        if not entries:
            raise RunError(f"there is no picture of the cube at step {step}")
        return self._summary(entries[0])

    def summaries(self) -> list[FrameSummary]:
        """Return the summaries of all frames, ascending by step; no states are read.

        Raises:
            RunError: if a file is damaged.
        """
        stored = self._stored()
        found = [self._summary(entry) for entry in stored]
        self._summaries = dict(zip(stored, found, strict=True))
        return found

    def truncate_after(self, step: int) -> None:
        """Forget the frames of later steps, and what a killed process left half-written."""
        for entry in self._stored():
            if entry.step > step:
                entry.path.unlink(missing_ok=True)
        if self.folder.is_dir():
            remove_stale(self.folder)

    def _path(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}.safetensors"

    def _stored(self) -> list[_Stored]:
        entries = []
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            match = _NAME.fullmatch(path.name)
            if match is None or path.is_symlink():
                continue
            try:
                status = path.stat()
            except FileNotFoundError:  # thinned out in this moment
                continue
            entries.append(_Stored(path, int(match["step"]), status.st_size, status.st_mtime_ns))
        return sorted(entries, key=lambda entry: entry.step)

    def _thin(self) -> None:
        """Remove frames until the rest fits: each time the one that leaves the smallest gap."""
        kept = self._stored()
        while len(kept) > 2 and (
            len(kept) > self.max_frames or sum(entry.bytes for entry in kept) > self.max_bytes
        ):
            inner = range(1, len(kept) - 1)
            place = min(inner, key=lambda i: kept[i + 1].step - kept[i - 1].step)
            kept.pop(place).path.unlink(missing_ok=True)

    def _summary(self, entry: _Stored) -> FrameSummary:
        if entry not in self._summaries:
            self._summaries[entry] = _read(entry, lambda summary, _: summary)
        return self._summaries[entry]

    def _load(self, entry: _Stored, number: int) -> CubeFrame:
        def take(summary: FrameSummary, tensor: Callable[[str], npt.NDArray[np.float16]]) -> CubeFrame:
            x, y, z = summary.dimensions
            return CubeFrame(
                number=number,
                step=summary.step,
                dimensions=(x, y, z),
                states=tensor("states").astype(np.float32) * np.float32(summary.scale),
                gate=tensor("gate").astype(np.float32),
                cosine=summary.cosine,
                text=summary.text,
                seconds=summary.seconds,
            )

        return _read(entry, take)


def _read(
    entry: _Stored, take: Callable[[FrameSummary, Callable[[str], npt.NDArray[np.float16]]], Result]
) -> Result:
    """Open and check a frame's file, and hand its summary and a way to its arrays to ``take``."""
    try:
        with entry.path.open("rb") as file:
            header_bytes = int.from_bytes(file.read(8), "little")
        if entry.bytes > _MAX_FILE_BYTES or header_bytes > _MAX_HEADER_BYTES:
            raise ValueError("it is too large")
        with safe_open(entry.path, framework="np") as tensors:
            summary = FrameSummary.model_validate_json((tensors.metadata() or {}).get("frame", ""))
            steps, cells = summary.lattice_steps, summary.cells
            shapes = {"states": [steps + 1, cells, summary.channels], "gate": [steps, cells, len(EXPERTS)]}
            slices = {name: tensors.get_slice(name) for name in tensors.keys()}  # noqa: SIM118
            if {name: part.get_shape() for name, part in slices.items()} != shapes or any(
                part.get_dtype() != "F16" for part in slices.values()
            ):
                raise ValueError("its arrays are not those of a frame")
            if summary.step != entry.step:
                raise ValueError(f"it is of step {summary.step}")
            return take(summary, tensors.get_tensor)
    except FileNotFoundError:
        raise RunError(
            f"the picture of step {entry.step} has just been thinned out; choose another step"
        ) from None
    except (OSError, SafetensorError, ValueError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise RunError(
            f"{entry.path} is no picture of the cube ({reason}); delete it and choose another step"
        ) from None
