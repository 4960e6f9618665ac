from typing import Any

import pytest
from decoder_sentences import SENTENCES, WORDS
from transformers import BertTokenizerFast

from cellnet.decoder import Vocabulary
from cellnet.decoder.vocabulary import END, UNKNOWN
from cellnet.errors import CheckpointError, DataError, TeacherError


def test_it_holds_the_tokens_that_occur_most_frequent_first(tokenizer: BertTokenizerFast) -> None:
    vocabulary = Vocabulary.of(["a cell. a step.", "a cell, unseen"], tokenizer, 0)
    assert vocabulary.tokens == ("a", ".", "cell", ",", "step")
    assert len(vocabulary) == 7
    assert Vocabulary.of(["a cell. a step.", "a cell, unseen"], tokenizer, 2).tokens == ("a", ".")


def test_what_it_reads_it_writes(tokenizer: BertTokenizerFast, vocabulary: Vocabulary) -> None:
    rows = vocabulary.encode(SENTENCES, tokenizer)
    assert [vocabulary.decode([*row, END]) for row in rows] == SENTENCES
    assert set(vocabulary.tokens) <= set(WORDS)


def test_other_tokens_are_unknown_and_say_nothing(tokenizer: BertTokenizerFast) -> None:
    vocabulary = Vocabulary.of(["a cell."], tokenizer, 0)
    [row] = vocabulary.encode(["a step cell zzz"], tokenizer)
    assert [place == UNKNOWN for place in row] == [False, True, False, True]
    assert vocabulary.decode(row) == "a cell"


def test_it_writes_without_a_teacher(tokenizer: BertTokenizerFast, vocabulary: Vocabulary) -> None:
    again = Vocabulary.from_json(vocabulary.to_json())
    assert again.tokens == vocabulary.tokens
    rows = vocabulary.encode(SENTENCES, tokenizer)
    assert [again.decode(row) for row in rows] == SENTENCES


@pytest.mark.parametrize(
    "values",
    [
        None,
        [],
        {"tokens": "abc", "decoder": None},
        {"tokens": [], "decoder": None},
        {"tokens": [1, 2], "decoder": None},
        {"tokens": ["a", "a"], "decoder": None},
        {"tokens": [""], "decoder": None},
        {"tokens": ["<end>"], "decoder": None},
        {"tokens": ["a" * 2000], "decoder": None},
        {"tokens": ["a"]},
        {"tokens": ["a"], "decoder": "WordPiece"},
        {"tokens": ["a"], "decoder": {"type": "Unheard"}},
    ],
)
def test_what_is_no_vocabulary_is_refused(values: Any) -> None:
    with pytest.raises(CheckpointError):
        Vocabulary.from_json(values)


def test_texts_without_a_token_are_an_error(tokenizer: BertTokenizerFast) -> None:
    with pytest.raises(DataError, match="no token"):
        Vocabulary.of(["zzz", ""], tokenizer, 0)


def test_a_tokenizer_that_no_file_describes_is_an_error() -> None:
    class Slow:
        is_fast = False

    with pytest.raises(TeacherError, match=r"tokenizer\.json"):
        Vocabulary.of(["a"], Slow(), 0)
