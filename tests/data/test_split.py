from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellnet.data.split import sample, split

texts = st.lists(st.text(min_size=1, max_size=20), unique=True, max_size=40)


@given(texts, st.randoms(use_true_random=False), st.floats(0.01, 0.99), st.integers(0, 2**31 - 1))
def test_a_side_does_not_depend_on_order_or_company(items, random, fraction, seed) -> None:  # type: ignore[no-untyped-def]
    train, validation = split(items, fraction, seed)
    assert sorted(train + validation) == sorted(items)
    shuffled = random.sample(items, len(items))
    assert set(split(shuffled, fraction, seed)[0]) == set(train)
    assert split(items[::2], fraction, seed)[1] == [text for text in items[::2] if text in set(validation)]


@given(texts, st.floats(0.01, 0.5), st.floats(0.5, 0.99))
def test_a_larger_validation_share_keeps_the_smaller_one(items, small, large) -> None:  # type: ignore[no-untyped-def]
    assert set(split(items, small, 3)[1]) <= set(split(items, large, 3)[1])


def test_the_split_is_the_published_hash() -> None:
    digest = blake2b(b"hello", digest_size=8, key=(7).to_bytes(8, "big"), person=b"split").digest()
    place = int.from_bytes(digest, "big") / 2**64
    assert split(["hello"], place + 1e-9, 7) == ([], ["hello"])
    assert split(["hello"], place - 1e-9, 7) == (["hello"], [])


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.5])
def test_shares_are_as_asked_and_seeds_differ(fraction: float) -> None:
    items = [f"sentence {index}" for index in range(20_000)]
    validation = split(items, fraction, 0)[1]
    standard_error = (fraction * (1 - fraction) / len(items)) ** 0.5
    assert abs(len(validation) / len(items) - fraction) < 4 * standard_error
    shared = set(validation) & set(split(items, fraction, 1)[1])
    assert abs(len(shared) / len(items) - fraction**2) < 0.01


@given(texts, st.randoms(use_true_random=False), st.integers(0, 50))
def test_a_sample_does_not_depend_on_order(items, random, limit) -> None:  # type: ignore[no-untyped-def]
    chosen = sample(items, limit, 5)
    assert len(chosen) == (min(limit, len(items)) if limit else len(items))
    assert chosen == [item for item in items if item in set(chosen)]
    assert set(sample(random.sample(items, len(items)), limit, 5)) == set(chosen)
