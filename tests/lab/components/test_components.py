"""What the components send, seen from Streamlit's own test runner, without a browser."""

import json
import struct
from typing import Any

from streamlit.testing.v1 import AppTest


def page_with_both() -> None:
    import numpy as np
    import streamlit as st

    from lab.components import cube, curves
    from lab.figures.cube.scenes import scalar_scene
    from lab.figures.series import Curve, Mark, Panel

    @st.fragment
    def part() -> None:
        scene = scalar_scene((8, 8, 8), np.arange(512.0), label="norm")
        picked = cube(scene, key="cube", seq=3, selected=7)
        assert picked is None
        steps = np.arange(5000)
        panel = Panel("reconstruction", (Curve("train", steps, 1 / (1 + steps), "#0072B2"),), log=True)
        curves([panel], key="curves", seq=3, marks=[Mark(10, "learning rate")], limit=200)
        cube(None, key="empty", seq=0)

    part()


def header(message: bytes) -> dict[str, Any]:
    (length,) = struct.unpack_from("<I", message)
    read: dict[str, Any] = json.loads(message[4 : 4 + length])
    return read


def test_the_first_message_holds_the_faces_and_every_message_is_small() -> None:
    app = AppTest.from_function(page_with_both).run()
    assert not app.exception
    shown, plotted, empty = (part.proto for part in app.get("bidi_component"))
    about = header(shown.bytes)
    lengths = {name: array["length"] for name, array in about["arrays"].items()}
    assert lengths == {"colors": 384, "table": 768, "cells": 384, "sides": 384}
    assert about["scene"]["legend"]["high"] == 511.0
    assert (about["seq"], about["selected"]) == (3, 7)
    assert len(shown.bytes) < 4_500
    sent = header(plotted.bytes)["arrays"]
    assert 150 <= sent["x0.0"]["length"] <= 200
    assert sent["y0.0"]["length"] == sent["x0.0"]["length"]
    assert {array["type"] for array in sent.values()} == {"float32"}
    assert header(empty.bytes)["scene"] is None
    assert all(len(part.js_content) < 1_000 for part in (shown, plotted, empty))
