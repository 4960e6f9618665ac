"""Turning a training while it runs: distance ratios, loss weights, learning rate, gate temperature."""

from concurrent.futures import Future
from pathlib import Path
from typing import Final

import streamlit as st
from markupsafe import Markup

from cellnet.settings import LIVE_SETTINGS, Settings, differences
from lab.components import live_markup
from lab.figures.markup import facts_markup, link_markup, note_markup, tier_markup
from lab.figures.words import gain, tier_report
from lab.routes import checkpoint_url
from lab.training import Snapshot, TrainingService
from lab.widgets.forms import FIELDS, Form
from lab.widgets.status import order

RATIOS: Final = (
    "lattice.adaptive_radius_ratio",
    "lattice.local_distance_ratio",
    "lattice.functional_distance_ratio",
    "lattice.distant_distance_ratio",
)
RATES: Final = ("training.learning_rate", "gate.temperature")
WEIGHTS: Final = tuple(sorted(name for name in LIVE_SETTINGS if name.startswith("loss.")))
_KEY: Final = "live"
_SAVING: Final = "checkpoint_saving"


@st.fragment
def steering(service: TrainingService) -> None:
    """Controls that act on the running training before its next batch, and what they mean.

    So many widgets are drawn when one is turned, here or in another tab, and not once a second.
    """
    snapshot = service.snapshot()
    if snapshot.settings is None or not snapshot.phase.is_training:
        return
    form = Form(_KEY, snapshot.settings, follows=True)
    geometry, weights, rest = st.columns([5, 4, 4], gap="large")
    with geometry:
        st.subheader(
            "Geometry", help="Turn the ratios while the cube learns; the change is marked in every curve."
        )
        form.fields(RATIOS)
        tiers = st.container()
    with weights:
        st.subheader("Loss weights")
        form.fields(WEIGHTS)
    with rest:
        st.subheader("Rate and gate")
        form.fields(RATES)
        facts = st.container()
    requested = form.checked()
    with tiers:
        tier_table(requested)
    if changes := {name: new for name, (_, new) in differences(snapshot.settings, requested).items()}:
        order(lambda: service.apply(changes))
    with facts:
        _live_facts(service, requested)


@st.fragment
def _live_facts(service: TrainingService, shown: Settings) -> None:
    """Draw the result so far; draw the page anew where its controls no longer show the settings."""
    snapshot, saving = service.snapshot(), _saving()
    if snapshot.settings != shown:
        st.rerun()

    def newest() -> tuple[str, str]:
        now = service.snapshot()
        return _facts(now), repr((now.settings, _waits(saving)))

    live_markup(newest, key="facts")
    _save_button(service, snapshot)


def tier_table(settings: Settings) -> None:
    """Draw the tiers of these settings, and the ratio that would fill a tier that is empty."""
    report = tier_report(settings)
    st.html(tier_markup(report))
    for tier, remedy in report.empty_tiers.items():
        st.info(f"The {tier} tier is empty: experts that read it see each cell alone. {remedy}.")
    reach = report.reach
    crosses = "crosses the cube" if reach.crosses else "does not cross the cube"
    st.caption(
        f"In {settings.model.steps} steps a signal travels {reach.total:.1f} cells and {crosses} "
        f"({reach.edge} cells wide)."
    )


def run_facts(snapshot: Snapshot) -> None:
    """Draw the result so far, next to PCA, and the checkpoint to take away."""
    st.html(_facts(snapshot))


def _facts(snapshot: Snapshot) -> Markup:
    return _waiting_markup(snapshot) + facts_markup(_figures(snapshot)) + _checkpoint_markup(snapshot)


def _waiting_markup(snapshot: Snapshot) -> Markup:
    """Draw the changes that act from the next batch on."""
    changes = ", ".join(f"{FIELDS[name].title} {value:g}" for name, value in snapshot.waiting.items())
    return note_markup(f"From the next batch on: {changes}") if changes else Markup()


def _checkpoint_markup(snapshot: Snapshot) -> Markup:
    if snapshot.checkpoint is None or snapshot.run_id is None:
        return note_markup("The first checkpoint is written on Stop, or at the step set in the settings.")
    megabytes = snapshot.checkpoint.bytes / 1e6
    return link_markup(
        f"Download checkpoint (step {snapshot.checkpoint.step:,}, {megabytes:.0f} MB)",
        checkpoint_url(snapshot.run_id),
        help="Weights, optimizer, settings and random states as one zip file of safetensors and JSON.",
    )


def _saving() -> Future[Path] | None:
    """The checkpoint that this session asked for last."""
    saving: Future[Path] | None = st.session_state.get(_SAVING)
    return saving


def _waits(saving: Future[Path] | None) -> bool:
    return saving is not None and not saving.done()


def _save_button(service: TrainingService, snapshot: Snapshot) -> None:
    """Save a checkpoint before the next batch; until it is written the button waits."""
    saving = _saving()
    waits = _waits(saving)
    if saving is not None and not waits and (error := saving.exception()):
        st.error(f"The checkpoint was not saved: {error}")
    if st.button(
        "Saving after this batch ..." if waits else "Save a checkpoint now",
        key="save",
        disabled=waits or snapshot.stopping,
        help="Written between two batches, also while paused. Of those that are not the best, the newest "
        "few are kept, as the settings say.",
        width="stretch",
    ):
        order(lambda: st.session_state.update({_SAVING: service.save_checkpoint()}))
        st.rerun()


def _figures(snapshot: Snapshot) -> dict[str, str]:
    counts = f"{snapshot.train_sentences:,} + {snapshot.validation_sentences:,}"
    figures = {"sentences, train + validation": counts}
    if snapshot.pca is not None:
        figures["explained variance, PCA"] = f"{snapshot.pca:.3f}"
    if snapshot.explained_variance is not None:
        figures["explained variance, cube"] = f"{snapshot.explained_variance:.3f}"
    if (difference := gain(snapshot)) is not None:
        figures["gain over PCA"] = f"{difference:+.3f}"
    if snapshot.cache:
        hits, misses = snapshot.cache["connection_hits"], snapshot.cache["connection_misses"]
        figures["neighbor lists reused / built"] = f"{hits:,} / {misses:,}"
    return figures
