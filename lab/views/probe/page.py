"""Parts that the sections of the Probe page share: the sentences, and the student's work on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import SystemRandom
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import streamlit as st
import torch
from markupsafe import Markup

from cellnet.decoder import TextDecoder
from cellnet.errors import CellnetError
from cellnet.inspection import FloatArray, Inspection, inspect
from cellnet.student.damage import Intervention
from cellnet.student.student import CellNet
from lab.components import cube
from lab.components.choice import Choice
from lab.figures.cube.cuts import VIEWS, Cut, View, lattice_scene
from lab.figures.cube.wiring import depth
from lab.figures.markup import markup, table_markup
from lab.figures.probe.cells import Fields
from lab.figures.probe.text import Neighbor, neighbors
from lab.files.report import SENTENCE
from lab.sources.students import Student, StudentShelf
from lab.widgets.address import arrived, publish, whole_number
from lab.widgets.scrub import LATTICE_STEP_HELP

MAX_SENTENCES: Final = 12
MAX_CHARACTERS: Final = 4000
NEAREST: Final = 10
KEPT: Final[dict[str, Any]] = {"bind": "query-params", "persist_state": "session"}
"""Of every control: its value is in the address, and is there again when one comes back to it."""
_TEXT: Final = Choice("probe_text")
_PICK: Final = Choice("probe_pick")
_BEGIN: Final = 2
_SHARED_COLOR: Final = "rgba(0, 158, 115, .22)"
_CUBE_HEIGHT: Final = 400


@dataclass(frozen=True, eq=False)
class Subject:
    """Sentences, and what the student does with them.

    Attributes:
        shelf: answers further questions.
        student: the student.
        texts: the sentences.
        inspection: of the sentences.
        reference: states of the mean embedding of the training, (T + 1, N, C): what the cube does when
            nothing in particular is said.
        dark: whether the page is dark.
    """

    shelf: StudentShelf
    student: Student
    texts: tuple[str, ...]
    inspection: Inspection
    reference: FloatArray
    dark: bool

    @property
    def key(self) -> str:
        """Changes with the student."""
        return student_key(self.student)

    @property
    def steps(self) -> int:
        """Lattice steps T."""
        steps: int = self.inspection.relative_change.shape[1]
        return steps

    @property
    def depths(self) -> npt.NDArray[np.int64]:
        """Distance of each cell to the surface, (N,)."""
        return depth(self.student.model.settings)

    @property
    def mean(self) -> FloatArray:
        """Mean embedding of the training, (D,)."""
        return mean_embedding(self.student.model)


def student_key(student: Student) -> str:
    """Return a name that tells students in memory apart."""
    return f"{student.run}/{student.step}/{id(student.model):x}"


def mean_embedding(model: CellNet) -> FloatArray:
    """The mean embedding of the training, (D,)."""
    mean: FloatArray = model.codec.mean.numpy()
    return mean


def ask(shelf: StudentShelf, student: Student) -> Subject | None:
    """Draw the choice of sentences and return what the student does with them; None if it says why not."""
    texts = choose_sentences(shelf, student)
    if not texts:
        st.info("Type a sentence above, one per line, or take one from the data.")
        return None
    inspection = look(shelf, student, texts)
    if inspection is None:
        return None
    reference = _reference(student.model, student_key(student))
    return Subject(shelf, student, texts, inspection, reference, st.context.theme.type == "dark")


def look(
    shelf: StudentShelf, student: Student, texts: tuple[str, ...], intervention: Intervention | None = None
) -> Inspection | None:
    """Inspect; what goes wrong is said, and gives None."""
    try:
        with st.spinner("The teacher reads, the cube thinks …"):
            return shelf.inspect(student, texts, intervention)
    except (CellnetError, ValueError) as error:
        st.error(str(error))
        return None


@st.cache_resource(max_entries=4, show_spinner=False)
def _reference(_model: CellNet, key: str) -> FloatArray:
    states: FloatArray = inspect(_model, mean_embedding(_model)[None]).states[0]
    return states


# The sentences.


def choose_sentences(shelf: StudentShelf, student: Student) -> tuple[str, ...]:
    """Draw the field for sentences and the ways to fill it from the data."""
    field, data = st.columns([5, 4], gap="medium")
    if (linked := arrived(_TEXT.name)) is not None:
        _TEXT.set(linked[:MAX_CHARACTERS])
    if _TEXT.value is None:
        _TEXT.set("\n".join(student.texts[: min(_BEGIN, student.held_out)]) or SENTENCE)
    with data:
        _from_data(shelf, student)
    with field:
        text = st.text_area(
            "Sentences, one per line",
            _TEXT.value,
            key=_TEXT.key,
            height=122,
            max_chars=MAX_CHARACTERS,
            help=f"Up to {MAX_SENTENCES}. A sentence that is not in the data is read by the teacher, which "
            "is loaded for the first one; that takes seconds.",
        )
    publish(_TEXT.name, text)
    lines = split_lines(text)
    if len(lines) > MAX_SENTENCES:
        st.warning(f"The first {MAX_SENTENCES} of {len(lines)} sentences are carried; take some out.")
    return lines[:MAX_SENTENCES]


def split_lines(text: str) -> tuple[str, ...]:
    """The different lines that are not blank."""
    return tuple(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))


def _from_data(shelf: StudentShelf, student: Student) -> None:
    if not student.texts:
        need_sentences(
            shelf, student, "pick", "To take sentences from the data of this run, read them first."
        )
        return
    st.selectbox(
        f"From the data ({student.held_out:,} held-out sentences first)",
        student.texts,
        index=None,
        key=_PICK.key,
        placeholder="search …",
        on_change=_add_picked,
        help="Type to search; what you choose is added as a line.",
    )
    add, replace = st.columns(2)
    if add.button(
        "Add a random held-out one",
        key="probe_random",
        help="A sentence that the student never learned from.",
        width="stretch",
    ):
        _add(_random_text(student))
    if replace.button(
        "Only a random one",
        key="probe_only_random",
        help="Replaces all sentences by one that the student never learned from.",
        width="stretch",
    ):
        _TEXT.set(_random_text(student))


def need_sentences(shelf: StudentShelf, student: Student, key: str, why: str) -> None:
    """Offer to read the sentences of the student's run, which are not in memory."""
    st.caption(why)
    if not st.button(
        "Read the sentences of this run",
        key=f"probe_read_{key}",
        help="Reads the data and looks up or computes their embeddings, as at the start of a training.",
    ):
        return
    try:
        with st.spinner("Reading the sentences and their embeddings …"):
            shelf.read_texts(student)
    except CellnetError as error:
        st.error(str(error))
    else:
        st.session_state.pop("probe_live", None)
        st.rerun()


