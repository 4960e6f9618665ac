"""A part of the cube: chosen on the Routing page or cut out on the Lattice page, to be seen on both."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import streamlit as st

from cellnet.settings import Settings
from cellnet.student.experts import EXPERTS
from lab.components.choice import Choice
from lab.figures.cube.scenes import BoolArray, visible_cells
from lab.figures.cube.wiring import depth, wiring
from lab.widgets.address import arrived, publish
from lab.widgets.scrub import choose_box, take_cell_from_link
from lab.widgets.source import CELL

_REGION: Final = Choice("routing_region")
_TRIANGLE: Final = "routing_triangle_cells"

Page = Literal["lattice", "routing"]
Region = Literal["all", "box", "depth", "triangle", "neighbors", "lattice"]
REGIONS: Final[dict[Region, str]] = {
    "all": "All cells",
    "box": "Box",
    "depth": "Depth",
    "triangle": "Triangle",
    "neighbors": "Around a cell",
    "lattice": "Lattice page",
}


def has_triangle() -> bool:
    """Whether gates can be drawn in a triangle, whose corners are three experts."""
    return len(EXPERTS) == 3


def choose_region(settings: Settings) -> BoolArray | None:
    """The cells to look at, (N,) bool; None for all."""
    take_cell_from_link(settings.lattice.cell_count)
    kind_place, more = st.columns([3, 2])
    regions = [name for name in REGIONS if name != "triangle" or has_triangle()]
    if (linked := arrived("region")) in regions:
        _REGION.set(linked)
    kind: Region = kind_place.segmented_control(
        "Region",
        regions,
        format_func=REGIONS.__getitem__,
        default=_REGION.value or "all",
        required=True,
        key=_REGION.key,
        help="The cells that the cubes show and that stand out in the triangle of three experts. Choose in "
        "the triangle with the lasso or the box of its tool bar; choose a cell by clicking it in any cube; "
        "or take what the page Lattice shows, such as the most active cells. That page can show the region "
        "as well.",
    )
    publish("region", kind)
    with more:
        region = _cells(kind, settings)
    keep_region("routing", region)
    return region


def take_triangle(cells: tuple[int, ...]) -> None:
    """Make what was chosen in the triangle the region."""
    st.session_state[_TRIANGLE] = cells
    _REGION.set("triangle")


def keep_region(page: Page, cells: BoolArray | None) -> None:
    """Let the other page see these of N cells; None for all."""
    st.session_state[f"region.{page}"] = None if cells is None or cells.all() else cells


def kept_region(page: Page, count: int) -> BoolArray | None:
    """Return the region that a page showed last of a cube of ``count`` cells; None for all."""
    cells: BoolArray | None = st.session_state.get(f"region.{page}")
    return cells if cells is not None and len(cells) == count else None


def _cells(kind: Region, settings: Settings) -> BoolArray | None:
    lattice = settings.lattice
    match kind:
        case "box":
            return visible_cells(lattice.dimensions, clip=choose_box(lattice.dimensions, "routing_box"))
        case "depth":
            depths = depth(settings)
            low, high = st.slider(
                "Depth below the surface (cells)",
                0,
                max(1, int(depths.max())),
                (0, 0),
                key="routing_depth",
                help="0 are the cells that hold the surface, on which sentences enter and leave.",
                bind="query-params",
            )
            return np.asarray((depths >= low) & (depths <= high))
        case "triangle":
            return _some(
                st.session_state.get(_TRIANGLE, ()), lattice.cell_count, "Draw a lasso in the triangle."
            )
        case "neighbors":
            cell = CELL.value
            known = cell is not None and cell < lattice.cell_count
            seen = wiring(settings, cell).cells if known else ()
            return _some(seen, lattice.cell_count, "Click a cell in one of the cubes.")
        case "lattice":
            cut = kept_region("lattice", lattice.cell_count)
            shown = () if cut is None else tuple(np.flatnonzero(cut).tolist())
            return _some(
                shown, lattice.cell_count, "Cut the cube open on the page Lattice, such as by a threshold."
            )
        case _:
            return None


def _some(cells: tuple[int, ...], count: int, otherwise: str) -> BoolArray | None:
    """A region of some cells; of none it is all, and what to do is said."""
    region = np.zeros(count, dtype=np.bool_)
    region[[cell for cell in cells if cell < count]] = True
    if not region.any():
        st.caption(otherwise)
        return None
    st.caption(f"{int(region.sum()):,} of {count:,} cells.")
    return region
