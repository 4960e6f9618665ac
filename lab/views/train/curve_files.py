"""The curves of the training as files, as they are when a button is pressed."""

from __future__ import annotations

from functools import partial

import streamlit as st

from lab.figures.curves import loss_panels, step_marks
from lab.figures.runs import curves_csv
from lab.files.stills import MIME, Kind, panels_image
from lab.training import TrainingService

_SHOWN = "curves_shown"


def shown_curves() -> dict[str, int]:
    """Arguments of `loss_panels` with which this session's curves are drawn; who draws them sets them."""
    shown: dict[str, int] = st.session_state.setdefault(_SHOWN, {"smoothing": 1})
    return shown


def curve_files(service: TrainingService, run_id: str) -> None:
    """Buttons for the numbers and the figure of the training.

    They stand apart from the curves, which are drawn anew every second: a button drawn with them could be
    replaced by its successor under the hand that presses it.
    """
    shown = shown_curves()
    with st.container(horizontal=True):
        st.download_button(
            "Curves as CSV",
            lambda: curves_csv({run_id: service.store.metrics(run_id)}, "wide"),
            f"curves-{run_id}.csv",
            "text/csv",
            key="curves_csv",
            on_click="ignore",
            help="Every logged step of training and validation, not thinned.",
        )
        for kind in MIME:
            st.download_button(
                f"Figure as {kind.upper()}",
                partial(_figure, service, shown, kind),
                f"curves-{run_id}.{kind}",
                MIME[kind],
                key=f"curves_{kind}",
                on_click="ignore",
                help="The curves with this smoothing and window, on white, for a paper or a slide.",
            )


def _figure(service: TrainingService, shown: dict[str, int], kind: Kind) -> bytes:
    snapshot = service.snapshot()
    return panels_image(loss_panels(snapshot, **shown), kind, marks=step_marks(snapshot.changes))
