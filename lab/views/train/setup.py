"""The settings of the next run: presets, the form, and the same as TOML."""

from typing import Final

import streamlit as st

from cellnet.errors import SettingsError
from cellnet.settings import Settings, from_toml, to_toml
from cellnet.settings.files import MAX_TOML_BYTES
from lab.presets import FIRST_LIMIT, PRESETS, lab_preset
from lab.training import TrainingService
from lab.views.train.steering import RATIOS, tier_table
from lab.widgets.forms import FIELDS, GROUPS, Form, group_label, renew
from lab.widgets.resume import offer_resume
from lab.widgets.status import NEXT_RUN

ESSENTIALS: Final = (
    "data.limit",
    "training.max_steps",
    "training.batch_size",
    "training.learning_rate",
    "model.steps",
)
_ALL_SENTENCES: Final = 13_201


@st.fragment
def setup_form(service: TrainingService) -> None:
    """Form and TOML of the settings that Start uses."""
    offer_resume(service)
    st.subheader("The next run")
    st.pills(
        "Begin with",
        PRESETS,
        key="preset",
        on_change=_take_preset,
        args=(service,),
        help="Sets every field below; change what you like afterwards.",
    )
    st.caption(data_note(service.draft))
    form = Form(NEXT_RUN, service.draft, follows=True)
    essentials, geometry, files = st.columns([4, 5, 4], gap="large")
    with essentials:
        form.fields(ESSENTIALS)
    with geometry:
        form.fields(RATIOS)
        tiers = st.container()
    with files:
        _toml(service)
    group = st.pills(
        "All settings",
        GROUPS,
        format_func=group_label,
        key="group",
        help="Shows the settings of a group that are not above already.",
        bind="query-params",
    )
    if group:
        names = [name for name in FIELDS if name.startswith(f"{group}.") and name not in form.values]
        for place, column in enumerate(st.columns(3, gap="large")):
            with column:
                form.fields(names[place::3])
    service.draft = form.checked()
    with tiers:
        tier_table(service.draft)


def data_note(settings: Settings) -> str:
    """Say what the first start waits for."""
    if settings.data.source != "docstrings":
        return "The teacher embeds the sentences of the file once; later starts take them from the cache."
    limit = settings.data.limit
    if 0 < limit < _ALL_SENTENCES:
        return (
            f"Learns from {limit:,} of the about {_ALL_SENTENCES:,} English sentences in Python's own "
            "documentation strings. The teacher embeds them once, before the first step: "
            f"{FIRST_LIMIT:,} sentences in half a minute to a minute on two cores, all of them (limit 0) "
            "in 1 to 2 minutes. Later starts take them from the cache."
        )
    return (
        f"Learns from all of the about {_ALL_SENTENCES:,} English sentences in Python's own documentation "
        "strings: 1 to 2 minutes of embedding first on two cores. Later starts take them from the cache."
    )


def _take_preset(service: TrainingService) -> None:
    if name := st.session_state["preset"]:
        _take(service, lab_preset(name))


def _take(service: TrainingService, settings: Settings) -> None:
    service.draft = settings
    renew(NEXT_RUN)


def _toml(service: TrainingService) -> None:
    st.download_button(
        "Save these settings as TOML",
        lambda: to_toml(service.draft),
        "settings.toml",
        "text/plain",
        on_click="ignore",
        width="stretch",
        help="The same file works for the command line: cellnet train --config settings.toml",
    )
    st.file_uploader(
        "Load settings from TOML",
        type="toml",
        key="toml",
        on_change=_take_file,
        args=(service,),
        help="Keys that are absent keep their value.",
    )
    if problem := st.session_state.get("toml_problem"):
        st.error(problem)
    text = st.expander("Show as TOML", key="toml_shown", on_change="rerun")
    if text.open:  # what colors code in the browser takes longer to load than any other part of the page
        text.code(to_toml(service.draft), language="toml", height=260)


def _take_file(service: TrainingService) -> None:
    file = st.session_state["toml"]
    st.session_state["toml_problem"] = ""
    if file is None:
        return
    try:
        if file.size > MAX_TOML_BYTES:
            raise SettingsError(
                f"the file is larger than {MAX_TOML_BYTES:,} bytes, so it holds no settings"
            )
        _take(service, from_toml(file.getvalue().decode(), service.draft))
    except (SettingsError, UnicodeDecodeError) as error:
        st.session_state["toml_problem"] = f"{file.name}: {error}"
