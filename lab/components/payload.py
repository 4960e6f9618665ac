"""One binary message from Python to a component: a JSON header and the arrays that it describes."""

import json
import struct
import uuid
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

SERVER: Final = uuid.uuid4().hex[:8]
"""Changes with every server start, so that a page that reconnects accepts sequence numbers from zero."""

_TYPES: Final = ("uint8", "uint32", "float32", "float64")


def pack(header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """``[u32 header length][JSON header][arrays]``, little-endian, everything aligned to 4 bytes.

    The header gains ``arrays: {name: {type, offset, length}}``, offsets counted from the first array.
    """
    table: dict[str, dict[str, str | int]] = {}
    blobs: list[bytes] = []
    offset = 0
    for name, array in arrays.items():
        if array.dtype.name not in _TYPES:
            raise TypeError(f"array {name!r} is {array.dtype}: a component understands {', '.join(_TYPES)}")
        blob = _padded(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes(), b"\0")
        table[name] = {"type": array.dtype.name, "offset": offset, "length": array.size}
        blobs.append(blob)
        offset += len(blob)
    text = _padded(json.dumps({**header, "arrays": table}, allow_nan=False).encode(), b" ")
    return b"".join([struct.pack("<I", len(text)), text, *blobs])


def _padded(blob: bytes, filler: bytes) -> bytes:
    return blob + filler * (-len(blob) % 4)
