"""Variants of sentences: passages and joins, repeatable, one round after another."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from cellnet.data import make_variants

words = st.text(st.characters(categories=["L"]), min_size=1, max_size=4)
sentences = st.lists(st.lists(words, min_size=1, max_size=12).map(" ".join), min_size=1, max_size=8)


@given(sentences, st.integers(0, 5), st.integers(0, 1000))
def test_there_are_as_many_as_asked_for_and_the_same_ones_again(
    texts: list[str], count: int, seed: int
) -> None:
    variants = make_variants(texts, count, seed)
    assert len(variants) == count * len(texts)
    assert all(variants)
    assert variants == make_variants(texts, count, seed)
    assert (
        make_variants(texts, count, seed)[: len(texts)]
        == make_variants(texts, count + 1, seed)[: len(texts) * min(count, 1)]
    )


@given(st.lists(words, min_size=6, max_size=20), st.integers(0, 100))
def test_a_passage_is_a_run_of_words_of_the_sentence(own: list[str], seed: int) -> None:
    passage = make_variants([" ".join(own)], 1, seed)[0].split()
    assert 3 <= len(passage) <= max(3, int(0.7 * len(own)))
    assert any(own[start : start + len(passage)] == passage for start in range(len(own)))


def test_a_short_sentence_is_followed_by_another() -> None:
    texts = ["a dog", "one two three"]
    first, second = make_variants(texts, 1, seed=0)
    assert first in {"a dog a dog", "a dog one two three"}
    assert second in {"one two three a dog", "one two three one two three"}


def test_a_join_begins_as_one_sentence_and_ends_as_another() -> None:
    texts = ["a1 a2 a3 a4", "b1 b2 b3 b4", "c1 c2 c3 c4"]
    seen: Counter[int] = Counter()
    for seed in range(30):
        for own, joined in zip(texts, make_variants(texts, 2, seed)[3:], strict=True):
            parts = joined.split()
            kept = next(
                count
                for count in range(len(parts), 0, -1)
                if own.split()[:count] == parts[:count]
                and any(other.split()[4 - len(parts) + count :] == parts[count:] for other in texts)
            )
            seen[kept] += 1
    assert set(seen) == {1, 2, 3, 4}
