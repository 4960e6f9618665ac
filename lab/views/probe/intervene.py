"""Break the cube and see it heal: damage, its effect on what comes out, and what later steps repair."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np
import streamlit as st

from cellnet.errors import DataError
from cellnet.inspection import Inspection, inspection_bytes
from cellnet.inspection.repair import damage_costs, explained_variance, measure_repair, usual_damages
from cellnet.lattice.geometry import TIERS
from cellnet.lattice.regions import AXES, box_cells, layer_cells, random_cells
from cellnet.measures import Embeddings
from cellnet.student.damage import Intervention
from cellnet.student.experts import EXPERTS
from cellnet.student.student import CellNet
from lab.components.chart import chart
from lab.components.choice import Choice
from lab.figures.colors import EXPERT_COLORS, TIER_COLORS
from lab.figures.markup import facts_line, quote_markup
from lab.figures.probe.cells import Fields, activity, decades, difference
from lab.figures.probe.damage import costs_figure, damage_panels
from lab.figures.probe.panels import lines_figure
from lab.figures.probe.sentence import explained_share
from lab.sources.students import Student
from lab.views.probe.page import (
    KEPT,
    Subject,
    choose_log,
    choose_number,
    choose_step,
    choose_view,
    look,
    nearest,
    need_sentences,
    neighbors_markup,
    student_key,
    values_cube,
)
from lab.widgets.address import arrived, number, publish

Lesion = Literal["box", "layer", "random"]
Shown = Literal["difference", "damaged", "intact"]
_LESIONS: Final[tuple[Lesion, ...]] = ("box", "layer", "random")
_SHOWN: Final[dict[Shown, str]] = {"difference": "Damage", "damaged": "Damaged", "intact": "Intact"}
_SAMPLES: Final = (64, 256, 1024)
_QUICK_SAMPLE: Final = 32
_CHEAP_BYTES: Final = 4 * 10**6
"""A cube that keeps less than this per sentence is measured on held-out sentences without a press."""
_MOST_NOISE: Final = 3.0
_LESION: Final = Choice("probe_lesion")
_SILENCE: Final = Choice("probe_silence")
_CUT: Final = Choice("probe_cut")
_NOISE: Final = Choice("probe_noise")

_measuring = threading.Lock()


def intervene(subject: Subject) -> None:
    """Controls on the left, what the damage does on the right, what damages cost below."""
    controls, results = st.columns([2, 6], gap="large")
    with controls:
        row = choose_number("Sentence", len(subject.texts), 1, "probe_damaged")
        intervention = choose_intervention(subject)
    # Every part has its place, whether there is damage or not: what is outdated then never stands twice.
    with results:
        st.html(quote_markup(subject.texts[row]))
        facts, held_out, effect = st.empty(), st.empty(), st.container()
    decoded = st.container()
    with effect:
        damaged = _damaged(subject, intervention)
        if damaged is not None:
            facts.html(facts_line(_facts(subject, damaged, row)))
            _effect(subject, damaged, row)
    with decoded:
        if damaged is not None:
            _decoded(subject, damaged, row)
    _sweep(subject)
    if damaged is not None:
        # Last, since it takes longest: all else is there already.
        held_out.html(facts_line(_held_out(subject, intervention)))


def _damaged(subject: Subject, intervention: Intervention) -> Inspection | None:
    if intervention.is_none:
        st.info(
            "Nothing is damaged yet. On the left, take out cells, silence an expert, cut a tier or add "
            "noise; here you then see what it does to this sentence and whether later steps repair it."
        )
        return None
    return look(subject.shelf, subject.student, subject.texts, intervention)


# Controls.


def choose_intervention(subject: Subject) -> Intervention:
    """Draw what can be done to the cube and return what was chosen."""
    st.button(
        "Reset interventions",
        key="probe_reset",
        on_click=_reset,
        help="The cube is whole again.",
        width="stretch",
    )
    lesion_place, others = st.container(), st.container()
    with others:
        silenced = _choose_parts("Silence an expert", _SILENCE, tuple(EXPERTS), _SILENCE_HELP)
        cut = _choose_parts("Cut a tier", _CUT, TIERS, _CUT_HELP)
        noise, seed = _choose_noise()
        first, last = _choose_steps(subject.steps)
    with lesion_place:
        cells = _choose_lesion(subject.inspection.dimensions, seed)
    return Intervention(
        lesioned=cells,
        silenced=frozenset(silenced),
        cut=frozenset(cut),
        noise=noise,
        seed=seed,
        from_step=first,
        to_step=last,
    )


_SILENCE_HELP = "What this expert proposes is dropped; the gate stays as it is."
_CUT_HELP = "No cell sees its neighbors in this tier; its experts then see each cell alone."


def _choose_parts(label: str, choice: Choice, parts: Sequence[str], help_text: str) -> list[Any]:
    if (linked := arrived(choice.name)) is not None:
        choice.set([part for part in parts if part in linked.split(",")])
    chosen: list[Any] = st.segmented_control(
        label,
        parts,
        selection_mode="multi",
        default=choice.value,
        key=choice.key,
        help=help_text,
        width="stretch",
    )
    publish(choice.name, ",".join(chosen) or None)
    return chosen


def _choose_noise() -> tuple[float, int]:
    if (linked := number(arrived(_NOISE.name))) is not None and 0.0 <= linked <= _MOST_NOISE:
        _NOISE.set(linked)
    noise = st.slider(
        "Noise",
        0.0,
        _MOST_NOISE,
        value=_NOISE.value or 0.0,
        step=0.05,
        key=_NOISE.key,
        help="Standard deviation, relative to the rms of the states; added once, before the first step.",
    )
    publish(_NOISE.name, f"{noise:g}" if noise else None)
    seed: int = st.number_input(
        "Seed",
        0,
        2**31 - 1,
        key="probe_seed",
        help="Of the noise and of the random cells: equal seeds, equal damage.",
        **KEPT,
    )
    return noise, seed


def _choose_steps(steps: int) -> tuple[int, int]:
    if steps == 1:
        return 0, 0
    span: tuple[int, int] = st.slider(
        "In lattice steps",
        0,
        steps - 1,
        value=(0, 0),
        key="probe_when",
        help=f"First and last of the {steps} steps in which the damage acts, from 0; those after it show "
        "whether the cube repairs it. Noise is added once, before the first of them.",
        **KEPT,
    )
    return span


def _choose_lesion(dimensions: tuple[int, int, int], seed: int) -> tuple[int, ...]:
    """Draw what kind of lesion and where, and return its cells."""
    if (linked := arrived(_LESION.name)) in _LESIONS:
        _LESION.set(linked)
    lesion: Lesion | None = st.segmented_control(
        "Lesion",
        _LESIONS,
        default=_LESION.value,
        key=_LESION.key,
        help="The state of these cells is held at zero. Click again to take it back.",
        width="stretch",
    )
    publish(_LESION.name, lesion)
    cells = _lesioned(lesion, dimensions, seed)
    if cells:
        total = math.prod(dimensions)
        st.caption(f"{len(cells):,} of {total:,} cells, {len(cells) / total:.0%}")
    return cells


def _lesioned(lesion: Lesion | None, dimensions: tuple[int, int, int], seed: int) -> tuple[int, ...]:
    match lesion:
        case None:
            return ()
        case "box":
            x, y, z = (_choose_range(axis, edge) for axis, edge in zip(AXES, dimensions, strict=True))
            return box_cells(dimensions, (x, y, z))
        case "layer":
            axis = st.segmented_control(
                "Across",
                AXES,
                default="z",
                required=True,
                key="probe_axis",
                help="The axis that the layer is perpendicular to.",
                **KEPT,
            )
            last = dimensions[AXES.index(axis)] - 1
            place = st.slider(
                "Layer",
                0,
                last,
                value=last // 2,
                key="probe_layer",
                help="Counted from 0.",
                **KEPT,
            )
            return layer_cells(dimensions, axis, place)
        case "random":
            share = st.slider(
                "Share of all cells (%)",
                1,
                100,
                value=10,
                key="probe_share",
                help="So many cells, wherever they are; which ones, the seed decides.",
                **KEPT,
            )
            return random_cells(dimensions, share / 100, seed)


def _choose_range(axis: str, edge: int) -> tuple[int, int]:
    if edge == 1:
        return 0, 0
    chosen: tuple[int, int] = st.slider(
        f"Box along {axis}",
        0,
        edge - 1,
        value=(0, (edge - 1) // 2),
        key=f"probe_box_{axis}",
        help="First and last cell, from 0.",
        **KEPT,
    )
    return chosen


def _reset() -> None:
    for choice in (_LESION, _SILENCE, _CUT, _NOISE):
        choice.set(None)


# Effect.


def _facts(subject: Subject, damaged: Inspection, row: int) -> dict[str, str]:
    intact, repair = subject.inspection, measure_repair(subject.inspection, damaged)
    shares = [
        float(explained_share(found.teacher[row], found.readouts[row, -1], subject.mean))
        for found in (intact, damaged)
    ]
    healed = repair.healed[row]
    return {
        "cosine": f"{intact.cosine[row, -1]:.4f} → {damaged.cosine[row, -1]:.4f}",
        "explained share": f"{shares[0]:.1%} → {shares[1]:.1%}",
        "greatest distance": f"{repair.total[row].max():.3f}",
        "at the end": f"{repair.total[row, -1]:.3f}",
        "healed": "-" if np.isnan(healed) else f"{healed:.0%}",
    }


def _effect(subject: Subject, damaged: Inspection, row: int) -> None:
    intact, repair = subject.inspection, measure_repair(subject.inspection, damaged)
    what = damaged.intervention
    last = what.from_step if what.to_step is None else what.to_step
    chart(
        lines_figure(
            damage_panels(intact, damaged, repair, row), height=290, shaded=(what.from_step, last + 1)
        ),
        key="probe_damage",
        label="Cosine with the teacher and distance to the intact run, step by step",
    )
    st.caption(
        "Gray: the steps in which the damage acts. Distance: ‖damaged - intact‖ / ‖intact‖ of the states. "
        "Healed: the share of the greatest distance that is gone at the end."
    )
    damage_cube(subject, damaged, row)


@st.fragment
def damage_cube(subject: Subject, damaged: Inspection, row: int) -> None:
    """Draw the damage at a lattice step, in 3D."""
    what, log_place, view_place, step_place = st.columns(
        [4, 2, 4, 4], vertical_alignment="bottom", gap="medium"
    )
    shown: Shown = what.segmented_control(
        "Look at",
        list(_SHOWN),
        default="difference",
        required=True,
        key="probe_damage_of",
        format_func=_SHOWN.__getitem__,
        help="Damage: rms of the difference to the intact run. Damaged, Intact: size of the states.",
        **KEPT,
    )
    values = _values(subject, damaged, row, shown)
    with log_place:
        log = choose_log("probe_damage_log")
    with view_place:
        view = choose_view("probe_damage_view")
    with step_place:
        at = choose_step(values, "probe_damage_at")
    stream = f"{subject.texts[row]}/{hash(damaged.intervention)}"
    values_cube(
        subject, decades(values) if log else values, at, view, key="probe_damage_cube", stream=stream
    )


def _values(subject: Subject, damaged: Inspection, row: int, shown: Shown) -> Fields:
    intact, broken = subject.inspection.states[row], damaged.states[row]
    dimensions = damaged.dimensions
    match shown:
        case "difference":
            return difference(intact, broken, dimensions, "difference to the intact run (rms)")
        case "damaged":
            return activity(broken, dimensions)
        case "intact":
            return activity(intact, dimensions)


def _decoded(subject: Subject, damaged: Inspection, row: int) -> None:
    st.markdown("**Decoded text**, the nearest sentences of the data before and after the damage")
    if not subject.student.texts:
        need_sentences(
            subject.shelf, subject.student, "decoded", "They are found among the data of the run."
        )
        return
    try:
        before, after = nearest(
            subject.student, [subject.inspection.readouts[row, -1], damaged.readouts[row, -1]]
        )
    except DataError as error:
        st.error(str(error))
        return
    left, right = st.columns(2, gap="large")
    left.html(neighbors_markup("intact", before, subject.texts[row]))
    right.html(neighbors_markup("damaged", after, subject.texts[row]))


# Many sentences.


def _held_out(subject: Subject, intervention: Intervention) -> dict[str, str]:
    """Explained variance over held-out sentences, before and after, where that is quick."""
    if inspection_bytes(subject.student.model, 1) > _CHEAP_BYTES or not subject.student.held_out:
        return {}
    sample = _sample(subject.student, _QUICK_SAMPLE)
    before, after = (
        _explained(subject.student.model, sample, (subject.key, len(sample)), what)
        for what in (Intervention(), intervention)
    )
    return {f"explained variance of {len(sample)} held-out": f"{before:.3f} → {after:.3f}"}


def _sample(student: Student, size: int) -> Embeddings:
    return student.embeddings[: min(size, student.held_out)]


@st.cache_data(max_entries=256, show_spinner=False, hash_funcs={Intervention: hash})
def _explained(_model: CellNet, _sample: Embeddings, key: tuple[str, int], what: Intervention) -> float:
    with _measuring:
        return explained_variance(_model, _sample, what)


@st.cache_data(max_entries=32, show_spinner=False)
def _costs(_model: CellNet, _sample: Embeddings, key: tuple[str, int]) -> dict[str, float]:
    with _measuring:
        return damage_costs(_model, _sample, usual_damages(_model.settings.lattice.dimensions))


def _sweep(subject: Subject) -> None:
    st.markdown("**What damages cost**, each in all steps, on held-out sentences")
    if not subject.student.held_out:
        need_sentences(subject.shelf, subject.student, "sweep", "It takes held-out sentences of the run.")
        return
    controls, costs_place = st.columns([2, 6], gap="large")
    with controls:
        size: int = st.segmented_control(
            "Held-out sentences",
            _SAMPLES,
            default=_SAMPLES[0],
            required=True,
            key="probe_sample",
            format_func=lambda size: f"{min(size, subject.student.held_out):,}",
            help="More take longer and tell smaller differences apart.",
            **KEPT,
        )
        sample = _sample(subject.student, size)
        key = (student_key(subject.student), len(sample))
        if st.button(
            "Measure the cost of each",
            key="probe_sweep",
            help="Silences each expert, cuts each tier, lesions 5, 10 and 20 % of all cells; nine damages.",
            width="stretch",
        ):
            st.session_state["probe_swept"] = key
    with costs_place:
        if st.session_state.get("probe_swept") != key:
            st.caption("Not measured yet for this student.")
            return
        with st.spinner(f"Carrying {len(sample):,} sentences with each damage …"):
            costs = _costs(subject.student.model, sample, key)
        chart(
            costs_figure(costs, {**TIER_COLORS, **EXPERT_COLORS}),
            key="probe_costs",
            label="Explained variance that each damage costs",
        )
