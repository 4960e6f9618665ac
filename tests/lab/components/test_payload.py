"""The binary message, read back by its own description."""

import json
import struct

import numpy as np
import pytest

from lab.components.payload import pack


def test_header_and_arrays_come_back_aligned() -> None:
    arrays = {
        "a": np.arange(3, dtype=np.uint8),
        "b": np.array([1, 2**31], dtype=np.uint32),
        "c": np.linspace(0, 1, 5, dtype=np.float32),
        "d": np.array([np.pi, np.nan]),
        "none": np.empty(0, dtype=np.float32),
    }
    message = pack({"seq": 7, "label": "état"}, arrays)
    (length,) = struct.unpack_from("<I", message)
    header = json.loads(message[4 : 4 + length])
    assert length % 4 == 0
    assert (header["seq"], header["label"]) == (7, "état")
    for name, array in arrays.items():
        about = header["arrays"][name]
        assert about["offset"] % 4 == 0
        back = np.frombuffer(message, about["type"], about["length"], 4 + length + about["offset"])
        np.testing.assert_array_equal(back, array)


def test_what_a_component_cannot_read_is_refused() -> None:
    with pytest.raises(TypeError, match="'steps' is int64"):
        pack({}, {"steps": np.arange(3)})
    with pytest.raises(ValueError, match="JSON compliant"):
        pack({"low": float("nan")}, {})
