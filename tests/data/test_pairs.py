from pathlib import Path

import pytest

from cellnet.data import load_pairs
from cellnet.errors import DataError


def test_pairs_are_read_and_bad_rows_named_by_line(tmp_path: Path) -> None:
    file = tmp_path / "pairs.csv"
    file.write_text(
        "score,genre,sentence1,sentence2\n"
        '4.5,news,"A man,  a plan.",Another man.\n'
        "high,news,one,two\n"
        "3,news,,two\n"
        "nan,news,one,two\n"
        "1,news,one\n"
        '0,news,"two\nlines",one\n'
        "\n"
        "2,news,last,first\n",
        "utf-8",
    )
    pairs = load_pairs(file)
    assert pairs.first == ("A man, a plan.", "two lines", "last")
    assert pairs.second == ("Another man.", "one", "first")
    assert pairs.scores == (4.5, 0.0, 2.0)
    assert [(row.line, row.reason) for row in pairs.bad_rows] == [
        (3, "score is no number"),
        (4, "sentence1 empty"),
        (5, "score is not finite"),
        (6, "3 fields instead of 4"),
        (9, "empty"),
    ]
    assert pairs.summary.startswith("3 pairs, 5 left out: 1 score is no number (line 3)")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "sentence1,sentence2\na,b\n", "no column 'score'"),
        ("a.csv", "", "the file is empty"),
        ("a.csv", "sentence1,sentence2,score\n", "holds 0 pairs"),
        ("a.csv", "sentence1,sentence2,score\na,b,c\n", "1 score is no number"),
        ("a.txt", "a\n", "read from a .csv"),
    ],
)
def test_what_holds_no_pairs_is_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(DataError, match=message):
        load_pairs(tmp_path / name)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no data file"):
        load_pairs(tmp_path / "none.csv")
