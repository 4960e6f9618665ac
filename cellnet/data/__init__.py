"""Sentences: the built-in docstrings and the user's files, checked, deduplicated and split."""

from cellnet.data.pairs import SentencePairs, load_pairs
from cellnet.data.readers import list_columns
from cellnet.data.rows import BadRow, Repeat
from cellnet.data.sentences import DataReport, SentenceData, load_sentences, load_texts, split_texts
from cellnet.data.variants import make_variants

__all__ = [
    "BadRow",
    "DataReport",
    "Repeat",
    "SentenceData",
    "SentencePairs",
    "list_columns",
    "load_pairs",
    "load_sentences",
    "load_texts",
    "make_variants",
    "split_texts",
]
