"""The choice of a run, a training step and a sentence, shared by the pages that show a student."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from cellnet.errors import RunError, SettingsError
from cellnet.settings import Settings
from lab.components.choice import Choice
from lab.figures.runs import run_label
from lab.sources.pictures import NEWEST, Pictures, Source
from lab.sources.students import LIVE
from lab.training import TrainingService
from lab.widgets.address import arrived, publish, whole_number

RUN = Choice("cube_run")
STEP = Choice("cube_step")
TEXT = Choice("cube_text")
CELL = Choice("cube_cell")
"""Of the session: what one page looks at, the others do too."""
_MOST_TEXTS = 200


def choose_run(service: TrainingService, choice: Choice, name: str, *, label: str = "Run") -> str:
    """The training under way, or a run of the store; ends the page if its address names none that there is.

    Args:
        service: has the training and the runs.
        choice: the run.
        name: in the page's address.
        label: of the widget.
    """
    runs = {run.id: run for run in service.store.list()}
    options = [LIVE, *runs]
    if (asked := arrived(name)) is not None:
        choice.set(_find_run(service, asked, options))
    unknown = choice.value is None and name in st.query_params
    if choice.value not in options and not unknown:
        live = service.snapshot()
        choice.set(LIVE if live.run_id or live.phase.is_active or not runs else options[1])
    run: str | None = st.selectbox(
        label,
        options,
        index=None if choice.value is None else options.index(choice.value),
        key=choice.key,
        format_func=lambda run: "Training of this lab" if run == LIVE else run_label(runs[run]),
        placeholder="choose a run",
        help="The training under way, or the last one of this lab; or any run, as it was when it ended or "
        "at any step that was kept.",
    )
    if run is None:
        st.error(f"There is no run {st.query_params[name]!r}; choose one.")
        st.stop()
    if run != LIVE:
        try:
            Settings(**runs[run].settings)
        except SettingsError as error:
            st.error(f"This run has settings that this version of cellnet does not know. {error}")
            st.stop()
    publish(name, run)
    return run


def _find_run(service: TrainingService, asked: str, options: list[str]) -> str | None:
    """The run that an address names, perhaps by the beginning of its id only."""
    if asked in options:
        return asked
    try:
        return service.store.get(asked).id
    except RunError:
        return None


def settings_to_see(pictures: Pictures, source: Source) -> Settings | None:
    """The settings of the run; says what to do while there is none."""
    settings = pictures.settings(source.run)
    if settings is None:
        st.info("Nothing to see yet. Start a training with the button above, or choose a run.")
    return settings


def choose_text(
    pictures: Pictures, run: str, choice: Choice, name: str, *, label: str = "Sentence"
) -> str | None:
    """A sentence to send through the cube; None for the one that pictures are kept of.

    Args:
        pictures: has the sentences.
        run: whose held-out sentences are offered.
        choice: the sentence.
        name: in the page's address.
        label: of the widget.
    """
    usual = _usual_text(pictures, run)
    if (asked := arrived(name)) is not None:
        choice.set(asked)
    if choice.value == usual:
        choice.set(None)
    texts = [text for text in pictures.texts(run)[:_MOST_TEXTS] if text != usual]
    if choice.value is not None and choice.value not in texts:
        texts.insert(0, choice.value)
    text: str | None = st.selectbox(
        label,
        texts,
        index=None if choice.value is None else texts.index(choice.value),
        key=choice.key,
        placeholder=usual or "the sentence that pictures were kept of",
        accept_new_options=True,
        help="Choose a held-out sentence or type one of your own. The student itself carries it then, so "
        "that steps of a finished run are those of its checkpoints. Empty: the sentence of the pictures.",
    )
    publish(name, text)
    return text


def choose_step(pictures: Pictures, source: Source, choice: Choice, name: str, *, label: str) -> Source:
    """The training step to look at, among those that were kept.

    Args:
        pictures: has the steps.
        source: of which run, with which sentence.
        choice: the step, or `NEWEST`.
        name: in the page's address.
        label: of the widget.
    """
    steps = pictures.steps(source)
    requested = arrived(name)
    if (number := whole_number(requested)) in steps:
        choice.set(number)
    elif requested == NEWEST or choice.value not in steps:
        choice.set(NEWEST)
    if not steps:
        publish(name, None)
        return replace(source, step=None)
    options: list[int | str] = [*steps, NEWEST]
    chosen = st.select_slider(
        label,
        options,
        choice.value,
        key=choice.key,
        format_func=lambda step: step if step == NEWEST else f"{step:,}",
        help="Steps of the training that were kept, spread evenly over it. Newest follows the training.",
    )
    publish(name, None if chosen == NEWEST else str(chosen))
    return replace(source, step=None if chosen == NEWEST else int(chosen))


def _usual_text(pictures: Pictures, run: str) -> str | None:
    """The sentence that pictures of a run are kept of."""
    if run == LIVE and (frame := pictures.service.snapshot().frame) is not None:
        return frame.text
    run_id = pictures.run_id(run)
    frames = None if run_id is None else pictures.service.frames(run_id)
    steps = frames.steps() if frames else []
    return frames.summary(steps[-1]).text if frames and steps else None
