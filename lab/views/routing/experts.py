"""The value of each expert: output norm, ablation cost and similarity, measured on demand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final

import streamlit as st

from cellnet.errors import RunError
from cellnet.inspection.repair import damage_costs
from cellnet.inspection.similarity import ExpertMeasures, measure_experts
from cellnet.student.damage import Intervention
from cellnet.student.experts import EXPERTS
from lab.components.awaited import awaited
from lab.components.chart import chart
from lab.figures import inline
from lab.figures.routing import ablation_figure, norms_figure, similarity_figure
from lab.sources.pictures import Pictures, Source
from lab.widgets.scrub import chosen_lattice_step, chosen_training_step

SAMPLE: Final = 64
"""Held-out sentences that the experts are measured on."""


@dataclass(frozen=True)
class Measured:
    """The experts on held-out sentences of one training step."""

    step: int
    measures: ExpertMeasures
    costs: dict[str, float]


@st.fragment
def experts(pictures: Pictures, source: Source) -> None:
    """Output norm, ablation cost and CKA on held-out sentences, measured when asked for."""
    source = chosen_training_step(pictures, source)
    head, button = st.columns([6, 2], vertical_alignment="center")
    head.subheader("The experts on held-out sentences")
    pressed = button.button(
        f"Measure on {SAMPLE} sentences",
        key="routing_measure_button",
        type="primary",
        help="Sends held-out sentences through the student, intact and with each expert silenced. It takes "
        "seconds for a small cube and minutes for a large one; the pages stay usable meanwhile.",
        width="stretch",
    )
    if pressed:
        st.session_state["routing_asked"] = (
            source,
            pictures.service.snapshot().step if source.follows else 0,
        )
    requested = st.session_state.get("routing_asked")
    if requested is None or requested[0].run != source.run:
        st.caption("Nothing measured yet. Output norms, ablation costs and similarity (CKA) appear here.")
        return
    what, version = requested
    answer = awaited(("experts", what), version, partial(_measure, pictures, what), name="experts")
    if answer.error:
        st.error(answer.error)
    if answer.pending or (answer.value is None and not answer.error):
        st.caption("Measuring ...")
    if answer.value is not None:
        _measured(answer.value)


def _measured(found: Measured) -> None:
    steps = len(found.measures.output_norms)
    norms, costs, similarity = st.columns(3, gap="large")
    with norms:
        st.html(inline.part("Output norm", "", f"training step {found.step:,}"))
        chart(
            norms_figure(found.measures),
            key="routing_norms",
            label="Norm of what each expert gives in each lattice step",
            tools=True,
        )
    with costs:
        st.html(inline.part("Ablation cost", "", f"{found.measures.sentences} held-out sentences"))
        chart(
            ablation_figure(found.costs),
            key="routing_costs",
            label="Explained variance lost with each expert silenced",
            tools=True,
        )
    with similarity:
        at = chosen_lattice_step(steps)
        st.html(inline.part("Similarity of what they propose (linear CKA)", "", f"lattice step {at}"))
        chart(
            similarity_figure(found.measures, at),
            key="routing_cka",
            label="Similarity of each pair of experts",
            tools=True,
        )


def _measure(pictures: Pictures, source: Source) -> Measured:
    student = pictures.with_texts(pictures.student(source))
    rows = student.embeddings[: min(SAMPLE, student.held_out or len(student.embeddings))]
    if len(rows) < 2:
        raise RunError("the run has no held-out sentences to measure on")
    silenced: dict[str, Intervention] = {name: Intervention(silenced={name}) for name in EXPERTS}
    costs = damage_costs(student.model, rows, silenced)
    return Measured(student.step, measure_experts(student.model, rows), dict(costs))
