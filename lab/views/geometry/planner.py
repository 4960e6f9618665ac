"""The Geometry page: turn the ratios, see at once what they mean, and use them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import streamlit as st

from cellnet.errors import SettingsError
from cellnet.lattice.geometry import filling_ratios
from cellnet.settings import PRESET_NAMES, Settings, get_value, preset, with_changes
from lab.components import cube
from lab.components.chart import chart
from lab.components.choice import Choice
from lab.components.reports import NOTHING, REPORTS
from lab.figures.geometry import (
    KIND_COLORS,
    VIEWS,
    Cell,
    MeasuredStep,
    NeighborhoodView,
    cost_rows,
    distance_figure,
    measured_step,
    neighborhood,
    neighborhood_scene,
    plan,
    seconds_text,
    size_text,
)
from lab.figures.markup import table_markup, tier_markup
from lab.figures.words import tier_report
from lab.training import Snapshot, TrainingService
from lab.views.train.steering import RATIOS
from lab.widgets.address import publish
from lab.widgets.forms import FIELDS, Form, renew
from lab.widgets.next_run import differing, say_used, use_for_next_run
from lab.widgets.scrub import camera_from_link, publish_camera
from lab.widgets.status import order
from lab.work.calibration import SECONDS, calibration
from lab.work.work import Works

PLAN: Final = ("lattice.dimensions", "lattice.boundary", *RATIOS)
CUBE_HEIGHT: Final = 470
_KEY: Final = "geometry"
_KEPT: Final = "geometry_kept"
_CUBE: Final = "geometry_cube"
_NEXT: Final = "the next run"
_RUNNING: Final = "the running training"
_LINK: Final = {
    "size": "lattice.dimensions",
    "boundary": "lattice.boundary",
    "radius": "lattice.adaptive_radius_ratio",
    "local": "lattice.local_distance_ratio",
    "functional": "lattice.functional_distance_ratio",
    "distant": "lattice.distant_distance_ratio",
}
"""Names in the page's address."""
_TALL: Final = 20
_AXES: Final = "xyz"
_CELL: Final = {axis: Choice(f"geometry_cell_{axis}") for axis in _AXES}


@st.fragment
def planner(service: TrainingService, works: Works) -> None:
    """The whole page: controls and what they mean on the left, the neighborhood in 3D on the right."""
    snapshot = service.snapshot()
    base = snapshot.settings if snapshot.settings and snapshot.phase.is_training else service.draft
    kept = _begin(base)
    controls, picture = st.columns([6, 7], gap="large")
    with controls:
        _presets(service, snapshot)
        settings = _controls(kept)
        st.html(tier_markup(tier_report(settings)))
    with picture:
        _neighborhood(settings)
    _remember(settings)
    meaning, distances = st.columns([6, 7], gap="large")
    with meaning:
        _meaning(settings)
        _use(service, snapshot, settings)
        _cost(works, settings, base, snapshot)
    with distances:
        _distances(settings)


def _begin(base: Settings) -> Settings:
    """The plan as it was left here, else as in the page's address, else the geometry of what is trained."""
    if _KEPT not in st.session_state:
        st.session_state[_KEPT] = {name: get_value(base, name) for name in PLAN}
        linked, problems = from_link(st.query_params.to_dict())
        if not problems:
            try:
                with_changes(base, linked)
            except SettingsError as error:
                problems = error.problems
        if problems:
            said = "; ".join(problems.values())
            st.warning(f"The address of this page cannot be used as it is: {said}")
        else:
            st.session_state[_KEPT] |= linked
    return with_changes(base, st.session_state[_KEPT])


