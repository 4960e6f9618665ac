"""The parts that move: the curves and the cube."""

from typing import Any

import streamlit as st
from markupsafe import Markup

from lab.components import cube, curves, live_markup
from lab.components.feeds import Newer
from lab.figures.cube.cuts import VIEWS
from lab.figures.cube.fields import first_step
from lab.figures.cube.glance import COLORINGS, Coloring, cube_film
from lab.figures.curves import loss_panels, step_marks
from lab.figures.markup import markup
from lab.training import CubeFrame, Phase, Snapshot, TrainingService
from lab.views.train.curve_files import shown_curves
from lab.widgets.scrub import LATTICE_STEP, lattice_step

_PANEL_HEIGHT = 172
_CUBE_HEIGHT = 448
_EMPTY_HEIGHT = 160
_SMOOTHING = 10
_MOST_SMOOTHING = 100
_WHOLE = "all"
_WINDOWS = {_WHOLE: 0, "1,000": 1000, "200": 200, "50": 50}


def live_views(service: TrainingService) -> None:
    """The curves and the cube, side by side; both are fed while nothing is touched."""
    curves_place, cube_place = st.columns([5, 3], gap="medium")
    with curves_place:
        _live_curves(service)
    with cube_place:
        _live_cube(service)


@st.fragment
def _live_curves(service: TrainingService) -> None:
    """Losses, explained variance, learning rate, gradient norm and step time."""
    snapshot = service.snapshot()
    smoothing = st.session_state.get("smoothing", _SMOOTHING)
    window = _WINDOWS[st.session_state.get("window", _WHOLE)]
    shown = shown_curves()
    shown.update(smoothing=smoothing, window=window)
    look = dict(shown)
    curves(
        **_newest_curves(service, look),
        key="losses",
        newer=Newer(lambda: str(service.snapshot().version), lambda: _newest_curves(service, look)),
        stream=f"{snapshot.run_id}/{smoothing}/{window}",
        panel_height=_PANEL_HEIGHT,
        label="Loss curves of the training",
        growing=snapshot.phase.is_training,
        empty=_curves_notice(snapshot),
    )
    if len(snapshot.train):
        smooth, show = st.columns(2, gap="medium")
        smooth.slider(
            "Smoothing (steps)",
            1,
            _MOST_SMOOTHING,
            value=_SMOOTHING,
            key="smoothing",
            help="The bold line is the mean of this many steps; every single step stays visible behind it.",
            bind="query-params",
        )
        show.segmented_control(
            "Window (steps)",
            list(_WINDOWS),
            default=_WHOLE,
            required=True,
            key="window",
            help="All steps, or so many of the newest; the curves move on with them.",
            bind="query-params",
            width="stretch",
        )


def _newest_curves(service: TrainingService, look: dict[str, int]) -> dict[str, Any]:
    snapshot = service.snapshot()
    return {
        "panels": loss_panels(snapshot, **look) if len(snapshot.train) else [],
        "seq": snapshot.version,
        "marks": step_marks(snapshot.changes),
    }


@st.fragment
def _live_cube(service: TrainingService) -> None:
    """The cube while it carries one held-out sentence."""
    service.watch()
    snapshot = service.snapshot()
    frame = snapshot.frame
    if frame is None:
        cube(None, key="cube", seq=snapshot.version, height=_EMPTY_HEIGHT, empty=_cube_notice(snapshot))
        return
    choice, view_choice = st.columns([2, 1])
    coloring: Coloring = choice.segmented_control(
        "Color by",
        list(COLORINGS),
        format_func=COLORINGS.__getitem__,
        default="activity",
        required=True,
        key="coloring",
        help=_COLORING_HELP,
        bind="query-params",
        width="stretch",
    )
    view = view_choice.selectbox("Show", VIEWS, key="view", help=_VIEW_HELP, bind="query-params")
    channel = _channel(frame) if coloring == "channel" else 0
    keys = {view: f"cube {view}" for view in VIEWS}  # each fits the window by itself, and keeps its camera
    last = len(frame.gate)
    at = lattice_step(
        LATTICE_STEP, "lattice_step", first_step(coloring), last, last, keys=list(keys.values())
    )

    def newest() -> CubeFrame:
        """Of this run: while the next one begins there is none, and the page will change."""
        return service.snapshot().frame or frame

    def picture() -> dict[str, Any]:
        newer = newest()
        return {
            "scene": cube_film(newer, coloring, at, channel, view),
            "seq": newer.number,
            "label": f"Cube at training step {newer.step:,}",
        }

    def version() -> str:
        service.watch()
        return str(newest().number)

    cube(
        **picture(),
        key=keys[view],
        newer=Newer(version, picture),
        stream=f"{snapshot.run_id}/{coloring}/{channel}/{at}/{view}",
        height=_CUBE_HEIGHT,
    )
    live_markup(lambda: (_said(newest()), ""), key="said")


def _said(frame: CubeFrame) -> Markup:
    return markup(
        '<div class="lab-said">Carrying the held-out sentence <q>{{ text }}</q> at training '
        "step {{ step }}; cosine between what goes in and what comes out: <b>{{ cosine }}</b></div>",
        text=frame.text,
        step=f"{frame.step:,}",
        cosine=f"{frame.cosine:.3f}",
    )


_COLORING_HELP = (
    "Activity: root mean square of a cell's state. Change: the same of what the lattice step changed. "
    "Channel: one number of the state. Expert: the one with the largest weight in the cell."
)


_VIEW_HELP = "Cut open: the half with the lower y is taken away. Layers: apart along z."


def _channel(frame: CubeFrame) -> int:
    last: int = frame.states.shape[-1] - 1
    return st.slider(
        "Channel", 0, last, value=0, key="channel", help="Which number of the state.", bind="query-params"
    )


def _curves_notice(snapshot: Snapshot) -> str:
    if snapshot.phase is Phase.PREPARING:
        return "The teacher reads the sentences first. The curves begin with the first training step."
    if snapshot.phase is Phase.RUNNING:
        return "The first training step is under way."
    return "Press Start: the loss curves grow here while the cube learns."


def _cube_notice(snapshot: Snapshot) -> str:
    if snapshot.phase is Phase.PREPARING:
        return "The cube appears as soon as the sentences are embedded."
    return "Press Start to see the cube think."
