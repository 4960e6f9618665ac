import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cellnet.data import columns, readers
from cellnet.data.readers import list_columns, read_values
from cellnet.data.rows import BadRow, Row, check_length, check_row
from cellnet.errors import DataError


def rows(path: Path, column: str = "", low: int = 1, high: int = 2000) -> list[tuple[int, str]]:
    """Read a file into (line, text) and (line, "! reason")."""
    found: list[tuple[int, str]] = []
    for item in read_values(path, column):
        row = check_length(item if isinstance(item, BadRow) else check_row(*item), low, high)
        found.append((row.line, row.text if isinstance(row, Row) else f"! {row.reason}"))
    return found


def test_txt_reports_every_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfOne  two\t three \r\n\n\xff\xfe bad\nab\nz\0\n" + b"x" * 30 + b"\nlast")
    assert rows(path, low=3, high=20) == [
        (1, "One two three"),
        (2, "! empty"),
        (3, "! not valid UTF-8"),
        (4, "! shorter than 3 characters"),
        (5, "! holds a NUL character, as in UTF-16 or binary files"),
        (6, "! longer than 20 characters"),
        (7, "last"),
    ]


def test_csv_counts_physical_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        'id,text\n1,"two\nlines"\n2\n\n3,"a ""quote"""\n4,"bad"x\n5,fine\n6,"unclosed\n', "utf-8"
    )
    assert rows(path, "text") == [
        (2, "two lines"),
        (4, "! 1 fields instead of 2"),
        (5, "! empty"),
        (6, 'a "quote"'),
        (7, "! malformed CSV: ',' expected after '\"'"),
        (8, "fine"),
        (9, "! malformed CSV: unexpected end of data"),
    ]


