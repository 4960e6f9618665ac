"""The Routing page: gates in the cube and in the triangle or as bars, with a region linked through both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import streamlit as st

from cellnet.student.experts import EXPERTS
from lab.components import cube, run_when_newer
from lab.components.chart import chart
from lab.figures import inline
from lab.figures.colors import EXPERT_COLORS
from lab.figures.cube.films import film
from lab.figures.cube.scenes import BoolArray, Scene
from lab.figures.cube.wiring import depth
from lab.figures.routing import (
    OVERVIEWS,
    Overview,
    entropy_over_training,
    entropy_per_step,
    gate_entropy,
    largest_weight,
    mixture_bars,
    overview_scene,
    region_usage,
    sampled_cells,
    ternary_figure,
    usage_over_training,
    weight_scene,
)
from lab.sources.pictures import Pictures, Source
from lab.training import CubeFrame
from lab.widgets.region import has_triangle, take_triangle
from lab.widgets.scrub import (
    LATTICE_STEP,
    camera_from_link,
    choose_training_step,
    chosen_lattice_step,
    chosen_training_step,
    lattice_step,
    publish_camera,
    publish_cell,
    take_cell_from_clicks,
)
from lab.widgets.source import CELL, RUN, TEXT, choose_run, choose_text

_HEIGHT: Final = 348
_EMPTY_HEIGHT: Final = 220
_MOMENT: Final = "routing_moment"


def _keys() -> tuple[str, ...]:
    """Keys of the cubes: the overview, and one for each expert."""
    return tuple(f"routing_cube_{name}" for name in ("overview", *EXPERTS))


@dataclass(frozen=True, eq=False)
class _Moment:
    """The data of the charts of the gates.

    Attributes:
        source: where the picture comes from.
        frame: the picture.
        at: lattice step.
        depths: how far below the surface each cell is, (N,).
    """

    source: Source
    frame: CubeFrame
    at: int
    depths: npt.NDArray[np.int64]


def choose_source(pictures: Pictures) -> Source:
    """The run and the sentence."""
    run_place, text_place = st.columns([3, 7])
    with run_place:
        run = choose_run(pictures.service, RUN, "run")
    with text_place:
        return Source(run, None, choose_text(pictures, run, TEXT, "text"))


def _choose_overview() -> Overview:
    """Draw the choice of the first cube's colors."""
    overview: Overview = st.segmented_control(
        "First cube",
        list(OVERVIEWS),
        format_func=OVERVIEWS.__getitem__,
        default="expert",
        required=True,
        key="routing_overview",
        help="The expert with the largest weight in each cell, or how undecided the cell's gate is: "
        "entropy 0 for one expert, 1 for an even mixture.",
        bind="query-params",
    )
    return overview


@st.fragment
def cubes(pictures: Pictures, source: Source, region: BoolArray | None) -> None:
    """The dominant expert or the entropy, and each expert's weight, on one camera; live where it can be."""
    if take_cell_from_clicks(_keys()):
        st.rerun()
    publish_cell()
    place = st.container()
    training, usage = st.columns([5, 4], gap="large")
    with training:
        overview = _choose_overview()
        source = choose_training_step(pictures, source)
    run_when_newer(lambda: pictures.state(source), key="routing")
    reading = pictures.read(source)
    frame = reading.frame
    if frame is None:
        with place:
            cube(
                None,
                key="routing",
                seq=0,
                stream=reading.notice,
                height=_EMPTY_HEIGHT,
                empty=reading.notice,
            )
    else:
        last = len(frame.gate)
        at = lattice_step(LATTICE_STEP, "lattice_step", 1, last, last, keys=_keys())
        with usage:
            _usage(frame, region, at)
        _draw(place, source, frame, at, overview, region)


def _draw(
    place: Any, source: Source, frame: CubeFrame, at: int, overview: Overview, region: BoolArray | None
) -> None:
    count = frame.states.shape[1]
    visible = np.ones(count, dtype=np.bool_) if region is None or len(region) != count else region
    most = largest_weight(frame)
    draws: list[Callable[[int], Scene]] = [
        partial(overview_scene, frame, overview=overview, visible=visible),
        *(partial(weight_scene, frame, expert=name, visible=visible, most=most) for name in EXPERTS),
    ]
    keys = _keys()
    for column, key, draw in zip(place.columns(len(keys), gap="small"), keys, draws, strict=True):
        scenes = film(draw, 1, len(frame.gate), at, name="routing")
        with column:
            cube(
                scenes,
                key=key,
                seq=frame.number,
                stream=f"{source}/{'' if source.follows else frame.step}/{at}/{overview}/"
                f"{CELL.value}/{scenes.scene.geometry.key}",
                height=_HEIGHT,
                label=f"{scenes.scene.legend.label} at training step {frame.step}",
                selected=CELL.value,
                camera="routing",
                start=camera_from_link() if key == keys[0] else None,
                reports_camera=key == keys[0],
            )
    publish_camera(keys[0])
    place.html(inline.caption(frame.text, f"step {frame.step:,}, cosine {frame.cosine:.3f}"))


