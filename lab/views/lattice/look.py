"""Controls for the colors and the cut of the cube on the Lattice page."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import streamlit as st

from cellnet.settings import Settings
from lab.figures import inline
from lab.figures.cube.cuts import SHOWS, Cut, Show
from lab.figures.cube.fields import COLORING_HELP, COLORINGS, CellField, Coloring
from lab.figures.cube.scenes import Dimensions
from lab.sources.pictures import Source
from lab.training import CubeFrame
from lab.widgets.region import kept_region
from lab.widgets.scrub import choose_box


@dataclass(frozen=True)
class Shown:
    """The content of one cube of the page.

    Attributes:
        source: where its picture comes from.
        frame: the picture.
        at: the lattice step to show first.
        fields: its cells in color, by lattice step.
        version: changes with what the colors were computed from, besides the picture.
    """

    source: Source
    frame: CubeFrame
    at: int
    fields: dict[int, CellField]
    version: str = ""

    def name(self, look: Look) -> str:
        """Names what is shown, besides the number of its picture."""
        step = "" if self.source.follows else self.frame.step
        return f"{self.source}/{step}/{self.at}/{look}/{self.fields[self.at].limits}/{self.version}"

    def caption(self) -> None:
        """Say which sentence the cube carries, and how well."""
        st.html(
            inline.caption(self.frame.text, f"step {self.frame.step:,}, cosine {self.frame.cosine:.3f}")
        )


@dataclass(frozen=True)
class Look:
    """The way in which the cube is drawn."""

    coloring: Coloring
    channel: int
    cut: Cut


def choose_look(settings: Settings) -> Look:
    """The coloring, and what to cut away."""
    color, show = st.columns(2)
    coloring: Coloring = color.segmented_control(
        "Color by",
        list(COLORINGS),
        format_func=COLORINGS.__getitem__,
        default="activity",
        required=True,
        key="lattice_coloring",
        help=COLORING_HELP,
        bind="query-params",
    )
    kind: Show = show.segmented_control(
        "Show",
        list(SHOWS),
        format_func=SHOWS.__getitem__,
        default="whole",
        required=True,
        key="lattice_show",
        help="The whole cube, its layers apart, slices on three planes, a box, only the cells whose color "
        "lies in a part of the ramp, the surface on which the color is the same, or a fog that is the "
        "denser the higher the value (a picture that the server draws).",
        bind="query-params",
    )
    channel = 0
    if coloring == "channel":
        with color:
            last = settings.model.state_size - 1
            channel = st.slider(
                "Channel",
                0,
                last,
                key="lattice_channel",
                help="One number of each cell's state.",
                bind="query-params",
            )
    with show:
        cut = _choose_cut(kind, settings.lattice.dimensions)
        region = _choose_routed(settings.lattice.cell_count)
    return Look(coloring, channel, replace(cut, only=region))


def _choose_routed(count: int) -> tuple[int, ...] | None:
    """The region of the Routing page, if there is one and it is wanted."""
    region = kept_region("routing", count)
    if region is None or not st.checkbox(
        f"Only the region of Routing ({int(region.sum()):,} cells)",
        key="lattice_routed",
        help="The cells that were chosen on the page Routing, such as with the lasso in its triangle.",
    ):
        return None
    return tuple(np.flatnonzero(region).tolist())


def _choose_cut(kind: Show, dimensions: Dimensions) -> Cut:
    match kind:
        case "layers":
            axis, gap = st.columns([1, 2])
            chosen = axis.segmented_control(
                "Layers across",
                ("x", "y", "z"),
                default="z",
                required=True,
                key="lattice_axis",
                help="The axis along which the layers stand apart.",
                bind="query-params",
            )
            room = gap.slider(
                "Room between layers (cells)",
                0.2,
                4.0,
                1.2,
                step=0.2,
                key="lattice_gap",
                help="In edges of a cell.",
                bind="query-params",
            )
            return Cut("layers", gap=room, axis="xyz".index(chosen))
        case "slices":
            return Cut("slices", planes=_choose_planes(dimensions))
        case "box":
            return Cut("box", box=choose_box(dimensions, "lattice_box"))
        case "threshold":
            low, high = st.slider(
                "Part of the ramp (%)",
                0,
                100,
                (60, 100),
                key="lattice_share",
                help="Cells whose color lies in this part of the ramp; its ends stand for all beyond them. "
                "Where cells are colored by components or experts, their activity decides.",
                bind="query-params",
            )
            return Cut("threshold", share=(low / 100, high / 100))
        case "surface":
            level = st.slider(
                "Level on the ramp (%)",
                1,
                99,
                70,
                key="lattice_level",
                help="The surface encloses the cells above this level. Where cells are colored by "
                "components or experts, their activity decides.",
                bind="query-params",
            )
            return Cut("surface", level=level / 100)
        case "volume":
            return Cut("volume")
        case _:
            return Cut()


def _choose_planes(dimensions: Dimensions) -> tuple[int | None, int | None, int | None]:
    planes: list[int | None] = []
    for axis, length, column in zip("xyz", dimensions, st.columns(3), strict=True):
        place = column.slider(
            f"Slice across {axis}",
            -1,
            length - 1,
            length // 2,
            key=f"lattice_slice_{axis}",
            help="The layer that is shown; -1 for none.",
            bind="query-params",
        )
        planes.append(None if place < 0 else place)
    return planes[0], planes[1], planes[2]
