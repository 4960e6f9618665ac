"""The status bar with its buttons, the same on every page and right in every tab."""

from collections.abc import Callable
from typing import Final

import streamlit as st

from cellnet.errors import CellnetError, SettingsError
from cellnet.settings import with_changes
from lab.forms import typed
from lab.training import Phase, Snapshot, TrainingService
from lab.views.markup import status_markup

_PERIOD = 1.0
REFUSED = "order_refused"
NEXT_RUN = "next"
"""Key of the form with the settings of the next run."""
_GO, _STEP, _STOP = "F8", "F9", "F10"
"""Keys of the buttons; in a field, where one types, they do nothing."""


def status_bar(service: TrainingService, shown: Snapshot) -> None:
    """State, figures, progress and buttons.

    Args:
        service: the training.
        shown: what the rest of the page was drawn from; once the page no longer fits, it is drawn anew.
    """
    facts, buttons = st.columns([3, 2], vertical_alignment="center")
    with buttons:
        _buttons(service)
    with facts:
        _facts(service, shown)


@st.fragment(run_every=_PERIOD)
def _facts(service: TrainingService, shown: Snapshot) -> None:
    snapshot = service.snapshot()
    if layout(snapshot) != layout(shown) or REFUSED in st.session_state:
        st.rerun()  # what a part of the page was refused, the buttons say
    st.html(status_markup(snapshot))
    if snapshot.error:
        st.error(snapshot.error)


def layout(snapshot: Snapshot) -> tuple[str | None, Phase, bool]:
    """What decides which parts a page has; while it is equal, the parts keep themselves up to date."""
    return snapshot.run_id, snapshot.phase, snapshot.stopping


def order(action: Callable[[], None]) -> None:
    """Give an order; if it is refused, the status bar says why."""
    try:
        action()
    except CellnetError as error:
        st.session_state[REFUSED] = str(error)


def _start(service: TrainingService) -> None:
    """Start with what the form below holds now, though it may not have been drawn since it was typed."""
    try:
        service.draft = with_changes(service.draft, typed(NEXT_RUN))
    except SettingsError as error:
        wrong = "; ".join(error.problems.values())
        st.session_state[REFUSED] = f"The settings below cannot be used: {wrong}"
    else:
        order(lambda: service.start(service.draft))


@st.fragment
def _buttons(service: TrainingService) -> None:
    """The buttons, which act where they are drawn, in a fragment that no timer runs.

    The browser may send a press along with the next timer of the page as well as by itself. A callback
    would then be called twice; a body that no timer runs sees the press once.
    """
    if (pressed := _pressed(service.snapshot())) is not None:
        _ORDERS[pressed](service)
        st.rerun()
    if refused := st.session_state.pop(REFUSED, ""):
        st.warning(refused)


_ORDERS: Final[dict[str, Callable[[TrainingService], None]]] = {
    "start": _start,
    "pause": lambda service: order(service.pause),
    "resume": lambda service: order(service.resume),
    "step": lambda service: order(service.step),
    "stop": lambda service: order(service.stop),
}


def _pressed(snapshot: Snapshot) -> str | None:
    """Draw the buttons and return the order of the one that was pressed."""
    phase, free = snapshot.phase, not snapshot.stopping
    paused = phase is Phase.PAUSED
    start, pause, step, stop = st.columns(4)
    pressed = {
        "start": start.button(
            "Start",
            key="start",
            type="secondary" if phase.is_active else "primary",
            disabled=phase.is_active,
            help=f"Begin a new run with the settings below. Key: {_GO}.",
            shortcut=_GO,
            width="stretch",
        ),
        "resume" if paused else "pause": pause.button(
            "Resume" if paused else "Pause",
            key="pause",
            type="primary" if paused else "secondary",
            disabled=not (phase.is_training and free),
            help=f"{'Go on' if paused else 'Wait before the next batch; nothing is lost'}. Key: {_GO}.",
            shortcut=_GO,
            width="stretch",
        ),
        "step": step.button(
            "Step",
            key="step",
            disabled=not (phase.is_training and free),
            help=f"Make one training step, then pause. Key: {_STEP}.",
            shortcut=_STEP,
            width="stretch",
        ),
        "stop": stop.button(
            "Stop",
            key="stop",
            disabled=not (phase.is_active and free),
            help=f"End the run with a checkpoint, from which it can be resumed. Key: {_STOP}.",
            shortcut=_STOP,
            width="stretch",
        ),
    }
    return next((name for name, is_pressed in pressed.items() if is_pressed), None)
