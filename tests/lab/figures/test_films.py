"""Films: what is drawn of them, and what the browser is sent."""

import numpy as np
from lattice_page import sent_header

from lab.components.cube import cube_message
from lab.figures.cube.films import film
from lab.figures.cube.scenes import Scene, scalar_scene

SIZE = (3, 3, 3)


def draw(at: int) -> Scene:
    visible = np.arange(27) < (27 if at < 2 else 9)
    return scalar_scene(SIZE, np.full(27, float(at)), label="made up", limits=(0.0, 2.0), visible=visible)


def message(held: str = "") -> dict[str, int]:
    """The arrays of a message with their lengths."""
    header = sent_header(
        cube_message(film(draw, 0, 2, 1, name="steps"), seq=0, stream="", held=held, height=100)
    )
    assert header["film"]["at"] == 1
    assert {number: other["shown"] for number, other in header["film"]["others"].items()} == {
        "0": 27,
        "2": 9,
    }
    return {name: array["length"] for name, array in header["arrays"].items()}


def test_all_scenes_are_drawn_unless_they_are_too_large() -> None:
    assert list(film(draw, 0, 2, 1, name="steps").scenes) == [0, 1, 2]
    large = film(draw, 0, 2, 1, name="steps", most=100)
    assert list(large.scenes) == [1]
    assert large.scene.colors[0] == 128


def test_faces_are_sent_once_and_only_if_the_browser_has_them_not() -> None:
    faces, few = (draw(at).geometry for at in (1, 2))
    assert message() == {
        "colors": 54,
        "table": 768,
        "cells": 54,
        "sides": 54,
        "0.colors": 54,
        "2.colors": len(few.cells),
        "2.cells": len(few.cells),
        "2.sides": len(few.cells),
    }
    assert set(message(f"{few.key} {faces.key}")) == {"colors", "table", "0.colors", "2.colors"}
