"""BLEU and F1 next to values computed by hand."""

import math

import pytest

from cellnet.decoder.text_measures import bleu, token_f1, words


def test_words_are_lower_case_and_marks_stand_alone() -> None:
    assert words("Don't  stop, Å_1!") == ["don", "'", "t", "stop", ",", "å_1", "!"]


def test_bleu_of_the_same_texts_is_one() -> None:
    texts = ["the cat sat on the mat", "a cube of cells looks around"]
    assert bleu(texts, [text.upper() for text in texts]) == pytest.approx(1.0)


def test_bleu_of_one_pair_by_hand() -> None:
    # Runs that agree, of those said: 5 of 6 words, 3 of 5 pairs, 2 of 4 triples, 1 of 3 quadruples.
    expected = (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25
    assert bleu(["the cat sat on a mat"], ["the cat sat on the mat"]) == pytest.approx(expected)


def test_bleu_clips_what_is_said_too_often_and_counts_over_the_corpus() -> None:
    # "the" is in the reference twice, so that of seven two count (Papineni et al. 2002); no pair agrees.
    assert bleu(["the the the the the the the"], ["the cat is on the mat"]) == 0.0
    candidates = ["the the the the the the the", "a b c d"]
    references = ["the cat is on the mat x", "a b c d"]
    expected = ((2 + 4) / (7 + 4) * 3 / (6 + 3) * 2 / (5 + 2) * 1 / (4 + 1)) ** 0.25
    assert bleu(candidates, references) == pytest.approx(expected)


def test_bleu_of_a_short_candidate_is_lowered() -> None:
    # All runs agree; four words for six: exp(1 - 6 / 4).
    assert bleu(["the cat sat on"], ["the cat sat on the mat"]) == pytest.approx(math.exp(1 - 6 / 4))
    assert bleu(["the cat sat on the mat x"], ["the cat sat on the mat"]) == pytest.approx(
        (6 / 7 * 5 / 6 * 4 / 5 * 3 / 4) ** 0.25
    )
    assert bleu([""], ["the cat"]) == 0.0


def test_bleu_counts_only_lengths_that_the_candidates_have() -> None:
    # Three words hold no run of four; over one, two and three words all agree, three words for four.
    assert bleu(["the cat sat"], ["The cat sat."]) == pytest.approx(math.exp(1 - 4 / 3))
    assert bleu(["the cat"], ["the cat"]) == pytest.approx(1.0)
    assert bleu(["the dog"], ["the cat"]) == 0.0
    # One longer candidate is enough for the corpus to have runs of four, and then they must agree.
    assert bleu(["the cat", "a b c d"], ["the cat", "d c b a"]) == 0.0


def test_bleu_without_one_reference_each_is_an_error() -> None:
    with pytest.raises(ValueError, match="2 candidates have 1 references"):
        bleu(["a", "b"], ["a"])


def test_token_f1_by_hand() -> None:
    # Shared: the, cat; the candidate has 3 words and the reference 5.
    assert token_f1("cat the the", "The cat sat on mat") == pytest.approx(
        2 * (2 / 3) * (2 / 5) / (2 / 3 + 2 / 5)
    )
    assert token_f1("a b", "b a") == 1.0
    assert token_f1("a", "b") == token_f1("", "b") == token_f1("a", "") == 0.0
