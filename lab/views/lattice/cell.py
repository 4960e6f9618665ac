"""The chosen cell of the Lattice page: state, history, neighbors and gate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import streamlit as st

from cellnet.settings import Settings
from lab.components.awaited import awaited
from lab.components.cube import Ring
from lab.figures.cell import cell_facts, cell_panel, history_panel, neighbor_list, neighbor_table
from lab.figures.colors import TIER_COLORS
from lab.figures.cube.wiring import Wiring, depth, wiring
from lab.sources.pictures import Pictures, Source, cell_history
from lab.training import CubeFrame
from lab.widgets.scrub import publish_cell
from lab.widgets.source import CELL

_MOST_HISTORY: Final = 32


@dataclass(frozen=True)
class Chosen:
    """The chosen cell.

    Attributes:
        cell: its number; None while none is chosen.
        wired: its neighbors; None where they are not known.
        depth: its depth below the surface; None where its neighbors are not known.
        alone: whether the cube shows only it and those that it sees.
        outlined: whether those are outlined in the colors of their tiers.
    """

    cell: int | None = None
    wired: Wiring | None = None
    depth: int = 0
    alone: bool = False
    outlined: bool = False

    @property
    def only(self) -> tuple[int, ...] | None:
        """The cells to show at most; None for all."""
        if self.wired is None or not self.alone:
            return None
        return self.wired.cells

    @property
    def rings(self) -> list[Ring]:
        """The outlines to draw."""
        if self.wired is None or not self.outlined:
            return []
        return [
            Ring(f"{tier} neighbor", TIER_COLORS[tier], cells)
            for tier, cells in self.wired.neighbors.items()
        ]


def choose_cell(count: int, settings: Settings) -> Chosen:
    """The cell by its number, and how its neighbors are shown.

    Args:
        count: of cells in the cube.
        settings: of the run, which give the neighbors of a cell.
    """
    number, more = st.columns([2, 3], vertical_alignment="bottom")
    cell = number.number_input(
        "Cell",
        min_value=0,
        max_value=count - 1,
        value=CELL.value,
        key=CELL.key,
        placeholder="click one",
        help="Its number in the linear order, (x * Y + y) * Z + z. Click a cell in the cube, or type.",
    )
    publish_cell()
    outlined = more.checkbox(
        "Outline its neighbors",
        True,
        key="lattice_outline",
        disabled=cell is None,
        bind="query-params",
        help="In the colors of their tiers. Cut the cube open to see those inside.",
    )
    alone = more.checkbox(
        "Only its neighbors",
        key="lattice_only_neighbors",
        disabled=cell is None,
        bind="query-params",
        help="Leave in the cube only the cell and those that it sees.",
    )
    if cell is None or cell >= settings.lattice.cell_count:
        return Chosen(cell, alone=alone, outlined=outlined)
    return Chosen(cell, wiring(settings, cell), int(depth(settings)[cell]), alone, outlined)


def cell_inspector(pictures: Pictures, source: Source, chosen: Chosen, frame: CubeFrame, at: int) -> None:
    """The panel of the chosen cell."""
    wired = chosen.wired
    if wired is None:
        st.info("Click a cell of the cube to see its state, its history, its neighbors and its gate.")
        return
    st.html(cell_facts(frame, at, wired.cell, chosen.depth) + cell_panel(frame, at, wired.cell))
    st.html(neighbor_table(wired, frame, at))
    st.html(neighbor_list(wired, frame))
    _history(pictures, source, wired.cell)


def _history(pictures: Pictures, source: Source, cell: int) -> None:
    run_id = pictures.run_id(source.run)
    steps = pictures.service.frames(run_id).steps() if run_id is not None else []
    if len(steps) < 2:
        return
    frames = pictures.service.frames(str(run_id))
    places = np.linspace(0, len(steps) - 1, min(len(steps), _MOST_HISTORY)).round().astype(int)
    chosen = tuple(steps[place] for place in places)
    work = partial(cell_history, frames, chosen, cell)
    answer = awaited(("history", run_id, cell), chosen, work, name="history")
    if answer.value is not None:
        st.html(history_panel(*answer.value))
    elif answer.error:
        st.caption(answer.error)
