"""The status bar with its buttons, the same on every page and right in every tab."""

from collections.abc import Callable
from typing import Final

import streamlit as st

from cellnet.errors import CellnetError, SettingsError
from cellnet.settings import with_changes
from lab.components import live_markup
from lab.figures.status import status_markup
from lab.training import Phase, Snapshot, TrainingService
from lab.widgets.forms import typed

NEXT_RUN = "next"
"""Key of the form with the settings of the next run."""
_GO, _STEP, _STOP = "F8", "F9", "F10"
"""Keys of the buttons; in a field, where one types, they do nothing."""


@st.fragment
def status_bar(service: TrainingService, shown: Snapshot) -> None:
    """State, figures, progress and buttons.

    They are one fragment, which no timer runs: the figures are fed, and have it run once the page no longer
    fits.

    Args:
        service: the training.
        shown: what the rest of the page was drawn from; once the page no longer fits, it is drawn anew.
    """
    facts, buttons = st.columns([3, 2], vertical_alignment="center")
    with buttons:
        _buttons(service)
    with facts:
        _facts(service, shown)


def _facts(service: TrainingService, shown: Snapshot) -> None:
    snapshot, refusals = service.snapshot(), _refusals()
    if layout(snapshot) != layout(shown):
        st.rerun()
    live_markup(lambda: _newest_facts(service, refusals), key="status")
    if snapshot.error:
        st.error(snapshot.error)


def _newest_facts(service: TrainingService, refusals: list[str]) -> tuple[str, str]:
    snapshot = service.snapshot()
    return status_markup(snapshot), repr((layout(snapshot), refusals))


def layout(snapshot: Snapshot) -> tuple[object, ...]:
    """Return what decides on the parts of a page; while equal, they keep themselves up to date."""
    has_curves, has_cube = bool(len(snapshot.train)), snapshot.frame is not None
    return snapshot.run_id, snapshot.phase, snapshot.stopping, snapshot.error, has_curves, has_cube


def refuse(reason: str) -> None:
    """Have the status bar say why something was not done."""
    _refusals().append(reason)


def _refusals() -> list[str]:
    """Refusals of this session that the status bar has not shown yet; always the same list."""
    refusals: list[str] = st.session_state.setdefault("refusals", [])
    return refusals


def order(action: Callable[[], None]) -> None:
    """Give an order; if it is refused, the status bar says why."""
    try:
        action()
    except CellnetError as error:
        refuse(str(error))


def _start(service: TrainingService) -> None:
    """Start with what the form below holds now, though it may not have been drawn since it was typed."""
    try:
        service.draft = with_changes(service.draft, typed(NEXT_RUN))
    except SettingsError as error:
        wrong = "; ".join(error.problems.values())
        refuse(f"The settings below cannot be used: {wrong}")
    else:
        order(lambda: service.start(service.draft))


def _buttons(service: TrainingService) -> None:
    if (pressed := _pressed(service.snapshot())) is not None:
        _ORDERS[pressed](service)
        st.rerun()
    if refusals := _refusals():
        st.warning("; ".join(refusals))
        refusals.clear()


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
