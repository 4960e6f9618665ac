"""The Data page: choose sentences and a teacher, look at them, embed them, use them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import streamlit as st

from cellnet.data import SentenceData, list_columns, load_texts, split_texts
from cellnet.errors import DataError, TeacherError
from cellnet.settings import DataSettings, EmbeddingSettings, Settings
from cellnet.teacher import find_width
from cellnet.teacher.folders import BUNDLED
from cellnet.training import TrainingData
from lab.components import run_when_newer
from lab.components.chart import chart
from lab.components.choice import Choice
from lab.figures.data import (
    COLORINGS,
    MOST_ROWS,
    Coloring,
    EmbeddingMap,
    bad_rows_table,
    count_facts,
    embedding_map,
    length_figure,
    map_figure,
    reasons_table,
    repeats_table,
    sentence_table,
)
from lab.figures.markup import facts_markup
from lab.figures.words import duration
from lab.sources.uploads import list_uploads
from lab.training import Phase, TrainingService
from lab.training.service import data_key
from lab.widgets.address import arrived, publish
from lab.widgets.forms import Form, field_help
from lab.widgets.next_run import differing, say_used, use_for_next_run
from lab.widgets.status import order
from lab.widgets.upload import choose_column, upload
from lab.work.embedding import Embedding
from lab.work.work import Answer

DOCSTRINGS: Final = "docstrings"
TEACHERS: Final = (*BUNDLED, "distilbert-base-uncased")
DATA_FIELDS: Final = (
    "data.limit",
    "data.validation_fraction",
    "data.min_characters",
    "data.max_characters",
)
TEACHER_FIELDS: Final = ("embedding.pooling", "embedding.max_tokens", "embedding.normalize")
USED_FIELDS: Final = (
    "data.source",
    "data.column",
    *DATA_FIELDS,
    "embedding.teacher",
    "embedding.teacher_width",
    *TEACHER_FIELDS,
)
_KEY: Final = "data"
_SOURCE: Final = Choice("data_source")
_COLUMN: Final = "data_column"
_TEACHER: Final = "data_teacher"
_WIDTHS: Final = "data_widths"
_HEIGHT: Final = 440


# What to learn from.


def choose_source(service: TrainingService) -> dict[str, Any]:
    """Docstrings or an uploaded file, its column, and what of it is used; as ``{"group.key": value}``."""
    st.subheader("Sentences")
    root, draft = service.store.root, service.draft
    paths = {path.name: str(path) for path in list_uploads(root)}
    known = {DOCSTRINGS: DOCSTRINGS, **paths}
    if draft.data.source not in known.values():
        known[draft.data.source] = draft.data.source
    names = list(known)
    if (asked := arrived(_SOURCE.name)) in known:
        _SOURCE.set(asked)
    if _SOURCE.value not in known:
        _SOURCE.set(names[list(known.values()).index(draft.data.source)])
    name = st.selectbox(
        "Source",
        names,
        index=names.index(_SOURCE.value),
        key=_SOURCE.key,
        help=field_help("data.source"),
    )
    publish(_SOURCE.name, name)
    upload(root, _SOURCE)
    source = known[name]
    return {"data.source": source, "data.column": _choose_column(source, draft)}


def _choose_column(source: str, draft: Settings) -> str:
    if source == DOCSTRINGS:
        st.caption("English sentences from the documentation strings of Python's own library.")
        return ""
    try:
        columns = list_columns(Path(source).expanduser())
    except DataError as error:
        st.error(str(error))
        return ""
    return choose_column(columns, f"{_COLUMN}.{source}", first=draft.data.column)


def choose_amount(settings: Settings, values: dict[str, Any]) -> tuple[Settings, bool]:
    """Limits and split; returns the settings with all that was chosen, and whether they are possible."""
    form = Form(_KEY, settings)
    for column, names in zip(st.columns(2), (DATA_FIELDS[::2], DATA_FIELDS[1::2]), strict=True):
        with column:
            form.fields(names)
    return form.checked(values), not form.problems


# The teacher.


def choose_teacher(service: TrainingService) -> dict[str, Any] | None:
    """Name of the teacher and how it reads; None, with the reason at its field, if it is not there."""
    st.subheader("Teacher")
    draft = service.draft
    typed = st.session_state.get(_TEACHER) or st.query_params.get(_TEACHER) or draft.embedding.teacher
    options = list(dict.fromkeys((*TEACHERS, draft.embedding.teacher, typed)))
    teacher: str = st.selectbox(
        "Teacher",
        options,
        index=options.index(draft.embedding.teacher),
        key=_TEACHER,
        accept_new_options=True,
        help=f"{field_help('embedding.teacher')} Type any id or folder.",
        bind="query-params",
    )
    above = st.container()
    form = Form(_KEY, draft)
    form.fields(TEACHER_FIELDS)
    chosen = form.checked({"embedding.teacher": teacher})
    with above:
        width = _width(chosen.embedding.replace(teacher=teacher))
    if width is None or form.problems:
        return None
    return {"embedding.teacher": teacher, "embedding.teacher_width": width, **form.values}


def _width(chosen: EmbeddingSettings) -> int | None:
    """The width of a teacher's embeddings; None, with the reason or a way to find out said."""
    known: dict[str, int | str] = st.session_state.setdefault(_WIDTHS, {})
    teacher, key = chosen.teacher, _width_key(chosen)
    if key not in known and (teacher in BUNDLED or Path(teacher).expanduser().is_dir()):
        _look_for(chosen)
    width = known.get(key)
    if isinstance(width, int):
        st.caption(f"Gives embeddings of width {width:,}.")
        return width
    if width is not None:
        st.error(width)
    # Never by itself: opening a link to this page must not make the lab download anything.
    if st.button(
        "Look again" if width else "Look for it on the hub",
        key="data_teacher_look",
        help="Takes the teacher from the hub's cache on this machine, or else downloads it.",
        width="stretch",
    ):
        _look_for(chosen)
        st.rerun()
    return None


