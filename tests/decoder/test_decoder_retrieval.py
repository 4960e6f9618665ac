import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cellnet.decoder import Match, TextDecoder, retrieval
from cellnet.errors import DataError
from cellnet.settings import DecoderSettings

CPU = torch.device("cpu")
SETTINGS = DecoderSettings(top_k=3)


def make(rows: int, width: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32)


def names(count: int) -> list[str]:
    return [f"sentence {index}" for index in range(count)]


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval, "BANK_CHUNK", 4)
    monkeypatch.setattr(retrieval, "QUERY_CHUNK", 3)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("k", [1, 3, 5, 30])
@pytest.mark.parametrize("kind", ["array", "tensor"])
def test_equals_one_dense_product(k: int, kind: str) -> None:
    bank, queries = make(30), make(7, seed=1) * 100
    cosines = (queries.astype(float) @ bank.T.astype(float)) / np.outer(
        np.linalg.norm(queries.astype(float), axis=1), np.linalg.norm(bank.astype(float), axis=1)
    )
    expected = np.argsort(-cosines, axis=1)[:, :k]
    given_bank = bank if kind == "array" else torch.from_numpy(bank)
    given_queries = queries if kind == "array" else torch.from_numpy(queries).requires_grad_()
    found = TextDecoder(names(30), given_bank, SETTINGS, CPU).decode(given_queries, k)
    assert [[match.index for match in row] for row in found] == expected.tolist()
    assert [[match.text for match in row] for row in found] == [
        [f"sentence {i}" for i in row] for row in expected
    ]
    scores = np.array([[match.score for match in row] for row in found])
    np.testing.assert_allclose(scores, np.take_along_axis(cosines, expected, axis=1), atol=1e-6)


def test_top_k_comes_from_the_settings_and_a_sentence_finds_itself() -> None:
    bank = make(10)
    (matches,) = TextDecoder(names(10), bank, SETTINGS, CPU).decode(3.0 * bank[4:5])
    assert len(matches) == 3
    assert matches[0].text == "sentence 4"
    assert matches[0].score == pytest.approx(1.0)
    assert matches[0].score <= 1.0
    assert isinstance(matches[0], Match)


@given(st.permutations(range(9)))
def test_permuting_the_bank_permutes_the_places(order: list[int]) -> None:
    bank, queries = make(9), make(2, seed=3)
    texts = names(9)
    before = TextDecoder(texts, bank, SETTINGS, CPU).decode(queries)
    after = TextDecoder([texts[i] for i in order], bank[order], SETTINGS, CPU).decode(queries)
    assert [[m.text for m in row] for row in after] == [[m.text for m in row] for row in before]
    assert all(
        order[new.index] == old.index
        for a, b in zip(after, before, strict=True)
        for new, old in zip(a, b, strict=True)
    )


def test_a_read_only_memory_map_is_a_bank(tmp_path) -> None:
    np.save(tmp_path / "bank.npy", make(10))
    bank = np.load(tmp_path / "bank.npy", mmap_mode="r")
    found = TextDecoder(names(10), bank, SETTINGS, CPU).decode(bank[:2], 1)
    assert [row[0].index for row in found] == [0, 1]


def test_no_queries_give_no_matches() -> None:
    assert TextDecoder(names(5), make(5), SETTINGS, CPU).decode(make(0)) == []


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_an_embedding_without_a_direction_is_an_error(value: float) -> None:
    bank = make(6)
    good = TextDecoder(names(6), bank, SETTINGS, CPU)
    wrong = bank.copy()
    wrong[4] = value
    with pytest.raises(DataError, match="bank embedding 4 is zero or not finite"):
        TextDecoder(names(6), wrong, SETTINGS, CPU)
    with pytest.raises(DataError, match="query embedding 4 is zero or not finite"):
        good.decode(wrong)


@pytest.mark.parametrize(("texts", "bank"), [(names(5), make(6)), ([], make(0)), (names(6), make(6)[0])])
def test_a_bank_that_does_not_fit_is_an_error(texts: list[str], bank: np.ndarray) -> None:
    with pytest.raises(DataError, match="cannot go with"):
        TextDecoder(texts, bank, SETTINGS, CPU)


@pytest.mark.parametrize("k", [0, 7, -1])
def test_impossible_k_is_an_error(k: int) -> None:
    with pytest.raises(DataError, match="bank of 6"):
        TextDecoder(names(6), make(6), SETTINGS, CPU).decode(make(1), k)


@pytest.mark.parametrize("queries", [make(2, width=5), make(2)[0]])
def test_queries_of_another_width_are_an_error(queries: np.ndarray) -> None:
    with pytest.raises(DataError, match="do not fit a bank of width 6"):
        TextDecoder(names(6), make(6), SETTINGS, CPU).decode(queries)
