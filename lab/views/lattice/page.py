"""The Lattice page: the cube cut open and colored in many ways, and the cell that was clicked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cellnet.settings import Settings
from lab.components import cube, run_when_newer
from lab.components.choice import Choice
from lab.components.cube import CONTROLS
from lab.figures.cube.cuts import Cut, lattice_scene, shown_cells
from lab.figures.cube.fields import (
    CellField,
    Components,
    Floats,
    cell_fields,
    common_limits,
    differences,
    first_step,
    fit_components,
)
from lab.figures.cube.films import Film, film
from lab.figures.cube.scenes import Scene, digest
from lab.sources.pictures import Pictures, Source
from lab.training import CubeFrame
from lab.views.lattice.cell import Chosen, cell_inspector, choose_cell
from lab.views.lattice.files import offer_files
from lab.views.lattice.fog import fog
from lab.views.lattice.look import Look, Shown, choose_look
from lab.widgets.region import keep_region
from lab.widgets.scrub import (
    LATTICE_STEP,
    camera_from_link,
    choose_training_step,
    lattice_step,
    publish_camera,
    take_cell_from_clicks,
    take_cell_from_link,
)
from lab.widgets.source import RUN, TEXT, choose_run, choose_step, choose_text, settings_to_see

_HEIGHT: Final = 560
_PAIR_HEIGHT: Final = 478
_EMPTY_HEIGHT: Final = 220
KEYS: Final = ("lattice", "lattice_b", "lattice_difference")
_RUN_B: Final = Choice("lattice_run_b")
_STEP_B: Final = Choice("lattice_step_b")
_TEXT_B: Final = Choice("lattice_text_b")
_LATTICE_STEP_B: Final = Choice("lattice_lattice_step_b")
_BASIS: Final = "lattice_components"
Comparison = Literal["nothing", "lattice step", "training step", "run", "sentence"]
COMPARISONS: Final[tuple[Comparison, ...]] = (
    "nothing",
    "lattice step",
    "training step",
    "run",
    "sentence",
)


@dataclass(frozen=True)
class Beside:
    """A second cube.

    Attributes:
        source: where its picture comes from.
        differs_in: what sets it apart from the first.
        subtracts: whether a third cube shows the difference of the two.
    """

    source: Source
    differs_in: Comparison
    subtracts: bool


def choose_source(pictures: Pictures) -> tuple[Source, Beside | None]:
    """Draw the choice of a cube, and of another beside it."""
    run_place, text_place, beside_place = st.columns([3, 5, 5])
    with run_place:
        run = choose_run(pictures.service, RUN, "run")
    with text_place:
        text = choose_text(pictures, run, TEXT, "text")
    source = Source(run, None, text)
    with beside_place:
        return source, _choose_beside(pictures, source)


def _choose_beside(pictures: Pictures, source: Source) -> Beside | None:
    differs_in: Comparison = st.segmented_control(
        "Beside it",
        COMPARISONS,
        default="nothing",
        required=True,
        key="lattice_beside",
        help="A second cube on the same camera and the same ramp, which differs in one thing.",
        bind="query-params",
    )
    other = source
    match differs_in:
        case "nothing":
            return None
        case "run":
            other_run = choose_run(pictures.service, _RUN_B, "run_b", label="The other run")
            other = replace(source, run=other_run)
        case "sentence":
            second = choose_text(pictures, source.run, _TEXT_B, "text_b", label="The other sentence")
            other = replace(source, text=second)
    subtracts = st.checkbox(
        "Their difference as a third",
        key="lattice_subtracts",
        help="Right minus left, on a ramp that diverges from zero. Where cells are colored by components "
        "or experts, which cannot be subtracted, it is the difference of their activity.",
        bind="query-params",
    )
    return Beside(other, differs_in, subtracts)


@st.fragment
def lattice(pictures: Pictures, source: Source, beside: Beside | None) -> None:
    """Draw the look, the cubes, the steps and the panel of a cell; live where possible."""
    settings = settings_to_see(pictures, source)
    if settings is None:
        return
    look = choose_look(settings)
    picture, panel = st.columns([5, 3] if beside is None else [7, 3], gap="medium")
    with picture:
        cubes = st.container()
        left, right = st.columns(2, gap="large")
    with left:
        source = choose_training_step(pictures, source)
    sources = [source]
    if beside is not None:
        with right:
            sources.append(_source_beside(pictures, source, beside))
    run_when_newer(lambda: " ".join(map(pictures.state, sources)), key="lattice")
    readings = [pictures.read(each) for each in sources]
    if missing := next((reading.notice for reading in readings if reading.frame is None), ""):
        _say(cubes, missing)
    else:
        frames = [reading.frame for reading in readings if reading.frame is not None]
        with left:
            steps = _lattice_steps(frames, beside, look)
        with panel:
            chosen = _choose_cell(frames[0], settings)
        views, notice = _color(pictures, sources, frames, steps, look)
        if notice:
            _say(cubes, notice)
        else:
            with cubes:
                _draw(views, beside, replace(look, cut=look.cut.narrowed(chosen.only)), chosen)
        with panel:
            cell_inspector(pictures, source, chosen, frames[0], steps[0])


def _source_beside(pictures: Pictures, source: Source, beside: Beside) -> Source:
    """The second source at its training step, which is chosen here where it is not that of the first."""
    match beside.differs_in:
        case "lattice step":
            return source
        case "sentence":
            return replace(beside.source, step=source.step)
        case _:
            return choose_step(pictures, beside.source, _STEP_B, "step_b", label="Training step, right")


def _lattice_steps(frames: list[CubeFrame], beside: Beside | None, look: Look) -> list[int]:
    """The lattice step of each cube; they are chosen in the cubes, or here where there is only fog."""
    first, last = first_step(look.coloring), min(len(frame.gate) for frame in frames)
    apart = beside is not None and beside.differs_in == "lattice step"
    label = "Lattice step" if look.cut.show == "volume" else ""
    keys = KEYS[:1] if apart else KEYS
    at = lattice_step(LATTICE_STEP, "lattice_step", first, last, last, keys=keys, slider=label)
    if not apart:
        return [at] * len(frames)
    label = label and f"{label}, right"
    other = lattice_step(
        _LATTICE_STEP_B, "lattice_step_b", first, last, first, keys=KEYS[1:2], slider=label
    )
    return [at, other]


def _color(
    pictures: Pictures, sources: list[Source], frames: list[CubeFrame], steps: list[int], look: Look
) -> tuple[list[Shown], str]:
    """The cubes in color, and why there are none as yet."""
    if look.coloring == "agreement":
        run_when_newer(lambda: " ".join(map(pictures.agreements_state, sources)), key="agreements")
    views = []
    for source, frame, at in zip(sources, frames, steps, strict=True):
        agreements: Floats | None = None
        version = ""
        if look.coloring == "agreement":
            answer = pictures.agreements(source)
            if answer.value is None:
                waiting = "Held-out sentences go through the cube to be compared ..."
                return [], answer.error or waiting
            agreements, version = answer.value[0], str(answer.version)
        views.append(Shown(source, frame, at, _fields(frame, look, agreements), version))
    ramps = common_limits([shown.fields for shown in views])
    return [replace(shown, fields=ramp) for shown, ramp in zip(views, ramps, strict=True)], ""


def _fields(frame: CubeFrame, look: Look, agreements: Floats | None) -> dict[int, CellField]:
    components: Components | None = None
    if look.coloring == "components":
        components = fit_components(frame.states, st.session_state.get(_BASIS))
        st.session_state[_BASIS] = components
    return cell_fields(
        frame, look.coloring, channel=look.channel, components=components, agreements=agreements
    )


def _choose_cell(frame: CubeFrame, settings: Settings) -> Chosen:
    """The cell that a link names, that was clicked, or that is typed here."""
    count = frame.states.shape[1]
    take_cell_from_link(count)
    take_cell_from_clicks(KEYS)
    return choose_cell(count, settings)


def _draw(views: list[Shown], beside: Beside | None, look: Look, chosen: Chosen) -> None:
    """Draw the cubes beside each other."""
    height = _HEIGHT if len(views) == 1 else _PAIR_HEIGHT
    third = beside is not None and beside.subtracts
    if look.cut.show == "volume":
        if third:
            st.caption("A difference is not drawn as a fog. Show the cubes in another way to see it.")
        fog(views, look, height)
        return
    if look.cut.show != "surface":
        keep_region("lattice", shown_cells(views[0].fields[views[0].at], look.cut))
    columns = st.columns(len(views) + third, gap="small")
    apart = beside is not None and beside.differs_in == "lattice step"
    films = [
        _film(shown.fields, look.cut, shown.at, f"lattice {side}" if apart else "lattice")
        for side, shown in enumerate(views)
    ]
    for side, shown in enumerate(views):
        with columns[side]:
            _cube(side, films[side], views, look, height, chosen)
            shown.caption()
    if third:
        with columns[-1]:
            _draw_difference(views, look, height, chosen, apart)
    publish_camera(KEYS[0])
    offer_files(views[0], films[0].scene, look.cut, KEYS[0])


def _draw_difference(views: list[Shown], look: Look, height: int, chosen: Chosen, apart: bool) -> None:
    """The third cube; of lattice steps chosen apart a single picture, else a film like the others."""
    left, right = views
    if left.frame.dimensions != right.frame.dimensions:
        st.info("Cubes of different sizes have no difference. Choose another run.")
    elif apart:
        fields = differences({0: left.fields[left.at]}, {0: right.fields[right.at]})
        _cube(2, lattice_scene(fields[0], look.cut), views, look, height - CONTROLS, chosen)
    else:
        fields = differences(left.fields, right.fields)
        _cube(2, _film(fields, look.cut, left.at, "lattice"), views, look, height, chosen)


def _film(fields: Mapping[int, CellField], cut: Cut, at: int, name: str) -> Film:
    return film(lambda step: lattice_scene(fields[step], cut), min(fields), max(fields), at, name=name)


def _cube(
    side: int, scene: Scene | Film, views: list[Shown], look: Look, height: int, chosen: Chosen
) -> None:
    """Draw the left cube (0), the right one (1) or their difference (2)."""
    about = views[side : side + 1] or views
    steps = " and ".join(f"{shown.frame.step:,}" for shown in about)
    cube(
        scene,
        key=KEYS[side],
        seq=sum(shown.frame.number for shown in about),
        stream=digest([shown.name(look) for shown in about] + [chosen.cell, chosen.outlined]),
        height=height,
        label=f"{'Cube' if len(about) == 1 else 'Difference of the cubes'} at training step {steps}",
        selected=chosen.cell,
        rings=chosen.rings,
        camera="lattice",
        start=camera_from_link() if side == 0 else None,
        reports_camera=side == 0,
    )


def _say(place: DeltaGenerator, words: str) -> None:
    """Why there is no picture, in the very place of the first cube, which so stays mounted."""
    with place.columns(1)[0]:
        cube(None, key=KEYS[0], seq=0, stream=words, height=_EMPTY_HEIGHT, empty=words)
