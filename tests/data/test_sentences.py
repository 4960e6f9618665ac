from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cellnet.data import BadRow, Repeat, load_sentences, load_texts, sentences, split_texts
from cellnet.data.docstrings import standard_library
from cellnet.errors import DataError
from cellnet.settings import DataSettings


def write_lines(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines), "utf-8")
    return path


def test_every_row_is_accounted_for(tmp_path: Path) -> None:
    good = [f"Sentence number {index}." for index in range(100)]
    path = write_lines(tmp_path / "a.txt", [*good, "", "Sentence  number 3.", "x", *good[:2]])
    data = load_sentences(
        DataSettings(source=str(path), min_characters=2, validation_fraction=0.3, limit=80)
    )
    report = data.report
    assert (report.rows_read, report.kept, report.duplicates, report.over_limit) == (105, 80, 3, 20)
    assert report.bad_rows == (BadRow(101, "empty", ""), BadRow(103, "shorter than 2 characters", "x"))
    assert report.bad_reasons == {"empty": 1, "shorter than 2 characters": 1}
    assert report.rows_read == report.kept + report.duplicates + report.over_limit + 2
    assert len(data.train) + len(data.validation) == 80
    assert not set(data.train) & set(data.validation)
    assert set(data.train) | set(data.validation) <= set(good)
    assert "80 used, 3 duplicates, 20 over the limit, 1 left out (empty)" in report.summary


def test_the_limit_does_not_move_a_sentence_to_the_other_side(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.txt", [f"Sentence number {index}." for index in range(200)])
    chosen = DataSettings(source=str(path), validation_fraction=0.3)
    whole = load_sentences(chosen)
    part = load_sentences(chosen.replace(limit=90))
    assert set(part.train) < set(whole.train)
    assert set(part.validation) < set(whole.validation)


def test_too_few_sentences_is_an_error_with_the_reasons(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.txt", ["One sentence.", "", "Another one."])
    with pytest.raises(DataError, match=r"too few sentences.*1 left out \(empty\)"):
        load_sentences(DataSettings(source=str(path)))


def test_long_lists_of_bad_rows_are_counted_in_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sentences, "MAX_LISTED_BAD_ROWS", 5)
    path = write_lines(
        tmp_path / "a.txt", [f"Sentence number {index}." for index in range(100)] + [""] * 50 + ["."]
    )
    report = load_sentences(DataSettings(source=str(path), validation_fraction=0.3)).report
    assert len(report.bad_rows) == 5
    assert report.bad_reasons == {"empty": 50}


def test_docstrings_are_deterministic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentences, "standard_library", lambda: standard_library() / "asyncio")
    first, second = load_sentences(DataSettings()), load_sentences(DataSettings())
    assert first == second
    assert first.report.kept > 100
    assert 0.05 < len(first.validation) / first.report.kept < 0.2
    assert first.report.kept + first.report.duplicates == first.report.rows_read


def test_docstrings_have_no_columns() -> None:
    with pytest.raises(DataError, match="leave it empty"):
        load_sentences(DataSettings(column="text"))


def test_repeats_name_the_text_its_count_and_its_first_line(tmp_path: Path) -> None:
    good = [f"Sentence number {index}." for index in range(60)]
    path = write_lines(tmp_path / "a.txt", [*good, "", good[7], f"  {good[7]}", good[2], "x"])
    report = load_sentences(DataSettings(source=str(path), validation_fraction=0.3)).report
    assert report.repeats == (Repeat(8, 3, good[7]), Repeat(3, 2, good[2]))
    assert report.duplicates == 3


def test_a_split_that_is_too_small_says_so_without_an_error(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.txt", ["One sentence.", "Another one."])
    chosen = DataSettings(source=str(path))
    data = split_texts(*load_texts(chosen), chosen)
    assert "too few sentences" in data.problem
    assert len(data.train) + len(data.validation) == 2


@given(st.lists(st.sampled_from(["a b", " a  b", "a\tb", "A b", "c", "c "]), min_size=1, max_size=20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_texts_are_kept_once_at_their_first_place(tmp_path: Path, items: list[str]) -> None:
    expected: list[str] = []
    for item in items:
        if " ".join(item.split()) not in expected:
            expected.append(" ".join(item.split()))
    texts, report = load_texts(DataSettings(source=str(write_lines(tmp_path / "a.txt", items))))
    assert texts == expected
    assert report.duplicates == len(items) - len(expected)
