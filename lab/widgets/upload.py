"""Files with sentences: taken from the reader's machine and kept, chosen, and read by column."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import streamlit as st

from cellnet.errors import DataError
from lab.components.choice import Choice
from lab.sources.uploads import KINDS, MAX_MEGABYTES, list_uploads, store_upload
from lab.widgets.forms import field_help

_WHAT_FILES_HOLD: Final = {
    ".txt": ".txt: one sentence per line.",
    ".csv": ".csv: with a header.",
    ".jsonl": ".jsonl: one object per line.",
}


def upload(root: Path, choice: Choice, *, kinds: tuple[str, ...] = KINDS, about: str = "") -> None:
    """Draw a place to drop a file; a file that comes is kept below ``root``, and its name is chosen.

    Args:
        root: folder of the runs.
        choice: is set to the name under which the file was kept.
        kinds: endings of the files that are taken.
        about: what is said of files, instead of what each kind holds.
    """
    said = f"{choice.name}.upload_said"
    held = about or " ".join(_WHAT_FILES_HOLD[kind] for kind in kinds if kind in _WHAT_FILES_HOLD)
    st.file_uploader(
        f"Upload {', '.join(kinds)} (at most {MAX_MEGABYTES} MB)",
        type=[kind.removeprefix(".") for kind in kinds],
        max_upload_size=MAX_MEGABYTES,
        key=_key(choice),
        on_change=_take,
        args=(root, choice, said),
        help=f"{held} The file is kept in the folder 'uploads' beside the runs and is read as text only.",
    )
    if problem := st.session_state.get(said):
        st.error(problem)


def _key(choice: Choice) -> str:
    return f"{choice.name}.upload"


def _take(root: Path, choice: Choice, said: str) -> None:
    file = st.session_state[_key(choice)]
    st.session_state[said] = ""
    if file is None:
        return
    try:
        stored = store_upload(root, file.name, file.getvalue())
    except (DataError, OSError) as error:
        st.session_state[said] = f"The file was not kept: {error}"
        return
    choice.set(stored.name)


def choose_upload(
    root: Path, choice: Choice, label: str, *, kinds: tuple[str, ...], help: str
) -> Path | None:
    """Draw the choice of an uploaded file, with a place to drop another; None is for none at all."""
    paths = {path.name: path for path in list_uploads(root) if path.suffix in kinds}
    if choice.value not in paths:
        choice.set(None)
    names = list(paths)
    name = st.selectbox(
        label,
        names,
        index=None if choice.value is None else names.index(choice.value),
        placeholder="none",
        key=choice.key,
        help=help,
    )
    upload(root, choice, kinds=kinds)
    return None if name is None else paths[name]


def choose_column(columns: list[str], key: str, *, first: str = "") -> str:
    """Draw the choice of the column that holds the text; "" for a file without columns.

    Args:
        columns: of the file.
        key: of the widget.
        first: offered first if there is such a column; otherwise one whose name says that it holds text.
    """
    if not columns:
        return ""
    likely = [name for name in columns if name.lower() in ("text", "sentence", "sentences")]
    begin = next(name for name in (first, *likely, columns[0]) if name in columns)
    column: str = st.selectbox(
        "Column", columns, index=columns.index(begin), key=key, help=field_help("data.column")
    )
    return column