def from_link(parameters: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Read ``{"group.key": value}`` from the parameters of the page's address, and what is wrong there."""
    values: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for short, name in _LINK.items():
        if short not in parameters:
            continue
        text = parameters[short]
        try:
            match short:
                case "size":
                    values[name] = tuple(int(part) for part in text.split("x"))
                case "boundary":
                    values[name] = text
                case _:
                    values[name] = float(text)
        except ValueError:
            problems[name] = f"{short}={text[:40]!r} is not possible"
    return values, problems


def to_link(settings: Settings) -> dict[str, str]:
    """Return the parameters of the page's address that `from_link` reads."""
    return {
        short: size_text(get_value(settings, name)) if short == "size" else str(get_value(settings, name))
        for short, name in _LINK.items()
    }


def _remember(settings: Settings) -> None:
    st.session_state[_KEPT] = {name: get_value(settings, name) for name in PLAN}
    link = to_link(settings)
    if any(st.query_params.get(name) != value for name, value in link.items()):
        st.query_params.update(link)


def _show(values: Mapping[str, Any]) -> None:
    """Plan these values instead, before the widgets are drawn."""
    st.session_state[_KEPT] |= values
    renew(_KEY)


# What is planned.


def _presets(service: TrainingService, snapshot: Snapshot) -> None:
    current = [_NEXT] + [_RUNNING] * snapshot.phase.is_training
    st.pills(
        "Begin with the geometry of",
        (*current, *PRESET_NAMES),
        key="geometry_preset",
        on_change=_take_preset,
        args=(service, snapshot),
        help="Sets size, boundary and ratios below; change what you like afterwards.",
    )


def _take_preset(service: TrainingService, snapshot: Snapshot) -> None:
    name = st.session_state["geometry_preset"]
    if name is None:
        return
    settings = service.draft if name == _NEXT else snapshot.settings if name == _RUNNING else preset(name)
    assert settings is not None
    _show({key: get_value(settings, key) for key in PLAN})


def _controls(kept: Settings) -> Settings:
    """Size, boundary and the four ratios; what is impossible is said at its field."""
    form = Form(_KEY, kept, follows=True)
    form.fields(PLAN)
    settings = form.checked()
    if form.problems:
        st.caption("Until this is put right, the page shows the geometry before.")
    return settings


def _meaning(settings: Settings) -> None:
    """Empty tiers with a button that fills them, and how far a signal gets."""
    report = tier_report(settings)
    for tier in report.empty_tiers:
        changes = filling_ratios(tier, settings.lattice)
        text, button = st.columns([5, 1], vertical_alignment="center")
        remedy = ", ".join(
            f"{FIELDS[f'lattice.{name}'].title} {value:.4f}" for name, value in changes.items()
        )
        text.info(
            f"The {tier} tier is empty: experts that read it see each cell alone. Filled by: {remedy}."
        )
        button.button(
            "Set it",
            key=f"geometry_fill_{tier}",
            on_click=_show,
            args=({f"lattice.{name}": value for name, value in changes.items()},),
            help=f"Sets {remedy} above: the smallest change that puts a neighbor into the tier.",
            width="stretch",
        )
    reach = report.reach
    verdict = "crosses the cube" if reach.crosses else "does **not** cross the cube"
    st.markdown(
        f"**Reach.** {reach.per_step:.2f} cells a step; in {settings.model.steps} steps a signal travels "
        f"{reach.total:.1f} cells and {verdict} ({reach.edge} cells wide)."
    )


def _use(service: TrainingService, snapshot: Snapshot, settings: Settings) -> None:
    apply, later = st.columns(2)
    changes = differing(service.draft, settings, PLAN)
    reason = _why_not(snapshot, settings)
    if apply.button(
        "Apply to the running training",
        key="geometry_apply",
        type="primary" if not reason else "secondary",
        disabled=bool(reason),
        help=reason or "The ratios act before the next batch and are marked in every curve.",
        width="stretch",
    ):
        order(lambda: service.apply({name: get_value(settings, name) for name in RATIOS}))
        st.rerun()
    if later.button(
        "Use for the next run",
        key="geometry_next",
        disabled=not changes,
        help="Size, boundary and ratios go into the form on the page Train.",
        width="stretch",
    ):
        use_for_next_run(service, changes, _KEY)
    if reason:
        st.caption(f"Not for the running training: {reason}")
    say_used(_KEY, still=not changes)


def _why_not(snapshot: Snapshot, settings: Settings) -> str:
    """Why the ratios cannot be applied to a training; empty if they can."""
    if not snapshot.phase.is_training or snapshot.settings is None:
        return "no training is running; press Start first."
    running, planned = snapshot.settings.lattice, settings.lattice
    if running.dimensions != planned.dimensions:
        return f"its cube has {size_text(running.dimensions)} cells, which is fixed while it trains."
    if running.boundary != planned.boundary:
        return f"its boundary is {running.boundary}, which is fixed while it trains."
    if not differing(snapshot.settings, settings, PLAN):
        return "it has this geometry already."
    return ""


# The neighborhood in 3D.


@st.fragment
def _neighborhood(settings: Settings) -> None:
    """A part of its own, because another cell changes nothing else on the page."""
    _take_picked(settings)
    lattice = settings.lattice
    view: NeighborhoodView = st.segmented_control(
        "Show",
        list(VIEWS),
        format_func=VIEWS.__getitem__,
        default="opened",
        required=True,
        key="geometry_view",
        help="The neighbors of the cell below, in the colors of their tiers: cut through, so that the cell "
        "can be seen, or all of them; or with the cells that it does not see.",
        bind="query-params",
        width="stretch",
    )
    picture = st.container()
    cell = _cell_inputs(settings)
    with picture:
        cube(
            neighborhood_scene(lattice, cell, view),
            key=_CUBE,
            seq=1,
            stream=f"{lattice.model_dump_json()}/{cell}/{view}",
            height=CUBE_HEIGHT,
            label=f"Neighborhood of cell {cell}",
            selected=_index(cell, lattice.dimensions),
            start=camera_from_link(),
            reports_camera=True,
        )
    publish_camera(_CUBE)
    publish("cell", "-".join(map(str, cell)))
    codes = neighborhood(lattice, cell)
    counts = [int((codes == code).sum()) for code in range(len(KIND_COLORS))]
    st.caption(
        f"This cell has {counts[2]:,} local, {counts[3]:,} functional and {counts[4]:,} distant neighbors; "
        f"{counts[0]:,} cells are beyond its reach. Click a cell to choose it."
    )


def _cell_inputs(settings: Settings) -> Cell:
    cell = _cell(settings)
    columns = st.columns(3)
    for axis, place, length, column in zip(_AXES, cell, settings.lattice.dimensions, columns, strict=True):
        _CELL[axis].set(place)
        column.number_input(
            f"Cell {axis}",
            0,
            length - 1,
            place,
            step=1,
            key=_CELL[axis].key,
            help=f"0 to {length - 1}, or click a cell above.",
        )
    return _cell(settings)


def _cell(settings: Settings) -> Cell:
    """The chosen cell: as in the inputs or the address, else the one in the middle; inside the cube."""
    position = [choice.value for choice in _CELL.values()]
    if None in position:
        parts = st.query_params.get("cell", "").split("-")
        linked = len(parts) == len(_AXES) and all(part.isdecimal() for part in parts)
        position = (
            [int(part) for part in parts] if linked else [n // 2 for n in settings.lattice.dimensions]
        )
    x, y, z = (min(p, n - 1) for p, n in zip(position, settings.lattice.dimensions, strict=True))
    return x, y, z


def _take_picked(settings: Settings) -> None:
    """Choose the cell that was clicked since the page was last drawn."""
    picked = REPORTS.take(_CUBE, "picked")
    x, y, z = settings.lattice.dimensions
    if picked is not NOTHING and picked is not None and picked < x * y * z:
        for axis, place in zip(_AXES, (picked // (y * z), picked // z % y, picked % z), strict=True):
            _CELL[axis].set(place)


def _index(cell: Cell, dimensions: Cell) -> int:
    return (cell[0] * dimensions[1] + cell[1]) * dimensions[2] + cell[2]


# What it costs, and all distances.


def _cost(works: Works, settings: Settings, base: Settings, snapshot: Snapshot) -> None:
    st.subheader(
        "What a step costs",
        help="Counted from the settings: batch, widths and steps are those of the running training, or "
        "else of the next run. The libraries themselves take some hundred MB more.",
    )
    measured = measured_step(snapshot) or works.answer(calibration(settings).key).value
    planned, now = plan(settings, measured), plan(base, measured)
    compared = _RUNNING if snapshot.phase.is_training else _NEXT
    st.html(table_markup(["", "planned", f"against {compared}"], cost_rows(settings, planned, base, now)))
    if planned.seconds is not None and measured is not None:
        st.caption(
            f"Step time: scaled from {seconds_text(measured.seconds)} measured in {measured.source}. "
            "Such estimates are usually within a quarter."
        )
    else:
        _offer_calibration(works, settings, snapshot, measured)


def _offer_calibration(
    works: Works, settings: Settings, snapshot: Snapshot, measured: MeasuredStep | None
) -> None:
    why = "nothing was measured yet" if measured is None else "the last training ran on another device"
    text, button = st.columns([3, 2], vertical_alignment="center")
    text.caption(f"Step time: {why}. Start a training, or measure a few steps of a small cube here.")
    if button.button(
        f"Measure now (about {SECONDS} s)",
        key="geometry_calibrate",
        disabled=snapshot.phase.is_active,
        help="Times training steps of an 8x8x8 cube on random data on the device of the settings. Not "
        "while a training is under way: it would disturb it, and its own steps tell the time as well.",
        width="stretch",
    ):
        work = calibration(settings)
        with st.spinner("Making a few training steps …"):
            works.begin(work)
            answer = works.wait(work.key)
        if answer.error:
            st.error(answer.error)
        else:
            st.rerun()


def _distances(settings: Settings) -> None:
    st.subheader(
        "All distances",
        help="How many cells a cell sees on average at each distance, over the whole cube. The bands are "
        "the tiers, the dotted lines their thresholds.",
    )
    chart(
        distance_figure(settings.lattice),
        key="geometry_distances",
        label="Neighbors per cell at each distance, with the bands of the three tiers",
        tools=True,
    )