def _width_key(chosen: EmbeddingSettings) -> str:
    """Return the settings that decide whether there is such a teacher, and its width."""
    return chosen.model_dump_json(include={"teacher", "pooling", "normalize", "max_tokens"})


def _look_for(chosen: EmbeddingSettings) -> None:
    """Find out a teacher's width, or why there is no such teacher, and remember it for the session."""
    with st.spinner("Asking the teacher …"):
        try:
            answer: int | str = find_width(chosen)
        except TeacherError as error:
            answer = str(error)
    st.session_state[_WIDTHS][_width_key(chosen)] = answer


# Reading.


def read(settings: DataSettings) -> SentenceData | None:
    """The sentences, or None with the reason said; the last few are kept."""
    path = Path(settings.source).expanduser()
    changed = path.stat().st_mtime_ns if settings.source != DOCSTRINGS and path.is_file() else 0
    try:
        return _read(settings.model_dump_json(), changed, settings)
    except DataError as error:
        st.error(str(error))
        return None


@st.cache_resource(max_entries=4, show_spinner="Reading the sentences …")
def _read(key: str, changed: int, _settings: DataSettings) -> SentenceData:
    return split_texts(*load_texts(_settings), _settings)


# Embedding, and use.


def embed_and_use(
    service: TrainingService,
    embedding: Embedding,
    settings: Settings | None,
    sentences: SentenceData | None,
) -> None:
    """Counts, the job in the background, and the way into the next run."""
    st.subheader("Embeddings")
    problem = _not_ready(settings, sentences)
    _job(service, embedding, settings, problem, embedding.answer().pending)
    if settings is None:
        return
    changes = differing(service.draft, settings, USED_FIELDS)
    if st.button(
        "Use for the next run",
        key="data_use",
        type="primary" if changes and not problem else "secondary",
        disabled=bool(problem) or not changes,
        help=problem or "Source, column, limits and teacher go into the form on the page Train.",
        width="stretch",
    ):
        use_for_next_run(service, changes, _KEY)
    uses = not changes and not problem
    if not say_used(_KEY, still=uses) and uses:
        st.caption("The next run uses exactly this.")


