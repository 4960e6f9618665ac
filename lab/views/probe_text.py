"""Back to text: a sentence, what retrieval finds for it, and what a trained decoder writes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import streamlit as st

from cellnet.checkpoints.manifest import STATE_FILE
from cellnet.decoder import GenerativeDecoder, Written
from cellnet.errors import CellnetError
from cellnet.loading import DECODER_FOLDER
from lab.server import get_service
from lab.views.probe import Asked, nearest, quote

_KEPT: Final = 2


def back_to_text(asked: Asked, row: int) -> None:
    """The original, the nearest other sentence and the written one, side by side."""
    st.markdown("**Back to text**, from the student's reconstruction")
    original, retrieved, generated = st.columns(3, gap="large")
    text = asked.texts[row]
    with original:
        st.caption("original")
        st.html(quote(text))
    with retrieved:
        st.caption("retrieved: the nearest other sentence of the data")
        _retrieved(asked, row)
    with generated:
        _generated(asked, row)


def _retrieved(asked: Asked, row: int) -> None:
    if not asked.student.texts:
        st.caption("The sentences of the run are not in memory; read them below.")
        return
    try:
        [found] = nearest(asked.student, [asked.inspection.readouts[row, -1]])
    except CellnetError as error:
        st.error(str(error))
        return
    others = [neighbor.text for neighbor in found if neighbor.text != asked.texts[row]]
    if others:
        _show(asked, row, others[0])
    else:
        st.caption("The data hold no other sentence.")


def _generated(asked: Asked, row: int) -> None:
    student = asked.student
    run = get_service().store.folder(student.run)
    state = run / DECODER_FOLDER / STATE_FILE
    if not state.is_file():
        st.caption("generated: by a decoder that learns to write")
        st.info("No decoder has been trained for this run. Train one in a terminal, then reload this page:")
        st.code(f"cellnet train-decoder {run.resolve()}", language="sh", wrap_lines=True)
        return
    try:
        with st.spinner("Writing …"):
            decoder = _load(state.parent, state.stat().st_mtime_ns)
            written = _write(
                state.parent, state.stat().st_mtime_ns, asked.inspection.readouts[row, -1].tobytes()
            )
    except CellnetError as error:
        st.error(str(error))
        return
    st.caption(f"generated{_trained_on(decoder, student.step)}")
    _show(asked, row, written.text)


def _show(asked: Asked, row: int, text: str) -> None:
    """A sentence, and how near the teacher finds it to the original."""
    st.html(quote(text))
    try:
        [vector] = asked.shelf.embed(asked.student, (text,))
    except CellnetError as error:
        st.error(str(error))
        return
    original = asked.inspection.teacher[row]
    cosine = float(vector @ original / (np.linalg.norm(vector) * np.linalg.norm(original)))
    st.caption(f"cosine with the original, by the teacher: {cosine:.3f}")


def _trained_on(decoder: GenerativeDecoder, step: int) -> str:
    facts = decoder.facts.get("student")
    trained = facts.get("step") if isinstance(facts, dict) else None
    if trained is None or trained == step:
        return ""
    return f": the decoder was trained on step {trained:,}, the student is of step {step:,}"


@st.cache_resource(max_entries=_KEPT, show_spinner=False)
def _load(folder: Path, changed: int) -> GenerativeDecoder:
    return GenerativeDecoder.from_pretrained(folder)


@st.cache_data(max_entries=64, show_spinner=False)
def _write(folder: Path, changed: int, embedding: bytes) -> Written:
    [written] = _load(folder, changed).write(np.frombuffer(embedding, dtype=np.float32).reshape(1, -1))
    return written