def test_jsonl(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = [
        '{"text": "caf\\u00e9"}',
        "{",
        "[1]",
        '{"other": 1}',
        '{"text": 3}',
        '{"text": null}',
        "",
        "[" * 100_000,
    ]
    path.write_text("\n".join(lines), "utf-8")
    found = rows(path, "text")
    assert found[:2] == [
        (1, "café"),
        (2, "! malformed JSON: Expecting property name enclosed in double quotes"),
    ]
    assert found[2:7] == [
        (3, "! list instead of an object"),
        (4, "! no column 'text'"),
        (5, "! int instead of text"),
        (6, "! no value"),
        (7, "! empty"),
    ]
    assert found[7][0] == 8
    assert found[7][1].startswith("! malformed JSON")


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_parquet(tmp_path: Path, kind: pa.DataType) -> None:
    path = tmp_path / "a.parquet"
    texts = ["first", None, ""] + [f"row {index}" for index in range(3, 3000)]
    pq.write_table(pa.table({"id": range(3000), "text": pa.array(texts, pa.string()).cast(kind)}), path)
    found = rows(path, "text")
    assert found[:4] == [(1, "first"), (2, "! no value"), (3, "! empty"), (4, "row 3")]
    assert found[-1] == (3000, "row 2999")


def test_parquet_with_broken_text_names_the_row(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    array = pa.array([b"good", b"\xff\xff"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"text": array}), path)
    assert rows(path, "text") == [(1, "good"), (2, "! not valid UTF-8")]


def test_parquet_column_of_numbers_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": [1]}), path)
    with pytest.raises(DataError, match="holds int64; choose one with text"):
        rows(path, "id")


def test_parquet_that_unpacks_to_too_much_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(
        pa.table({"text": [f"{index} " + "x" * 1000 for index in range(1000)]}), path, compression="zstd"
    )
    monkeypatch.setattr("cellnet.data.parquet.MAX_FILE_BYTES", 500_000)
    assert path.stat().st_size < 500_000
    with pytest.raises(DataError, match="unpacks to"):
        rows(path, "text")


def test_broken_parquet_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 nonsense PAR1")
    with pytest.raises(DataError, match="not a readable parquet file"):
        rows(path, "text")


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize(("column", "message"), [("nope", "no column 'nope'"), ("", "needs data.column")])
def test_a_missing_column_names_the_known_ones(
    tmp_path: Path, suffix: str, column: str, message: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    if suffix == "csv":
        path.write_text("id,text\n1,hello\n", "utf-8")
    elif suffix == "jsonl":
        path.write_text(json.dumps({"id": 1, "text": "hello"}), "utf-8")
    else:
        pq.write_table(pa.table({"id": [1], "text": ["hello"]}), path)
    with pytest.raises(DataError, match=rf"{message}.*'id', 'text'"):
        rows(path, column)


def test_a_column_twice_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,text\na,b\n", "utf-8")
    with pytest.raises(DataError, match="more than once"):
        rows(path, "text")


def test_txt_has_no_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a\n", "utf-8")
    with pytest.raises(DataError, match=r"leave data\.column empty"):
        rows(path, "text")


def test_files_that_cannot_be_read_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="no data file"):
        rows(tmp_path / "absent.txt")
    with pytest.raises(DataError, match=r"not a \.txt"):
        rows(tmp_path / "a.docx")
    path = tmp_path / "a.txt"
    path.write_text("x" * 100, "utf-8")
    monkeypatch.setattr(readers, "MAX_LINE_CHARACTERS", 99)
    with pytest.raises(DataError, match=r"line 1 .* longer than 99"):
        rows(path)
    monkeypatch.setattr(readers, "MAX_FILE_BYTES", 99)
    with pytest.raises(DataError, match="100 bytes and the limit is 99"):
        rows(path)
    assert columns.MAX_FILE_BYTES == 2 * 1024**3


def test_excerpts_are_short_and_printable(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xff" + b"y" * 500)
    (value,) = read_values(path, "")
    assert not isinstance(value, BadRow)
    row = check_length(check_row(*value), 1, 2000)
    assert isinstance(row, BadRow)
    assert row.excerpt.startswith("\\udcffyyy")
    assert len(row.excerpt) == 80


def test_columns_are_listed_for_every_kind_of_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello\n", "utf-8")
    (tmp_path / "a.csv").write_text('id,"the text"\n1,hello\n', "utf-8")
    (tmp_path / "a.jsonl").write_text('{"id": 1}\nnot json\n[]\n{"text": "hello", "id": 2}\n', "utf-8")
    pq.write_table(pa.table({"id": [1], "text": ["hello"], "other": ["x"]}), tmp_path / "a.parquet")
    assert list_columns(tmp_path / "a.txt") == []
    assert list_columns(tmp_path / "a.csv") == ["id", "the text"]
    assert list_columns(tmp_path / "a.jsonl") == ["id", "text"]
    assert list_columns(tmp_path / "a.parquet") == ["text", "other"]
    (tmp_path / "b.parquet").write_bytes(b"PAR1 nonsense PAR1")
    with pytest.raises(DataError, match="not a readable parquet file"):
        list_columns(tmp_path / "b.parquet")
    with pytest.raises(DataError, match="no data file"):
        list_columns(tmp_path / "absent.csv")
    with pytest.raises(DataError, match=r"not a \.txt"):
        list_columns(tmp_path / "a.exe")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize(
    ("name", "text"),
    [("a.csv", "id,text\n1,hello\n"), ("a.txt", "hello\n"), ("a.jsonl", '{"text": "hello"}\n')],
)
def test_utf16_is_said_to_be_no_utf8(tmp_path: Path, name: str, text: str, encoding: str) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    message = r"is not UTF-8 text \(it looks like UTF-16\): save it as UTF-8"
    with pytest.raises(DataError, match=message):
        rows(path, "" if name == "a.txt" else "text")
    if name != "a.txt":
        with pytest.raises(DataError, match=message):
            list_columns(path)


@pytest.mark.parametrize(
    ("name", "content", "guess"),
    [
        ("a.csv", b"id,S\xe4tze\n1,hello\n", "Windows-1252"),
        ("a.csv", b"id,te\0xt\n1,hello and more than a few bytes\n", "binary data"),
        ("a.jsonl", b'{"S\xe4tze": "hello"}\n', "Windows-1252"),
        ("a.jsonl", b'{"S\\ud800tze": "hello"}\n', "Windows-1252"),
        ("a.jsonl", b'{"S\\u0000tze": "hello"}\n', "binary data"),
    ],
)
def test_names_of_columns_that_no_page_can_show_are_an_error(
    tmp_path: Path, name: str, content: bytes, guess: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(
        DataError, match=f"is not UTF-8 text .it looks like {guess}.*save it as UTF-8"
    ) as error:
        list_columns(path)
    assert str(error.value).isprintable()
    with pytest.raises(DataError) as error:
        rows(path)
    assert str(error.value).isprintable()


def test_a_parquet_column_with_a_nul_in_its_name_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"te\0xt": ["hello"]}), path)
    for read in (lambda: list_columns(path), lambda: rows(path, "text")):
        with pytest.raises(DataError, match="holds a NUL character"):
            read()
