"""Back to text: a sentence, what retrieval finds for it, and what a trained decoder writes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import streamlit as st
import torch

from cellnet.decoder import GenerativeDecoder
from cellnet.errors import CellnetError
from cellnet.runs.loading import LoadedDecoder, LoadedModel, load_decoder, train_decoder_command
from cellnet.teacher import teacher_fingerprint
from lab.figures.markup import command_markup, quote_markup
from lab.server import get_lab
from lab.sources.students import Student
from lab.views.probe.page import Subject, nearest

_KEPT: Final = 2


def back_to_text(subject: Subject, row: int) -> None:
    """The original, the nearest other sentence and the written one, side by side."""
    st.markdown("**Back to text**, from the student's reconstruction")
    original, retrieved, generated = st.columns(3, gap="large")
    text = subject.texts[row]
    with original:
        st.caption("original")
        st.html(quote_markup(text))
    with retrieved:
        st.caption("retrieved: the nearest other sentence of the data")
        _retrieved(subject, row)
    with generated:
        _generated(subject, row)


def _retrieved(subject: Subject, row: int) -> None:
    if not subject.student.texts:
        st.caption("The sentences of the run are not in memory; read them below.")
        return
    try:
        [found] = nearest(subject.student, [subject.inspection.readouts[row, -1]])
    except CellnetError as error:
        st.error(str(error))
        return
    others = [neighbor.text for neighbor in found if neighbor.text != subject.texts[row]]
    if others:
        _show(subject, row, others[0])
    else:
        st.caption("The data hold no other sentence.")


def _generated(subject: Subject, row: int) -> None:
    loaded = _loaded(subject.student)
    folder = loaded.decoder_folder
    if not folder.is_dir():
        st.caption("generated: by a decoder that learns to write")
        st.info("No decoder has been trained for this run. Train one in a terminal, then reload this page:")
        st.html(command_markup(train_decoder_command(loaded, folder)))
        return
    changed = folder.stat().st_mtime_ns
    try:
        with st.spinner("Writing …"):
            generative = _load(loaded, subject.key, changed)
            embedding = subject.inspection.readouts[row, -1].tobytes()
            written = _write(generative.decoder, subject, folder, changed, embedding)
    except CellnetError as error:
        st.error(str(error))
        return
    st.caption(f"generated{_trained_on(generative, subject.student.step)}")
    _show(subject, row, written)


def _loaded(student: Student) -> LoadedModel:
    """The student, named as on the command line; one that is live stands for the best of its run."""
    run = get_lab().service.store.folder(student.run).resolve()
    return LoadedModel(
        student.model,
        student.run,
        checkpoint=run / "checkpoints" / f"step-{student.step:08d}",
        run=student.run,
        step=None if student.live else student.step,
    )


def _show(subject: Subject, row: int, text: str) -> None:
    """A sentence, and how near the teacher finds it to the original."""
    st.html(quote_markup(text))
    try:
        [vector] = subject.shelf.embed(subject.student, (text,))
    except CellnetError as error:
        st.error(str(error))
        return
    original = subject.inspection.teacher[row]
    cosine = float(vector @ original / (np.linalg.norm(vector) * np.linalg.norm(original)))
    st.caption(f"cosine with the original, by the teacher: {cosine:.3f}")


def _trained_on(found: LoadedDecoder, step: int) -> str:
    if found.same_student:
        return ""
    facts = found.decoder.facts.get("student")
    trained = facts.get("step") if isinstance(facts, dict) else None
    other = "another student" if trained is None else f"step {trained:,}"
    return f": the decoder was trained on {other}, the student is of step {step:,}"


@st.cache_resource(max_entries=_KEPT, show_spinner=False)
def _load(_loaded: LoadedModel, student: str, changed: int) -> LoadedDecoder:
    fingerprint = teacher_fingerprint(_loaded.settings.embedding)
    return load_decoder(_loaded, "auto", torch.device("cpu"), teacher_fingerprint=fingerprint)


@st.cache_data(max_entries=64, show_spinner=False)
def _write(
    _decoder: GenerativeDecoder, _asked: Subject, folder: Path, changed: int, embedding: bytes
) -> str:
    """The sentence of those that the decoder comes up with whose embedding is nearest to this one."""
    rows = np.frombuffer(embedding, dtype=np.float32).reshape(1, -1)
    [written] = _decoder.write_nearest(rows, lambda texts: _asked.shelf.embed(_asked.student, tuple(texts)))
    return written
