from pathlib import Path

import pytest

from cellnet.data import docstrings
from cellnet.data.docstrings import docstring_sentences, is_prose, split_sentences, standard_library
from cellnet.data.rows import BadRow, Row
from cellnet.errors import DataError


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_finds_module_class_and_nested_function_docstrings_in_file_order(tmp_path: Path) -> None:
    write(tmp_path, "b.py", '"""The last file comes last of all."""\n')
    write(
        tmp_path,
        "a.py",
        '"""The module says one thing here."""\n'
        "if True:\n"
        "    class A:\n"
        '        """The class says another thing here."""\n'
        "        async def f(self):\n"
        '            """The method says a third thing. It also goes on a little."""\n'
        "x = 'This string is no docstring at all.'\n",
    )
    assert list(docstring_sentences(tmp_path)) == [
        Row(1, "The module says one thing here."),
        Row(4, "The class says another thing here."),
        Row(6, "The method says a third thing."),
        Row(6, "It also goes on a little."),
        Row(1, "The last file comes last of all."),
    ]


def test_modules_are_parsed_and_never_run(tmp_path: Path) -> None:
    write(tmp_path, "a.py", '"""This module would fail when imported."""\nraise RuntimeError\n')
    assert [row.text for row in docstring_sentences(tmp_path)] == ["This module would fail when imported."]


def test_skips_tests_and_installed_packages(tmp_path: Path) -> None:
    for folder in ("test", "x/tests", "idlelib/idle_test", "site-packages/y"):
        write(tmp_path, f"{folder}/a.py", '"""This one must not be found anywhere."""\n')
    assert list(docstring_sentences(tmp_path)) == []


def test_a_file_that_is_not_python_is_reported(tmp_path: Path) -> None:
    write(tmp_path, "a.py", "def (:\n")
    (row,) = docstring_sentences(tmp_path)
    assert isinstance(row, BadRow)
    assert row.reason.startswith("a.py is not valid Python")


def test_paragraphs_lists_and_abbreviations() -> None:
    docstring = """Return a list of
        things, e.g. The quick ones.  It may well be empty!

        - The first item is a sentence.
        - The second item is one too.

        >>> Code is left out. Always and everywhere.

        name: not a sentence
        """
    assert split_sentences(docstring) == [
        "Return a list of things, e.g. The quick ones.",
        "It may well be empty!",
    ]
    assert split_sentences("A list follows this line.\n* One of the many items.\nend") == [
        "A list follows this line."
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Return the value of the header.", True),
        ("return the value of the header.", False),
        ("Return the value of the header", False),
        ("Return the value: x = 3 if y else 4.", False),
        ("See https://example.org for all of it.", False),
        ("One 2 3 4 5 6 7 8 9 10 11 12 13 14.", False),
        ("Gives back naïve words and nothing else.", False),
        ("Too few words.", False),
        ("A" + " word" * 60 + ".", False),
    ],
)
def test_prose(text: str, expected: bool) -> None:
    assert is_prose(text) is expected


def test_the_real_library_gives_about_13000_sentences() -> None:
    rows = list(docstring_sentences(standard_library()))
    texts = {row.text for row in rows if isinstance(row, Row)}
    assert not [row for row in rows if isinstance(row, BadRow)]
    assert 9_000 < len(texts) < 20_000
    assert "Return a JSON string representation of a Python data structure." in texts
    assert "Scan the string s for a JSON string." in texts
    assert all(20 <= len(text) <= 300 for text in texts)


def test_a_library_without_sources_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docstrings.sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(DataError, match=r"set data\.source"):
        standard_library()