def _add_picked() -> None:
    _add(_PICK.value)
    _PICK.set(None)


def _random_text(student: Student) -> str:
    return SystemRandom().choice(student.texts[: student.held_out] or student.texts)


def _add(text: str | None) -> None:
    if text:
        lines = [*split_lines(_TEXT.value or ""), " ".join(text.split("\n"))]
        _TEXT.set("\n".join(dict.fromkeys(lines)))


# What several sections draw.


def choose_number(label: str, count: int, default: int, key: str) -> int:
    """Choose one of the sentences, which are numbered from 1; returns its row."""
    choice, numbers = Choice(key), list(range(1, count + 1))
    if (linked := whole_number(arrived(key))) in numbers:
        choice.set(linked)
    if choice.value not in numbers:
        choice.set(min(default, count))
    chosen: int = st.segmented_control(
        label,
        numbers,
        default=choice.value,
        required=True,
        key=choice.key,
        help="Counted as the lines above.",
    )
    publish(key, str(chosen))
    return chosen - 1


def choose_step(shown: Fields, key: str) -> int:
    """A slider over the lattice steps that there are."""
    first, last = min(shown), max(shown)
    if first == last:
        return last
    at: int = st.slider(
        "Lattice step",
        first,
        last,
        value=last,
        key=f"{key}_{first}",
        help=LATTICE_STEP_HELP,
        **KEPT,
    )
    return at


def choose_log(key: str) -> bool:
    """Draw the switch for logarithms; return whether colors stand for them."""
    log: bool = st.toggle(
        "Log",
        value=True,
        key=key,
        help="Colors stand for powers of ten, so that the little that arrives deep inside is seen too.",
        **KEPT,
    )
    return log


def choose_view(key: str) -> View:
    """Whole, cut open, or layers apart."""
    view: View = st.segmented_control(
        "Show",
        VIEWS,
        default="cut open",
        required=True,
        key=key,
        help="Cut open: the half with the lower y is taken away. Layers: apart along z.",
        **KEPT,
    )
    return view


def values_cube(
    subject: Subject,
    shown: Fields,
    at: int,
    view: View,
    *,
    key: str,
    stream: str,
    height: int = _CUBE_HEIGHT,
    selected: int | None = None,
) -> None:
    """The cube colored by values, with one cell outlined."""
    cells = shown[at]
    cube(
        lattice_scene(cells, Cut.at_a_glance(view, cells.dimensions)),
        key=cube_key(key, view),
        seq=0,
        stream=f"{subject.key}/{stream}/{cells.label}/{at}/{view}/{selected}",
        height=height,
        label=f"Cube after {at} lattice steps: {cells.label}",
        camera=f"probe {view}",
        selected=selected,
    )


def cube_key(key: str, view: View) -> str:
    """Key of the cube that `values_cube` draws: each view fits the window and keeps its own camera."""
    return f"{key} {view}"


def nearest(student: Student, embeddings: Sequence[FloatArray]) -> list[list[Neighbor]]:
    """Nearest sentences of the data to each embedding (D,), each compared with those of the next."""
    decoder = TextDecoder(
        student.texts, student.embeddings, student.model.settings.decoder, torch.device("cpu")
    )
    found = decoder.decode(np.stack(embeddings), min(NEAREST, len(student.texts)))
    return [neighbors(matches, found[(place + 1) % len(found)]) for place, matches in enumerate(found)]


def neighbors_markup(title: str, rows: Sequence[Neighbor], itself: str) -> Markup:
    """Return a ranking of sentences; those in the other ranking too are marked, with their rank there."""
    lines = []
    for row in rows:
        text = row.text if len(row.text) <= _LONGEST else row.text[: _LONGEST - 1] + "…"
        if row.text == itself:
            text = markup("<b>{{ text }}</b>", text=text)
        if row.other_rank is not None:
            mark = '<span style="background: {{ color }}; border-radius: 3px">{{ text }}</span>'
            text = markup(mark, color=_SHARED_COLOR, text=text)
        other = "-" if row.other_rank is None else str(row.other_rank)
        ranked = markup("{{ rank }}.&ensp;{{ text }}", rank=row.rank, text=text)
        lines.append([ranked, f"{row.cosine:.3f}", other])
    return table_markup([title, "cosine", "there"], lines)


_LONGEST: Final = 110
