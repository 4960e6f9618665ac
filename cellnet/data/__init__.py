"""Sentences: the built-in docstrings and the user's files, checked, deduplicated and split."""

from cellnet.data.rows import BadRow
from cellnet.data.sentences import DataReport, SentenceData, load_sentences, load_texts

__all__ = ["BadRow", "DataReport", "SentenceData", "load_sentences", "load_texts"]
