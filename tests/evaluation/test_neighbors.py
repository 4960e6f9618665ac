"""Neighbors in blocks against a plain loop in float64."""

import math

import numpy as np
import pytest
import torch

from cellnet.evaluation.neighbors import count_nearer, nearest_cosine, nearest_others, shared_neighbors

CPU = torch.device("cpu")


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(float), b.astype(float)
    return float(a @ b / math.sqrt((a @ a) * (b @ b)))


@pytest.fixture(params=[4096, 7], ids=["one block", "many blocks"])
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cellnet.evaluation.neighbors._ROWS_AT_ONCE", request.param)


def drawn(seed: int, count: int, width: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)


@pytest.mark.usefixtures("blocks")
def test_nearest_others_are_those_of_a_loop() -> None:
    x = drawn(0, 40)
    done = []
    found = nearest_others(x, 10, device=CPU, progress=lambda *told: done.append(told))
    for i, places in enumerate(found):
        expected = sorted((j for j in range(40) if j != i), key=lambda j: -cosine(x[i], x[j]))[:10]
        assert places.tolist() == expected
    assert done[-1][0] == done[-1][1] == len(done)


@pytest.mark.usefixtures("blocks")
def test_how_many_of_a_bank_are_nearer() -> None:
    y, bank = drawn(1, 30), drawn(2, 45)
    answers = (y + 0.7 * drawn(3, 30)).astype(np.float32)
    for others in (None, bank):
        whole = y if others is None else np.concatenate([y, others])
        expected = [
            sum(cosine(answers[i], z) > cosine(answers[i], y[i]) + 1e-6 for z in whole) for i in range(30)
        ]
        assert 0 < sum(value == 0 for value in expected) < 30
        assert count_nearer(answers, y, device=CPU, others=others).tolist() == expected


def test_a_copy_of_the_target_is_not_nearer() -> None:
    y = drawn(4, 3000, 384)
    answers = (y + 0.1 * drawn(5, 3000, 384)).astype(np.float32)
    assert not count_nearer(answers, y, device=CPU, others=y * 2).any()


@pytest.mark.usefixtures("blocks")
def test_the_nearest_cosine_is_the_greatest() -> None:
    x, bank = drawn(6, 20), drawn(7, 33)
    expected = [max(cosine(row, other) for other in bank) for row in x]
    assert nearest_cosine(x, bank, device=CPU) == pytest.approx(expected, abs=1e-6)
    assert nearest_cosine(bank[:5] * 3, bank, device=CPU) == pytest.approx([1.0] * 5, abs=1e-6)


@pytest.mark.usefixtures("blocks")
def test_shared_neighbors_are_those_of_sets() -> None:
    generator = np.random.default_rng(8)
    one, other = (np.stack([generator.permutation(12)[:5] for _ in range(20)]) for _ in range(2))
    expected = [len(set(a) & set(b)) / 5 for a, b in zip(one.tolist(), other.tolist(), strict=True)]
    assert shared_neighbors(one, other).tolist() == expected
