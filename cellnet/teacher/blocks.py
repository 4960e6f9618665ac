"""An array on disk that is written block by block and knows, after a crash, which blocks are sound."""

from __future__ import annotations

import io
import json
import logging
import os
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cellnet.files import new_file, remove_stale

_log = logging.getLogger(__name__)


class BlockFile:
    """A float32 array (n, D) in ``embeddings.npy``, with the checksums of its blocks in ``blocks.json``.

    A block is a set of rows. Its data are on disk before its checksum is noted, and notes are
    replaced atomically, so at any moment every noted block is whole or can be told to be damaged.
    """

    def __init__(self, folder: Path, blocks: list[NDArray[np.intp]], width: int) -> None:
        self._array = folder / "embeddings.npy"
        self._notes = folder / "blocks.json"
        self._blocks = blocks
        self._shape = (sum(map(len, blocks)), width)
        self._row_bytes = 4 * width
        header = io.BytesIO()
        layout = {"descr": "<f4", "fortran_order": False, "shape": self._shape}
        np.lib.format.write_array_header_1_0(header, layout)
        self._header = header.getvalue()
        self._checksums: list[int] = []

    def recover(self) -> int:
        """Return how many leading blocks are sound; where none is, begin a new file."""
        remove_stale(self._array.parent)
        noted = self._noted()
        self._checksums = []
        if noted and self._has_right_form():
            array = self.open()
            for rows, checksum in zip(self._blocks, noted, strict=False):
                if zlib.crc32(array[rows].tobytes()) != checksum:
                    break
                self._checksums.append(checksum)
        if len(self._checksums) < len(noted):
            _log.warning("%s is damaged in block %d; embedding again", self._array, len(self._checksums))
        if not self._checksums:
            self._begin()
        return len(self._checksums)

    def append(self, values: NDArray[np.float32]) -> None:
        """Write the next block (rows, D) and note it."""
        values = np.ascontiguousarray(values, dtype="<f4")
        with self._array.open("r+b") as file:
            for row, value in zip(self._blocks[len(self._checksums)].tolist(), values, strict=True):
                file.seek(len(self._header) + row * self._row_bytes)
                file.write(value.tobytes())
            file.flush()
            os.fsync(file.fileno())
        self._checksums.append(zlib.crc32(values.tobytes()))
        with new_file(self._notes) as new:
            new.write_text(json.dumps({"shape": self._shape, "crc32": self._checksums}), "utf-8")

    def open(self) -> NDArray[np.float32]:
        """Return the array (n, D), memory-mapped and read-only."""
        array: NDArray[np.float32] = np.load(self._array, mmap_mode="r", allow_pickle=False)
        return array

    def _noted(self) -> list[int]:
        if not self._notes.is_file():
            return []
        try:
            notes = json.loads(self._notes.read_bytes())
            if tuple(notes["shape"]) == self._shape and len(notes["crc32"]) <= len(self._blocks):
                return list(notes["crc32"])
        except (ValueError, KeyError, TypeError):
            pass
        _log.warning("%s is damaged; embedding again", self._notes)
        return []

    def _has_right_form(self) -> bool:
        if not self._array.is_file():
            return False
        with self._array.open("rb") as file:
            intact = file.read(len(self._header)) == self._header
        size = len(self._header) + self._shape[0] * self._row_bytes
        return intact and self._array.stat().st_size == size

    def _begin(self) -> None:
        with new_file(self._array) as new, new.open("wb") as file:
            file.write(self._header)
            file.truncate(len(self._header) + self._shape[0] * self._row_bytes)
