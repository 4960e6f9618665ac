"""The status bar with its buttons, the same on every page and right in every tab."""

from collections.abc import Callable

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


@st.fragment(run_every=_PERIOD)
def status_bar(service: TrainingService, shown: Snapshot) -> None:
    """State, figures, progress and buttons.

    Args:
        service: the training.
        shown: what the rest of the page was drawn from; once the page no longer fits, it is drawn anew.
    """
    snapshot = service.snapshot()
    if layout(snapshot) != layout(shown):
        st.rerun()
    facts, buttons = st.columns([3, 2], vertical_alignment="center")
    facts.html(status_markup(snapshot))
    with buttons:
        _buttons(service, snapshot)
    if snapshot.error:
        st.error(snapshot.error)
    if refused := st.session_state.pop(REFUSED, ""):
        st.warning(refused)


def layout(snapshot: Snapshot) -> tuple[str | None, bool, bool]:
    """What decides which parts a page has; while it is equal, the parts keep themselves up to date."""
    return snapshot.run_id, snapshot.phase.is_active, snapshot.phase.is_training


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


def _buttons(service: TrainingService, snapshot: Snapshot) -> None:
    phase, free = snapshot.phase, not snapshot.stopping
    paused = phase is Phase.PAUSED
    start, pause, step, stop = st.columns(4)
    start.button(
        "Start",
        key="start",
        type="secondary" if phase.is_active else "primary",
        disabled=phase.is_active,
        on_click=_start,
        args=(service,),
        help="Begin a new run with the settings below.",
        width="stretch",
    )
    pause.button(
        "Resume" if paused else "Pause",
        key="pause",
        type="primary" if paused else "secondary",
        disabled=not (phase.is_training and free),
        on_click=order,
        args=(service.resume if paused else service.pause,),
        help="Go on." if paused else "Wait before the next batch; nothing is lost.",
        width="stretch",
    )
    step.button(
        "Step",
        key="step",
        disabled=not (phase.is_training and free),
        on_click=order,
        args=(service.step,),
        help="Make one training step, then pause.",
        width="stretch",
    )
    stop.button(
        "Stop",
        key="stop",
        disabled=not (phase.is_active and free),
        on_click=order,
        args=(service.stop,),
        help="End the run with a checkpoint, from which it can be resumed.",
        width="stretch",
    )
