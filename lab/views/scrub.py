"""Controls of every page that shows the cube: steps to scrub and play through, the chosen cell, a box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import streamlit as st

from lab.pictures import NEWEST, Pictures, Source
from lab.scenes import ClipBox, Dimensions
from lab.views.address import arrived, publish, whole_number
from lab.views.source import CELL, STEP, choose_step

PERIOD: Final = 0.5
"""Seconds between two pictures while something moves."""


def choose_training_step(pictures: Pictures, source: Source, *, moving: bool) -> tuple[Source, bool]:
    """A slider over the kept steps of the training; also returns whether it plays.

    Args:
        pictures: has the steps.
        source: of which run, with which sentence.
        moving: whether the page is drawn anew by itself, so that a slider that plays is to move on.
    """
    steps = pictures.steps(source)
    slider, button = st.columns([5, 2], vertical_alignment="bottom")
    playing = button.toggle(
        "Play",
        key="cube_play_training",
        disabled=len(steps) < 2,
        help="Play the training from its start.",
    )
    if playing and moving and steps:
        options: list[int | str] = [*steps, NEWEST]
        place = options.index(STEP.value) + 1 if STEP.value in options else 0
        STEP.set(options[place % len(options)])
    with slider:
        return choose_step(pictures, source, STEP, "step", label="Training step"), playing


def chosen_training_step(pictures: Pictures, source: Source) -> Source:
    """The source at the step that the slider of `choose_training_step` stands at."""
    return replace(source, step=STEP.value if STEP.value in pictures.steps(source) else None)


def choose_lattice_step(first: int, last: int, key: str) -> tuple[int, bool]:
    """A slider over the steps of one forward pass; also returns whether it plays.

    Args:
        first, last: its ends.
        key: of the slider; what it shows stays with the key.
    """
    slider, button = st.columns([5, 2], vertical_alignment="bottom")
    playing = button.toggle(
        "Play", key=f"{key}_play", disabled=first == last, help="Play the steps of one forward pass."
    )
    if playing:
        _advance(key, range(first, last + 1))
    with slider:
        return lattice_step(first, last, last, key=key), playing


def lattice_step(first: int, last: int, begin: int, *, key: str, label: str = "Lattice step") -> int:
    """A slider over the steps of one forward pass; of a single step there is nothing to choose."""
    if first == last:
        return last
    return st.slider(
        label,
        first,
        last,
        begin,
        key=key,
        help="0 is the sentence as it enters on the surface; then the three experts act, step by step.",
        bind="query-params",
    )


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
    if (asked := arrived("cell")) is not None:
        CELL.set(whole_number(asked))
    if CELL.value is not None and CELL.value >= count:
        CELL.set(None)


def take_cell_from_click(key: str, picked: int | None) -> None:
    """A click chooses the cell; one that was seen before no longer does, once a number was typed."""
    slot = f"picked.{key}"
    if picked != st.session_state.get(slot):
        st.session_state[slot] = picked
        CELL.set(picked)


def publish_cell() -> None:
    """Show the chosen cell in the page's address."""
    publish("cell", None if CELL.value is None else str(CELL.value))


def keep_pace(key: str, given: float | None, moving: bool) -> None:
    """Draw the fragment anew as long as something moves, and only then.

    Args:
        key: of the session, where the page finds how often to draw the fragment.
        given: seconds between two draws at present.
        moving: whether there will be something new soon.
    """
    needed = PERIOD if moving else None
    if given != needed:
        st.session_state[key] = needed
        st.rerun()


def _advance(key: str, options: Sequence[int | str]) -> None:
    """Move a slider that plays on by one, from its end back to its beginning."""
    now = st.session_state.get(key, options[-1])
    place = list(options).index(now) + 1 if now in options else 0
    st.session_state[key] = options[place % len(options)]