def _usage(frame: CubeFrame, region: BoolArray | None, at: int) -> None:
    """Mean gate in each lattice step, of all cells or of the region."""
    rows = [str(step + 1) for step in range(len(frame.gate))]
    everything = np.ones(frame.states.shape[1], dtype=np.bool_)
    shown = everything if region is None or len(region) != len(everything) else region
    _, mean = region_usage(frame.gate, shown)
    entropy = float(gate_entropy(frame.gate[at - 1][shown]).mean())
    st.html(
        inline.part(
            "Usage per lattice step",
            inline.stacks(mean, EXPERT_COLORS, rows=rows, row_name="step", marked=at - 1),
            f"entropy {entropy:.2f}",
        )
        + inline.key(EXPERT_COLORS)
    )


@st.fragment
def gates(pictures: Pictures, source: Source, region: BoolArray | None) -> None:
    """The gates and the spread of their entropy, of one moment; they stay while one looks."""
    head, button = st.columns([6, 1], vertical_alignment="center")
    anew = button.button(
        "Refresh",
        key="routing_refresh",
        help="Take the newest picture of the training and the steps chosen above. These charts do not move "
        "by themselves, so that what is chosen in them stays.",
        width="stretch",
    )
    moment = _moment(pictures, source, anew)
    if moment is None:
        return
    frame, at = moment.frame, moment.at
    head.subheader(f"Gates in lattice step {at}, training step {frame.step:,}")
    mixtures, spread = st.columns([1, 1], gap="large")
    count = frame.states.shape[1]
    region = region if region is not None and len(region) == count else None
    with mixtures:
        if has_triangle():
            _triangle(moment, region)
        else:
            chart(
                mixture_bars(frame, at, region, CELL.value),
                key="routing_bars",
                label="Mean weight of each expert",
                tools=True,
            )
    with spread:
        st.html(inline.part("Entropy over the cells", "", "how undecided the gates are"))
        chart(
            entropy_per_step(frame.gate, region),
            key="routing_entropy",
            label="Entropy of the gates over the cells in each lattice step",
            tools=True,
        )


def _triangle(moment: _Moment, region: BoolArray | None) -> None:
    """The triangle of three experts; what is chosen in it becomes the region."""
    frame, count = moment.frame, moment.frame.states.shape[1]
    cells = sampled_cells(count, region)
    chosen = chart(
        ternary_figure(frame, moment.at, cells, moment.depths, region, CELL.value),
        key="routing_triangle",
        label="Gates of the cells in the triangle of the three experts",
        tools=True,
    )
    if chosen:
        take_triangle(tuple(sorted(map(int, chosen))))
        st.rerun()
    if count > len(cells):
        st.caption(f"{len(cells):,} of {count:,} cells are drawn.")


def _moment(pictures: Pictures, source: Source, anew: bool) -> _Moment | None:
    """Return the data of the charts, which stay until newer ones are there."""
    kept: _Moment | None = st.session_state.get(_MOMENT)
    if kept is None or kept.source != source or anew:
        settings = pictures.settings(source.run)
        frame = pictures.read(chosen_training_step(pictures, source)).frame
        if frame is None or settings is None:
            return None
        at = chosen_lattice_step(len(frame.gate))
        kept = st.session_state[_MOMENT] = _Moment(source, frame, at, depth(settings))
    return kept


def over_training(pictures: Pictures, source: Source) -> None:
    """Usage and entropy over the pictures that were kept of the run."""
    run_id = pictures.run_id(source.run)
    summaries = pictures.service.frames(run_id).summaries() if run_id is not None else []
    st.subheader(
        "Over the training", help="Of the pictures that were kept, which carry one held-out sentence."
    )
    if len(summaries) < 2:
        st.caption("Two kept pictures are needed. They are kept while a run trains in the lab.")
        return
    usage, entropy = st.columns(2, gap="large")
    at = chosen_lattice_step(len(summaries[0].gate_mean))
    with usage:
        st.html(inline.part(f"Usage in lattice step {at}", ""))
        chart(
            usage_over_training(summaries, at),
            key="routing_over",
            label="Mean weight of each expert over the training",
            tools=True,
        )
    with entropy:
        st.html(inline.part("Mean entropy of the gate", ""))
        chart(
            entropy_over_training(summaries),
            key="routing_over_entropy",
            label="Mean entropy of the gate in each lattice step over the training",
            tools=True,
        )
