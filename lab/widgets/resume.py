"""Going on with a run from its newest checkpoint, wherever that is offered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from cellnet.runs import RunRecord
from lab.training import TrainingService
from lab.widgets.status import order


def resume_button(
    service: TrainingService,
    run: RunRecord,
    overrides: Mapping[str, Any] | None = None,
    *,
    label: str = "Resume",
    disabled: bool = False,
) -> None:
    """The button that goes on with a run; ``overrides`` are settings that differ from then on.

    It acts where it is drawn: a callback would know only what had been typed when the page was last drawn.
    """
    pressed = st.button(
        label,
        key=f"resume.{run.id}",
        type="primary",
        disabled=disabled,
        help="Go on with this run from its newest checkpoint.",
    )
    if pressed:
        order(lambda: service.resume_run(run.id, overrides or None))
        st.rerun()


def offer_resume(service: TrainingService) -> None:
    """Offer to go on with what the server's last end cut short, unless something was trained since."""
    if not service.interrupted or service.snapshot().run_id is not None:
        return
    for run in service.store.list():
        cut_short = run.id in service.interrupted and run.state == "interrupted"
        if cut_short and service.store.checkpoints(run.id):
            st.info(f"The run {run.id} was cut short at step {run.step:,} when the lab's server ended.")
            resume_button(service, run, label="Resume it")
            return
