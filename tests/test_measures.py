"""Measures over a whole set against NumPy in float64."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from cellnet.errors import DataError
from cellnet.measures import measure_reconstruction, parts

CPU = torch.device("cpu")


@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000])
def test_measures_equal_numpy_whatever_the_batch(batch_size: int) -> None:
    generator = np.random.default_rng(0)
    y = (generator.standard_normal((50, 6)) + np.array([3.0, 0, 0, 0, 0, 0])).astype(np.float32)
    matrix = generator.standard_normal((6, 6)).astype(np.float32)

    def reconstruct(batch: Tensor) -> Tensor:
        return batch @ torch.from_numpy(matrix)

    found = measure_reconstruction(reconstruct, y, device=CPU, batch_size=batch_size)
    wide = y.astype(np.float64)
    answer = wide @ matrix.astype(np.float64)
    error = ((answer - wide) ** 2).sum()
    cosine = (answer * wide).sum(axis=1) / np.linalg.norm(answer, axis=1) / np.linalg.norm(wide, axis=1)
    mean = wide.mean(axis=0)
    to_mean = wide @ mean / np.linalg.norm(wide, axis=1) / np.linalg.norm(mean)
    assert found.explained_variance == pytest.approx(1 - error / ((wide - mean) ** 2).sum(), rel=1e-5)
    assert found.mse == pytest.approx(error / 300, rel=1e-5)
    assert found.mean_cosine == pytest.approx(cosine.mean(), rel=1e-5)
    assert found.mean_vector_cosine == pytest.approx(to_mean.mean(), rel=1e-5)


def test_a_constant_answer_explains_nothing() -> None:
    y = np.random.default_rng(1).standard_normal((40, 5)).astype(np.float32)
    mean = torch.from_numpy(y.mean(axis=0))
    found = measure_reconstruction(lambda batch: mean.expand_as(batch), y, device=CPU)
    assert found.explained_variance == pytest.approx(0.0, abs=1e-6)
    assert found.mean_cosine == pytest.approx(found.mean_vector_cosine)
    assert measure_reconstruction(lambda batch: batch, y, device=CPU).explained_variance == 1.0


def test_equal_embeddings_have_no_variance_to_explain() -> None:
    with pytest.raises(DataError, match="no variance"):
        measure_reconstruction(lambda batch: batch, np.ones((5, 3), dtype=np.float32), device=CPU)


@given(count=st.integers(1, 500), size=st.integers(1, 80), smallest=st.integers(1, 8))
def test_parts_cover_all_rows_once_in_nearly_equal_slices(count: int, size: int, smallest: int) -> None:
    slices = list(parts(count, size, smallest))
    assert [row for rows in slices for row in range(rows.start, rows.stop)] == list(range(count))
    lengths = [rows.stop - rows.start for rows in slices]
    assert max(lengths) - min(lengths) <= 1
    assert min(lengths) >= min(smallest, count)
    if smallest == 1:
        assert max(lengths) <= size
