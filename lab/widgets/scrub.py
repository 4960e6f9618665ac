"""Controls of every page that shows the cube: steps to scrub and play through, the chosen cell, a box."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import streamlit as st

from lab.components import run_when_newer
from lab.components.choice import Choice
from lab.components.cube import reported_camera
from lab.components.reports import NOTHING, REPORTS
from lab.figures.cube.scenes import ClipBox, Dimensions
from lab.figures.cube.viewpoint import Viewpoint
from lab.sources.pictures import NEWEST, Pictures, Source
from lab.widgets.address import arrived, publish, whole_number
from lab.widgets.source import CELL, STEP, choose_step

LATTICE_STEP: Final = Choice("lattice_step")
"""Of the session, like what `lab.widgets.source` has: the step of the forward pass."""
LATTICE_STEP_HELP: Final = (
    "0 is the sentence as it enters on the surface; then the experts act, step by step."
)


def choose_training_step(pictures: Pictures, source: Source) -> Source:
    """A slider over the kept steps of the training; while it plays, the fragment runs once for each.

    Args:
        pictures: has the steps.
        source: of which run, with which sentence.
    """
    steps = pictures.steps(source)
    slider, button = st.columns([5, 2], vertical_alignment="bottom")
    playing = button.toggle(
        "Play",
        key="cube_play_training",
        disabled=len(steps) < 2,
        help="Play the training from its start.",
    )
    if playing and steps:
        run_when_newer(lambda: str(time.monotonic()), key="playing")
        options: list[int | str] = [*steps, NEWEST]
        place = options.index(STEP.value) + 1 if STEP.value in options else 0
        STEP.set(options[place % len(options)])
    with slider:
        return choose_step(pictures, source, STEP, "step", label="Training step")


def chosen_training_step(pictures: Pictures, source: Source) -> Source:
    """The source at the step that the slider of `choose_training_step` stands at."""
    return replace(source, step=STEP.value if STEP.value in pictures.steps(source) else None)


def chosen_lattice_step(last: int) -> int:
    """The lattice step that `lattice_step` gave last, of 1 to ``last``."""
    return min(max(last if LATTICE_STEP.value is None else LATTICE_STEP.value, 1), last)


def lattice_step(
    choice: Choice, name: str, first: int, last: int, begin: int, *, keys: Sequence[str], slider: str = ""
) -> int:
    """The step of the forward pass to show: as chosen in a cube, or named by a link.

    Args:
        choice: the step.
        name: in the page's address.
        first, last: what there is to choose from.
        begin: the step before one is chosen.
        keys: of the cubes in which it is chosen.
        slider: label of a slider to choose it with; without one it is left to the cubes.
    """
    if (linked := whole_number(arrived(name))) is not None:
        choice.set(linked)
    for key in keys:
        if (number := REPORTS.take(key, "number")) is not NOTHING:
            choice.set(number)
    at = min(max(begin if choice.value is None else choice.value, first), last)
    if slider and first < last:
        at = st.slider(
            slider,
            first,
            last,
            at,
            key=choice.key,
            help=LATTICE_STEP_HELP,
        )
    publish(name, None if choice.value is None else str(choice.value))
    return at


def camera_from_link() -> str | None:
    """Return the camera that a link names, once; warn if it cannot be read."""
    linked = arrived("camera")
    if linked is None:
        return None
    try:
        Viewpoint.parse(linked)
    except ValueError:
        st.warning(f"The address names a camera that is none: {linked[:60]!r}. It takes nine numbers.")
        return None
    return linked


def publish_camera(key: str) -> None:
    """Show in the page's address where the camera of a cube stands, once it has told."""
    if (camera := reported_camera(key)) is not None:
        publish("camera", camera)


def choose_box(dimensions: Dimensions, key: str) -> ClipBox:
    """First and last cell of a box along each axis; at first the half of the cube that is farther back."""
    ends: list[tuple[int, int]] = []
    for axis, length, column in zip("xyz", dimensions, st.columns(3), strict=True):
        start = length // 2 if axis == "y" else 0
        low, high = column.slider(
            f"Cells along {axis}",
            0,
            length - 1,
            (start, length - 1),
            key=f"{key}_{axis}",
            help="First and last cell of the box.",
            bind="query-params",
        )
        ends.append((low, high))
    return ends[0], ends[1], ends[2]


def take_cell_from_link(count: int) -> None:
    """Choose the cell that a link names; forget one that this cube of ``count`` cells does not have."""
    if (linked := arrived("cell")) is not None:
        CELL.set(whole_number(linked))
    if CELL.value is not None and CELL.value >= count:
        CELL.set(None)


def take_cell_from_clicks(keys: Sequence[str]) -> bool:
    """Choose the cell that was clicked in one of these cubes; returns whether there was a click."""
    clicks = [cell for key in keys if (cell := REPORTS.take(key, "picked")) is not NOTHING]
    for cell in clicks:
        CELL.set(cell)
    return bool(clicks)


def publish_cell() -> None:
    """Show the chosen cell in the page's address."""
    publish("cell", None if CELL.value is None else str(CELL.value))
