"""Counts, lengths, tables and the map against plain counting."""

import numpy as np
import pytest
from plotly_figures import validated

from cellnet.data import BadRow, DataReport, Repeat, SentenceData
from cellnet.settings import DataSettings
from cellnet.training import TrainingData
from lab.figures import data as figures
from lab.figures.data import (
    bad_rows_table,
    count_facts,
    embedding_map,
    length_figure,
    map_figure,
    reasons_table,
    repeats_table,
    sentence_table,
)

TRAIN = ("A cat sat.", "A dog <b>sat</b> down here.", "Nothing.", *(f"Row {n} of cats." for n in range(40)))
VALIDATION = ("A held out cat.", "x" * 200)
REPORT = DataReport(
    "a.txt",
    rows_read=50,
    kept=45,
    duplicates=2,
    over_limit=0,
    bad_reasons={"empty": 1, "no value": 2},
    bad_rows=(BadRow(3, "empty", ""), BadRow(5, "no value", "z")),
    repeats=(Repeat(1, 3, "A cat sat."),),
)
SENTENCES = SentenceData(TRAIN, VALIDATION, REPORT)


def test_counts_in_words() -> None:
    facts = count_facts(SENTENCES)
    assert facts["used"] == "45"
    assert facts["for training"] == "43"
    assert facts["held out"] == "2"
    assert facts["left out as bad"] == "3"
    lengths = sorted(map(len, TRAIN + VALIDATION))
    assert facts["characters, 5 / 50 / 95 %"].split(" / ")[1] == str(lengths[22])
    nothing = DataReport("a.txt", 1, 0, 0, 0, {"empty": 1}, ())
    assert "characters" not in " ".join(count_facts(SentenceData((), (), nothing)))


def test_lengths_are_all_counted_by_split() -> None:
    figure = validated(length_figure(SENTENCES, DataSettings(min_characters=5, max_characters=201)))
    train, validation = figure.data
    assert (sum(train.y), sum(validation.y)) == (43, 2)
    within = [
        count
        for count, (low, high) in zip(train.y, train.customdata, strict=True)
        if low <= len("A cat sat.") <= high
    ]
    assert within == [sum(low <= len(text) <= high for text in TRAIN) for low, high in [_bin(train, 10)]]
    assert [shape.x0 for shape in figure.layout.shapes] == [5, 201]


def _bin(bars: object, length: int) -> tuple[int, int]:
    (found,) = [(low, high) for low, high in bars.customdata if low <= length <= high]  # type: ignore[attr-defined]
    return found


def test_the_table_finds_sentences_with_every_word(monkeypatch: pytest.MonkeyPatch) -> None:
    table, total = sentence_table(SENTENCES, "CAT sat", ("train", "validation"))
    assert (table["sentence"].tolist(), total) == (["A cat sat."], 1)
    table, total = sentence_table(SENTENCES, "cat", ("validation",))
    assert table.values.tolist() == [["validation", 15, "A held out cat."]]
    monkeypatch.setattr(figures, "MOST_ROWS", 5)
    table, total = sentence_table(SENTENCES, "", ("train", "validation"))
    assert (len(table), total) == (5, 45)
    assert sentence_table(SENTENCES, "", ())[1] == 0


def test_tables_of_what_was_left_out() -> None:
    assert bad_rows_table(REPORT).values.tolist() == [[3, "empty", ""], [5, "no value", "z"]]
    assert reasons_table(REPORT).values.tolist() == [["no value", 2], ["empty", 1]]
    assert repeats_table(REPORT).values.tolist() == [[3, 1, "A cat sat."]]


def made_up(train: int, validation: int) -> TrainingData:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(train + validation, 6)) * np.array([5.0, 3.0, 1.0, 0.5, 0.2, 0.1])
    rows = (rows @ np.linalg.qr(rng.normal(size=(6, 6)))[0]).astype(np.float32)
    texts = tuple(f"Sentence {n} <script>" for n in range(train + validation))
    return TrainingData(rows[:train], rows[train:], texts[:train], texts[train:])


def test_the_map_is_the_plane_of_most_variance() -> None:
    data = made_up(60, 20)
    shown = embedding_map(data)
    rows = np.concatenate([data.train, data.validation]).astype(np.float64)
    centered = rows - rows.mean(axis=0)
    _, values, directions = np.linalg.svd(centered, full_matrices=False)
    expected = centered @ directions[:2].T
    signs = np.sign((expected * shown.points).sum(axis=0))
    np.testing.assert_allclose(shown.points * signs, expected, atol=1e-4)
    assert shown.shares == pytest.approx(tuple(values[:2] ** 2 / (values**2).sum()), rel=1e-4)
    assert shown.held_out.sum() == 20
    assert shown.texts == data.train_texts + data.validation_texts


def test_a_large_map_is_a_sample_whose_points_keep_their_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "MOST_POINTS", 50)
    data = made_up(90, 30)
    shown = embedding_map(data)
    assert (len(shown.points), shown.total) == (50, 120)
    assert 5 <= shown.held_out.sum() <= 20
    for text, held_out in zip(shown.texts, shown.held_out, strict=True):
        assert text in (data.validation_texts if held_out else data.train_texts)


def test_the_figure_of_the_map_shows_every_point_and_no_markup() -> None:
    shown = embedding_map(made_up(60, 20))
    train, validation, found = validated(map_figure(shown, "split", "sentence 77")).data
    assert (len(train.x), len(validation.x)) == (60, 20)
    assert found.text.tolist() == ["Sentence 77 &lt;script&gt;"]
    assert train.text[0] == "Sentence 0 &lt;script&gt;"
    assert train.type == "scatter"
    (by_length,) = validated(map_figure(shown, "length")).data
    assert list(by_length.marker.color) == [len(text) for text in shown.texts]