def _not_ready(settings: Settings | None, sentences: SentenceData | None) -> str:
    if settings is None:
        return "Put right what is marked first."
    if sentences is None:
        return "The sentences cannot be read."
    return sentences.problem


@st.fragment
def _job(
    service: TrainingService,
    embedding: Embedding,
    settings: Settings | None,
    problem: str,
    was_running: bool,
) -> None:
    """Progress, speed and what is left, with the buttons that fit; draws the page anew once it ends."""
    run_when_newer(lambda: str(replace(embedding.answer(), value=None, seconds=0.0)), key="job")
    now = embedding.answer()
    running = now.pending
    if running != was_running:
        st.rerun()
    mine = settings is not None and now.newest == data_key(settings)
    ready = settings is not None and embedding.data_of(settings) is not None
    if running or (mine and now.error):
        st.progress(now.stage.share, text=job_text(now))
        if now.error and not now.cancelled:
            st.error(now.error)
        if not mine:
            st.caption("These are sentences or a teacher chosen before.")
    if ready and not running:
        took = f" Took {duration(now.seconds)}." if mine and not now.error else ""
        st.success(f"Embedded: see the map below.{took}")
    elif not running and not now.cancelled:
        st.caption(
            "Not embedded in this session. What an earlier one embedded comes from the cache on disk."
        )
    _job_buttons(service, embedding, settings, problem, now, ready)


def _job_buttons(
    service: TrainingService,
    embedding: Embedding,
    settings: Settings | None,
    problem: str,
    now: Answer[TrainingData],
    ready: bool,
) -> None:
    running = now.pending
    preparing = service.snapshot().phase is Phase.PREPARING
    if preparing:
        problem = "A training is preparing its data just now; wait until it trains, or stop it."
        st.caption(problem)
    resumes = settings is not None and now.newest == data_key(settings) and now.cancelled
    start, cancel = st.columns(2)
    pressed = start.button(
        "Resume" if resumes else "Embed",
        key="data_embed",
        type="primary" if not (ready or running or problem) else "secondary",
        disabled=running or ready or bool(problem),
        help=problem
        or "The teacher reads every sentence once; it goes on behind other pages. What is done is "
        "kept on disk.",
        width="stretch",
    )
    cancel.button(
        "Cancel",
        key="data_cancel",
        disabled=not running,
        on_click=embedding.cancel,
        help="Stops after the block of sentences under way; Resume goes on from there.",
        width="stretch",
    )
    if pressed and settings is not None:
        order(lambda: embedding.start(settings))
        st.rerun()


def job_text(now: Answer[TrainingData]) -> str:
    """The embedding in one line."""
    stage = now.stage
    if now.cancelled:
        return f"stopped at {stage.done:,} of {stage.total:,}" if stage.total else "stopped"
    if now.error:
        return f"failed while {stage.label}"
    counted = f"{stage.label}: {stage.done:,} of {stage.total:,}" if stage.total else f"{stage.label} …"
    speed = f" · {stage.speed:,.0f} sentences/s" if stage.speed else ""
    left = f" · {duration(stage.seconds_left)} left" if stage.seconds_left is not None else ""
    return counted + speed + left


# Looking.


def counts(data: SentenceData) -> None:
    """Draw the counts of the rows."""
    st.html(facts_markup(count_facts(data)))
    if data.problem:
        st.error(data.problem[0].upper() + data.problem[1:])


def lengths(data: SentenceData, settings: DataSettings) -> None:
    """Draw the lengths of the sentences."""
    if not data.report.kept:
        st.info("There is no sentence to measure. Look at the bad rows for the reasons.")
        return
    chart(
        length_figure(data, settings),
        key="data_lengths",
        label="How many sentences have which length, by split",
        tools=True,
    )


