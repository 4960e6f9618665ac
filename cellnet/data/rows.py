"""Rows of a source: a row with its text, or a bad row with the reason it is left out."""

from __future__ import annotations

from dataclasses import dataclass

EXCERPT_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Row:
    """One text of a source; ``line`` counts from 1 (lines of a text file, rows of a parquet file)."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that is left out: where it is, why, and how it begins."""

    line: int
    reason: str
    excerpt: str


@dataclass(frozen=True, slots=True)
class Repeat:
    """A text that occurs more than once: the line of its first row, how often, and the text."""

    line: int
    count: int
    text: str


def bad_row(line: int, reason: str, value: object) -> BadRow:
    """Return a bad row with a printable excerpt of the value at most `EXCERPT_CHARACTERS` long."""
    text = value[: EXCERPT_CHARACTERS + 1] if isinstance(value, str) else repr(value)
    text = " ".join(text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\0").split())
    if len(text) > EXCERPT_CHARACTERS:
        text = text[: EXCERPT_CHARACTERS - 1] + "…"
    return BadRow(line, reason, text)


def check_row(line: int, value: object) -> Row | BadRow:
    """Return the value as a row with its whitespace normalized, or the reason why it is none."""
    if value is None:
        return bad_row(line, "no value", "")
    if not isinstance(value, str):
        return bad_row(line, f"{type(value).__name__} instead of text", value)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return bad_row(line, "not valid UTF-8", value)
    if "\0" in value:
        return bad_row(line, "holds a NUL character, as in UTF-16 or binary files", value)
    text = " ".join(value.split())
    if not text:
        return bad_row(line, "empty", value)
    return Row(line, text)


def check_length(row: Row | BadRow, min_characters: int, max_characters: int) -> Row | BadRow:
    """Return the row as it is if its text is of an allowed length, else the reason why it is left out."""
    if isinstance(row, Row):
        if len(row.text) < min_characters:
            return bad_row(row.line, f"shorter than {min_characters} characters", row.text)
        if len(row.text) > max_characters:
            return bad_row(row.line, f"longer than {max_characters} characters", row.text)
    return row
