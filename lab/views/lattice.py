"""The Lattice page: the cube cut open and colored in many ways, and the cell that was clicked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final
from uuid import uuid4

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cellnet.settings import Settings
from lab.components import cube
from lab.components.cube import reported_camera
from lab.export import scene_html
from lab.figures import inline
from lab.figures.cell import cell_facts, cell_panel, history_panel, neighbor_list, neighbor_table
from lab.figures.lattice import (
    COLORING_HELP,
    COLORINGS,
    SHOWS,
    CellField,
    Coloring,
    Components,
    Cut,
    Floats,
    Show,
    cell_field,
    common_limits,
    first_step,
    fit_components,
    lattice_scene,
    wiring,
)
from lab.jobs import JOBS
from lab.pictures import Pictures, Source, cell_history
from lab.render import Viewpoint, scene_png, volume_png
from lab.scenes import Dimensions, Scene
from lab.training import CubeFrame
from lab.views.address import arrived, publish
from lab.views.choice import Choice
from lab.views.scrub import (
    choose_box,
    choose_lattice_step,
    choose_training_step,
    keep_pace,
    lattice_step,
    publish_cell,
    take_cell_from_click,
    take_cell_from_link,
)
from lab.views.source import CELL, RUN, TEXT, choose_run, choose_step, choose_text

_HEIGHT: Final = 560
_PAIR_HEIGHT: Final = 440
_EMPTY_HEIGHT: Final = 220
_PRINT: Final = (2400, 2000)
KEYS: Final = ("lattice", "lattice_b")
_PACE: Final = "lattice_pace"
_RUN_B: Final = Choice("lattice_run_b")
_STEP_B: Final = Choice("lattice_step_b")
_TEXT_B: Final = Choice("lattice_text_b")
_BASIS: Final = "lattice_components"
_MOST_HISTORY: Final = 32
COMPARISONS: Final = ("nothing", "lattice step", "training step", "run", "sentence")


@dataclass(frozen=True)
class Look:
    """How the cube is drawn."""

    coloring: Coloring
    channel: int
    cut: Cut


def choose_source(pictures: Pictures) -> tuple[Source, Source | None, str]:
    """What to look at, what to put beside it, and in what the two differ."""
    run_place, text_place, beside_place = st.columns([3, 5, 5])
    with run_place:
        run = choose_run(pictures, RUN, "run")
    with text_place:
        text = choose_text(pictures, run, TEXT, "text")
    compared = beside_place.segmented_control(
        "Beside it",
        COMPARISONS,
        default="nothing",
        required=True,
        key="lattice_beside",
        help="A second cube on the same camera and the same ramp, which differs in one thing.",
        bind="query-params",
    )
    source = Source(run, None, text)
    if compared == "run":
        with beside_place:
            other = choose_run(pictures, _RUN_B, "run_b", label="The other run")
        return source, replace(source, run=other), compared
    if compared == "sentence":
        with beside_place:
            second = choose_text(pictures, run, _TEXT_B, "text_b", label="The other sentence")
        return source, replace(source, text=second), compared
    return source, source if compared != "nothing" else None, compared


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
    return Look(coloring, channel, cut)


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


def _choose_fog() -> tuple[float, float, float]:
    """Azimuth and elevation of the eye, in degrees, and how opaque the upper end of the ramp is."""
    around, up, dense = st.columns(3)
    azimuth = around.slider(
        "Turn (degrees)", -180, 180, -56, key="lattice_azimuth", help="Around z.", bind="query-params"
    )
    elevation = up.slider(
        "Tilt (degrees)",
        -89,
        89,
        26,
        key="lattice_elevation",
        help="Up from the floor.",
        bind="query-params",
    )
    density = dense.slider(
        "Density (%)",
        5,
        100,
        60,
        key="lattice_density",
        help="How opaque the upper end of the ramp is.",
        bind="query-params",
    )
    return azimuth, elevation, density / 100


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


def lattice(pictures: Pictures, source: Source, beside: Source | None, compared: str, look: Look) -> None:
    """One cube or two, with the steps to scrub through, and the panel of a cell; live where it can be."""
    pace = st.session_state.get(_PACE)
    st.fragment(_lattice, run_every=pace)(pictures, source, beside, compared, look, pace)


def _lattice(
    pictures: Pictures,
    source: Source,
    beside: Source | None,
    compared: str,
    look: Look,
    pace: float | None,
) -> None:
    settings = pictures.settings(source.run)
    picture, panel = st.columns([5, 3] if beside is None else [7, 3], gap="medium")
    with picture:
        cubes = st.container()
        training, inside = st.columns(2, gap="large")
        with training:
            source, played = choose_training_step(pictures, source, moving=pace is not None)
            if beside is not None and compared in ("training step", "run"):
                beside = choose_step(pictures, beside, _STEP_B, "step_b", label="Training step, right")
        views = [source] if beside is None else [source, beside if compared != "lattice step" else source]
        if beside is not None and compared == "sentence":
            views[1] = replace(beside, step=source.step)
        readings = [pictures.read(view) for view in views]
        frames = [reading.frame for reading in readings]
        with inside:
            steps, playing = _choose_lattice_steps(frames, look.coloring, compared)
    pending = any(reading.pending for reading in readings)
    missing = next((reading.notice for reading in readings if reading.frame is None), None)
    if missing is None:
        shown = [frame for frame in frames if frame is not None]
        pending |= _draw(cubes, pictures, views, shown, steps, look)
        with panel:
            pending |= _cell(pictures, source, settings, shown[0], steps[0])
    else:
        _say(cubes, missing)
    active = pictures.service.snapshot().phase.is_active
    follows = active and any(view.follows for view in views)
    keep_pace(_PACE, pace, follows or playing or played or pending)


def _choose_lattice_steps(
    frames: list[CubeFrame | None], coloring: Coloring, compared: str
) -> tuple[list[int], bool]:
    known = [frame for frame in frames if frame is not None]
    if len(known) < len(frames):
        return [], False
    first, last = first_step(coloring), min(len(frame.gate) for frame in known)
    key = f"lattice_step_{first}"
    at, playing = choose_lattice_step(first, last, key)
    chosen = [at] * len(frames)
    if compared == "lattice step":
        chosen[1] = lattice_step(first, last, first, key=f"{key}_b", label="Lattice step, right")
    return chosen, playing


def _draw(
    place: DeltaGenerator,
    pictures: Pictures,
    views: list[Source],
    frames: list[CubeFrame],
    steps: list[int],
    look: Look,
) -> bool:
    """Draw one cube or two; returns whether something is still being computed."""
    take_cell_from_link(frames[0].states.shape[1])
    fields, versions, pending = [], [], False
    agreements: Floats | None = None
    for view, frame, at in zip(views, frames, steps, strict=True):
        version, waiting = "", ""
        if look.coloring == "agreement":
            answer = pictures.agreements(view)
            pending |= answer.pending
            agreements = answer.value[0] if answer.value else None
            version = str(answer.version)
            waiting = answer.error or "Held-out sentences go through the cube to be compared ..."
        if look.coloring == "agreement" and agreements is None:
            _say(place, waiting)
            return pending
        fields.append(_field(frame, at, look, agreements))
        versions.append(version)
    if len(fields) == 2:
        fields = common_limits(fields)
    if look.cut.show == "volume":
        return pending | _volumes(place, views, frames, steps, fields, look)
    cut = replace(look.cut, only=_only(pictures.settings(views[0].run)))
    scenes = [lattice_scene(cells, cut) for cells in fields]
    start = arrived("camera")
    for side, column in enumerate(place.columns(len(fields), gap="small")):
        key, frame, at = KEYS[side], frames[side], steps[side]
        with column:
            picked = cube(
                scenes[side],
                key=key,
                seq=frame.number,
                stream=f"{_what(views[side], frame, at, look)}/{cut.only}/{fields[side].limits}/"
                f"{versions[side]}/{CELL.value}",
                height=_HEIGHT if len(fields) == 1 else _PAIR_HEIGHT,
                label=f"Cube after {at} lattice steps, training step {frame.step}",
                selected=CELL.value,
                camera="lattice",
                start=start if side == 0 else None,
                reports_camera=side == 0,
            )
            st.html(_caption(frame))
        take_cell_from_click(key, picked)
    if (camera := reported_camera(KEYS[0])) is not None:
        publish("camera", camera)
    with place:
        pending |= _export(scenes[0], frames[0], steps[0], look, cut, agreements)
    return pending


def _say(place: DeltaGenerator, words: str) -> None:
    """Why there is no picture, in the very place of the first cube, which so stays mounted."""
    with place.columns(1)[0]:
        cube(None, key=KEYS[0], seq=0, stream=words, height=_EMPTY_HEIGHT, empty=words)


def _what(view: Source, frame: CubeFrame, at: int, look: Look) -> str:
    """Names what a picture shows; it stays while only the training goes on."""
    return f"{view}/{'' if view.follows else frame.step}/{at}/{look}"


def _caption(frame: CubeFrame) -> str:
    return inline.caption(frame.text, f"step {frame.step:,}, cosine {frame.cosine:.3f}")


def _volumes(
    place: DeltaGenerator,
    views: list[Source],
    frames: list[CubeFrame],
    steps: list[int],
    fields: list[CellField],
    look: Look,
) -> bool:
    """Pictures that the server draws; the last one stays until the next is there."""
    pending = False
    with place:
        azimuth, elevation, density = _choose_fog()
    background = "#0e141a" if st.context.theme.type == "dark" else "#ffffff"
    height = _HEIGHT if len(fields) == 1 else _PAIR_HEIGHT
    size = (1000 if len(fields) == 1 else 640, height * 5 // 4)
    for side, column in enumerate(place.columns(len(fields), gap="small")):
        cells, frame = fields[side], frames[side]
        view = Viewpoint.around(cells.dimensions, azimuth, elevation)
        work = partial(volume_png, cells, view, size=size, background=background, opacity=density)
        version = (
            _what(views[side], frame, steps[side], look),
            frame.number,
            view,
            size,
            background,
            density,
        )
        answer = JOBS.newest(("volume", _session(), side), version, work)
        pending |= answer.pending or answer.version != version
        with column:
            if answer.error:
                st.error(answer.error)
            elif answer.value is None:
                st.caption("The server draws the picture ...")
            else:
                st.image(answer.value, caption=None, width="stretch")
                st.html(inline.ramp(cells.label, cells.limits, cells.colormap))
            st.html(_caption(frame))
    return pending


def _session() -> str:
    """Tells the tabs apart."""
    return str(st.session_state.setdefault("lattice_tab", uuid4().hex))


def _export(
    scene: Scene, frame: CubeFrame, at: int, look: Look, cut: Cut, agreements: Floats | None
) -> bool:
    """The cube as PNG and as HTML; returns whether a file is being made."""
    camera = reported_camera(KEYS[0])
    extent = np.asarray(frame.dimensions) + np.asarray(scene.geometry.spacing) * (
        np.asarray(frame.dimensions) - 1
    )
    view = Viewpoint.parse(camera) if camera else Viewpoint.around(extent.tolist())
    with st.popover("Take away", help="The cube as it is shown now, as a file."):
        png = _file(
            "Draw a picture for print (PNG)",
            "Drawn by PyVista on the server from where you look, 2400 by 2000 pixels, on a transparent "
            "ground. The button in the view itself saves what is on the screen.",
            partial(scene_png, scene, view, size=_PRINT, background=None),
            f"cube-step-{frame.step}-{at}.png",
        )
        html = _file(
            "Write an interactive HTML",
            "All lattice steps of this view in one file that can be turned and played in any browser, "
            "without a server and without the internet.",
            partial(_html, frame, look, cut, camera, agreements),
            f"cube-step-{frame.step}.html",
        )
    return png or html


def _file(label: str, words: str, work: Callable[[], bytes], name: str) -> bool:
    """A button that makes a file of this moment, and then the file; returns whether it is being made."""
    slot = f"lattice_file.{label}"
    if st.button(label, key=f"{slot}.button", help=words, width="stretch"):
        st.session_state[slot] = (uuid4().hex, name, work)
    if slot not in st.session_state:
        return False
    version, name, work = st.session_state[slot]
    answer = JOBS.newest(("file", _session(), label), version, work)
    if answer.error:
        st.error(answer.error)
    elif answer.value is None or answer.version != version:
        st.caption("Writing ...")
        return True
    else:
        st.download_button(
            f"{name} ({len(answer.value) / 1e6:.1f} MB)",
            answer.value,
            name,
            key=f"{slot}.download",
            type="primary",
            on_click="ignore",
            width="stretch",
        )
    return False


def _html(frame: CubeFrame, look: Look, cut: Cut, camera: str | None, agreements: Floats | None) -> bytes:
    components = fit_components(frame.states) if look.coloring == "components" else None
    scenes = {
        f"lattice step {at}": lattice_scene(
            cell_field(
                frame,
                look.coloring,
                at,
                channel=look.channel,
                components=components,
                agreements=agreements,
            ),
            cut,
        )
        for at in range(first_step(look.coloring), len(frame.gate) + 1)
    }
    return scene_html(
        scenes,
        title=f"Cube at training step {frame.step:,}",
        caption=f"Carrying: {frame.text} Cosine of what goes in and what comes out: {frame.cosine:.3f}.",
        start=camera,
    ).encode()


def _field(
    frame: CubeFrame,
    at: int,
    look: Look,
    agreements: Floats | None,
) -> CellField:
    components: Components | None = None
    if look.coloring == "components":
        components = fit_components(frame.states, st.session_state.get(_BASIS))
        st.session_state[_BASIS] = components
    return cell_field(
        frame, look.coloring, at, channel=look.channel, components=components, agreements=agreements
    )


def _only(settings: Settings | None) -> tuple[int, ...] | None:
    cell = CELL.value
    if settings is None or cell is None or not st.session_state.get("lattice_only_neighbors"):
        return None
    if cell >= settings.lattice.cell_count:
        return None
    neighbors = wiring(settings, cell).neighbors.values()
    return (cell, *(int(other) for each in neighbors for other in each))


def _cell(pictures: Pictures, source: Source, settings: Settings | None, frame: CubeFrame, at: int) -> bool:
    """The panel of the chosen cell; returns whether its history is still being read."""
    count = frame.states.shape[1]
    number, only = st.columns([2, 3], vertical_alignment="bottom")
    cell = number.number_input(
        "Cell",
        min_value=0,
        max_value=count - 1,
        value=CELL.value,
        key=CELL.key,
        placeholder="click one",
        help="Its number in the linear order, (x * Y + y) * Z + z. Click a cell in the cube, or type.",
    )
    only.checkbox(
        "Only its neighbors",
        key="lattice_only_neighbors",
        disabled=cell is None,
        help="Leave in the cube only the cell and those that it sees.",
    )
    publish_cell()
    if cell is None:
        st.info("Click a cell of the cube to see its state, its history, its neighbors and its gate.")
        return False
    st.html(cell_facts(frame, at, cell) + cell_panel(frame, at, cell))
    if settings is not None:
        wired = wiring(settings, cell)
        st.html(neighbor_table(wired, frame, at))
        st.html(neighbor_list(wired, frame))
    return _history(pictures, source, cell)


def _history(pictures: Pictures, source: Source, cell: int) -> bool:
    run_id = pictures.run_id(source.run)
    steps = pictures.service.frames(run_id).steps() if run_id is not None else []
    if len(steps) < 2:
        return False
    frames = pictures.service.frames(str(run_id))
    places = np.linspace(0, len(steps) - 1, min(len(steps), _MOST_HISTORY)).round().astype(int)
    chosen = tuple(steps[place] for place in places)
    answer = JOBS.newest(("history", run_id, cell), chosen, partial(cell_history, frames, chosen, cell))
    if answer.value is not None:
        st.html(history_panel(*answer.value))
    elif answer.error:
        st.caption(answer.error)
    return answer.pending