def sentence_list(data: SentenceData) -> None:
    """A table of the sentences, to search."""
    find, splits = st.columns([3, 2], vertical_alignment="bottom")
    words = find.text_input(
        "Find",
        key="data_find",
        placeholder="every word must occur",
        help="Shows the sentences that contain every one of these words.",
        bind="query-params",
    )
    chosen = splits.segmented_control(
        "Split",
        ("train", "validation"),
        selection_mode="multi",
        default=("train", "validation"),
        key="data_splits",
        help="Sentences to learn from, and those held out.",
        width="stretch",
    )
    table, total = sentence_table(data, words or "", chosen)
    st.dataframe(
        table,
        hide_index=True,
        height=_HEIGHT,
        key="data_sentences",
        column_config={
            "split": st.column_config.TextColumn("Split", width=90),
            "characters": st.column_config.NumberColumn("Characters", width=90),
            "sentence": st.column_config.TextColumn("Sentence"),
        },
    )
    shown = f"the first {MOST_ROWS:,} of " if total > MOST_ROWS else ""
    st.caption(f"Shows {shown}{total:,} sentences.")


def bad_rows(data: SentenceData) -> None:
    """Draw the rows that are left out, with reasons."""
    report = data.report
    total = sum(report.bad_reasons.values())
    if not total:
        st.success("No row is bad.")
        return
    reasons, rows = st.columns([1, 2], gap="large")
    reasons.dataframe(reasons_table(report), hide_index=True, key="data_reasons")
    with rows:
        st.dataframe(bad_rows_table(report), hide_index=True, height=_HEIGHT, key="data_bad_rows")
        if total > len(report.bad_rows):
            st.caption(f"The first {len(report.bad_rows):,} of {total:,} bad rows.")


def repeats(data: SentenceData) -> None:
    """Draw the texts that occur more than once."""
    report = data.report
    if not report.duplicates:
        st.success("Every text occurs once.")
        return
    st.caption(
        f"{report.duplicates:,} rows repeat a text that came earlier, whitespace aside; each text is used "
        "once, so that none is both learned and held out."
    )
    st.dataframe(repeats_table(report), hide_index=True, height=_HEIGHT, key="data_repeats")


def embeddings(embedding: Embedding, settings: Settings | None) -> None:
    """The map of the embeddings, once they are there."""
    data = embedding.data_of(settings) if settings is not None else None
    if settings is None or data is None:
        st.info("Press Embed above: then every sentence is a point here, near to what means the same.")
        return
    if not data.train_texts:
        st.info("The data of this training came without their sentences, so that there is nothing to show.")
        return
    choice, find = st.columns([1, 2], vertical_alignment="bottom")
    coloring: Coloring = choice.segmented_control(
        "Color by",
        list(COLORINGS),
        format_func=COLORINGS.__getitem__,
        default="split",
        required=True,
        key="data_coloring",
        help="Split: learned from or held out. Length: how many characters the sentence has.",
        bind="query-params",
        width="stretch",
    )
    words = find.text_input(
        "Find",
        key="data_find_points",
        placeholder="every word must occur",
        help="Rings the sentences that contain every one of these words.",
        bind="query-params",
    )
    shown = _map(data_key(settings), data)
    chart(
        map_figure(shown, coloring, words or ""),
        key="data_map",
        label="Embeddings in the plane of their two first principal components",
        tools=True,
    )
    sample = f"a sample of {len(shown.texts):,} of " if len(shown.texts) < shown.total else ""
    st.caption(f"The teacher's embeddings of {sample}{shown.total:,} sentences, projected by PCA.")


@st.cache_resource(max_entries=4, show_spinner="Drawing the map …")
def _map(key: str, _data: TrainingData) -> EmbeddingMap:
    return embedding_map(_data)
