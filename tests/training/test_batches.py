"""What a training sees: sentences, their variants, and places between them."""

from pathlib import Path

import numpy as np
import pytest
from tiny_teacher import save_tiny_teacher

from cellnet.data import make_variants
from cellnet.errors import DataError
from cellnet.measures import Embeddings
from cellnet.settings import Settings, with_changes
from cellnet.training.data import Batches, TrainingData, prepare_data

WIDTH = 6


def make_settings(**training: object) -> Settings:
    changes = {f"training.{name}": value for name, value in training.items()}
    return with_changes(
        Settings(), {"embedding.teacher_width": WIDTH, "training.batch_size": 10, **changes}
    )


def rows(count: int, seed: int) -> Embeddings:
    drawn = np.random.default_rng(seed).standard_normal((count, WIDTH)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def next_batch(batches: Batches) -> Embeddings:
    batch = np.full(batches.shape, np.nan, dtype=np.float32)
    batches.fill(batch)
    return batch


def test_a_pass_shows_every_sentence_and_every_variant_once() -> None:
    train, variants = rows(20, 0), rows(30, 1)
    batches = Batches(TrainingData(train, train, variants=variants), make_settings())
    seen = np.concatenate([next_batch(batches) for _ in range(5)])
    expected = np.concatenate([train, variants])
    assert np.array_equal(np.sort(seen, axis=0), np.sort(expected, axis=0))
    assert {row.tobytes() for row in seen} == {row.tobytes() for row in expected}


def test_without_variants_there_are_only_the_sentences() -> None:
    train = rows(20, 0)
    batches = Batches(TrainingData(train, train), make_settings())
    seen = np.concatenate([next_batch(batches) for _ in range(2)])
    assert {row.tobytes() for row in seen} == {row.tobytes() for row in train}
    with pytest.raises(DataError, match="do not fill one batch"):
        Batches(TrainingData(train[:9], train), make_settings())


def test_rows_are_moved_up_to_half_of_the_way_to_the_row_before() -> None:
    train = rows(2000, 0)
    data = TrainingData(train, train)
    plain = next_batch(Batches(data, make_settings(batch_size=2000)))
    mixed = next_batch(Batches(data, make_settings(batch_size=2000, interpolation=0.3)))
    toward = np.roll(plain, 1, axis=0) - plain
    share = ((mixed - plain) * toward).sum(axis=1) / (toward**2).sum(axis=1)
    assert np.allclose(mixed, plain + share[:, None] * toward, atol=1e-5)
    moved = share > 1e-6
    assert 0.25 < moved.mean() < 0.35
    assert share.min() > -1e-6
    assert 0.45 < share.max() <= 0.5 + 1e-5
    assert 0.22 < share[moved].mean() < 0.28


def test_between_embeddings_of_unit_length_lie_others_of_unit_length() -> None:
    train = rows(40, 0)
    settings = with_changes(make_settings(interpolation=1.0), {"embedding.normalize": True})
    batch = next_batch(Batches(TrainingData(train, train), settings))
    assert np.allclose(np.linalg.norm(batch, axis=1), 1.0, atol=1e-6)


def test_a_restored_state_goes_on_with_the_same_batches() -> None:
    data = TrainingData(rows(25, 0), rows(4, 1), variants=rows(12, 2))
    settings = make_settings(interpolation=0.5)
    batches, other = Batches(data, settings), Batches(data, settings)
    for _ in range(4):
        next_batch(batches)
    other.restore(batches.state())
    for _ in range(5):
        assert np.array_equal(next_batch(batches), next_batch(other))


def test_variants_are_embedded_for_a_training_and_only_for_one(tmp_path: Path) -> None:
    sentences = [f"one two three four five six {word}" for word in "abcdefghijklmnopqrst"]
    (tmp_path / "sentences.txt").write_text("\n".join(sentences), "utf-8")
    words = sorted({word for sentence in sentences for word in sentence.split()})
    settings = with_changes(
        Settings(),
        {
            "embedding.teacher": str(save_tiny_teacher(tmp_path / "teacher", words)),
            "embedding.teacher_width": 32,
            "embedding.max_tokens": 16,
            "data.source": str(tmp_path / "sentences.txt"),
            "data.validation_fraction": 0.3,
            "data.cache_dir": str(tmp_path / "cache"),
            "data.variants": 3,
        },
    )
    data = prepare_data(settings)
    assert data.variants is not None
    texts = make_variants(data.train_texts, 3, settings.data.split_seed)
    assert data.variants.shape == (len(texts), 32)
    assert list(data.variant_texts) == texts
    assert len({row.tobytes() for row in data.variants}) > len(data.train)
    told: list[str] = []
    without = prepare_data(settings, with_variants=False, progress=lambda label, *_: told.append(label))
    assert (without.variants, without.variant_texts) == (None, ())
    assert np.array_equal(without.train, data.train)
    assert set(told) == {"embedding training sentences", "embedding validation sentences"}
