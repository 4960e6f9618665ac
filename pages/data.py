"""Data: choose sentences and a teacher, look at them, embed them, use them for the next run."""

import streamlit as st

from lab.server import get_lab
from lab.views.data.page import (
    bad_rows,
    choose_amount,
    choose_source,
    choose_teacher,
    counts,
    embed_and_use,
    embeddings,
    lengths,
    read,
    repeats,
    sentence_list,
)

VIEWS = {
    "lengths": "Lengths",
    "sentences": "Sentences",
    "bad": "Bad rows",
    "repeats": "Duplicates",
    "map": "Map",
}

lab = get_lab()
service, embedding = lab.service, lab.embedding


@st.fragment
def page() -> None:
    """All of it, so that the frame around the page stays as it is when something is pressed."""
    source, teacher, work = st.columns(3, gap="large")
    with source:
        values = choose_source(service)
    with teacher:
        reading = choose_teacher(service)
    with source:
        settings, possible = choose_amount(service.draft, values | (reading or {}))
    usable = settings if possible and reading is not None else None
    with work:
        sentences = read(settings.data) if possible else None
        embed_and_use(service, embedding, usable, sentences)
        if sentences is not None:
            counts(sentences)

    if sentences is None:
        return
    view = st.segmented_control(
        "Look at",
        list(VIEWS),
        format_func=VIEWS.__getitem__,
        default="lengths",
        required=True,
        key="data_view",
        help="How long the sentences are; the sentences themselves, to search; rows that are left out, and "
        "why; texts that occur more than once; and, once they are embedded, which sentences are near to "
        "each other.",
        bind="query-params",
    )
    match view:
        case "lengths":
            lengths(sentences, settings.data)
        case "sentences":
            sentence_list(sentences)
        case "bad":
            bad_rows(sentences)
        case "repeats":
            repeats(sentences)
        case "map":
            embeddings(embedding, usable)


page()
