"""English sentences from the docstrings of Python's own standard library, present on every machine."""

from __future__ import annotations

import ast
import inspect
import os
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from cellnet.data.rows import BadRow, Row, bad_row
from cellnet.errors import DataError

MIN_CHARACTERS = 20
MAX_CHARACTERS = 300
MIN_WORDS = 4
MIN_LETTER_SHARE = 0.88

# `encodings` holds some hundred generated modules that all say the same sentence.
_SKIPPED_FOLDERS = {"site-packages", "dist-packages", "test", "tests", "idle_test", "encodings"}
_PARAGRAPH_BREAK = re.compile(r"\n\s*\n")
_LIST_ITEM = re.compile(r"\n(?=\s*(?:[-*+]|\d+[.)]|\(\w\))\s)")
_SENTENCE_BREAK = re.compile(
    r"(?<=[.!?])(?<!e\.g\.)(?<!i\.e\.)(?<!etc\.)(?<!vs\.)(?<!cf\.)\s+(?=[A-Z\"'`(])"
)
_CODE = re.compile(r">>>|\.\.\.|[|{}\\<>=@#$%^~\[\]]|::|-->|https?:")
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def standard_library() -> Path:
    """Return the folder of the running Python's standard library.

    Raises:
        DataError: if the library is not there as source files.
    """
    folder = Path(sysconfig.get_path("stdlib"))
    if not (folder / "ast.py").is_file():
        raise DataError(
            f"the source 'docstrings' needs the standard library as .py files, and {folder} has none; "
            "use a Python that ships them, or set data.source to a .txt, .csv, .jsonl or .parquet file"
        )
    return folder


def docstring_sentences(folder: Path) -> Iterator[Row | BadRow]:
    """Yield the English sentences in the docstrings under ``folder``, and a bad row per unreadable file.

    Files come in sorted order and are parsed, never imported; folders of tests and of installed
    packages are skipped. Sentences may repeat. ``line`` is that of the docstring in its file.
    """
    for path in _python_files(folder):
        try:
            tree = ast.parse(path.read_bytes(), str(path))
        except (SyntaxError, ValueError) as error:
            yield bad_row(1, f"{path.name} is not valid Python: {error}", str(path))
            continue
        for line, docstring in _docstrings(tree):
            for sentence in split_sentences(docstring):
                yield Row(line, sentence)


def _python_files(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(set(folders) - _SKIPPED_FOLDERS)
        yield from (Path(parent, name) for name in sorted(files) if name.endswith(".py"))


def _docstrings(node: ast.AST) -> Iterator[tuple[int, str]]:
    if isinstance(node, _DOCUMENTED) and (text := ast.get_docstring(node, clean=False)):
        yield node.body[0].lineno, text
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.ExceptHandler):
            yield from _docstrings(child)


def split_sentences(docstring: str) -> list[str]:
    """Return the English sentences of one docstring, whitespace normalized, code and tables left out."""
    found: list[str] = []
    for paragraph in _PARAGRAPH_BREAK.split(inspect.cleandoc(docstring)):
        if ">>>" in paragraph:
            continue
        for item in _LIST_ITEM.split(paragraph):
            pieces = _SENTENCE_BREAK.split(" ".join(item.split()))
            found += [piece for piece in pieces if is_prose(piece)]
    return found


def is_prose(sentence: str) -> bool:
    """Whether a piece of text looks like one English sentence.

    It has a usual length, starts with a capital, ends with a full stop, question or exclamation
    mark, holds no code and is mostly letters.
    """
    if not MIN_CHARACTERS <= len(sentence) <= MAX_CHARACTERS or len(sentence.split()) < MIN_WORDS:
        return False
    if not (sentence.isascii() and sentence[0].isupper() and sentence[-1] in ".!?"):
        return False
    if _CODE.search(sentence):
        return False
    letters = sum(character.isalpha() or character == " " for character in sentence)
    return letters >= MIN_LETTER_SHARE * len(sentence)
