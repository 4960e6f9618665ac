"""Uploads: whatever they are called and hold, they land in their folder or nowhere."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cellnet.errors import DataError
from lab.sources import uploads
from lab.sources.uploads import UPLOADS, list_uploads, remove_upload, store_upload


def test_the_same_content_is_kept_once_and_other_content_beside_it(tmp_path: Path) -> None:
    first = store_upload(tmp_path, "My sentences (1).txt", b"one")
    assert first == store_upload(tmp_path, "My sentences (1).txt", b"one")
    second = store_upload(tmp_path, "My sentences (1).txt", b"two")
    assert first.name.startswith("My-sentences-1-")
    assert first.read_bytes() == b"one"
    assert second.read_bytes() == b"two"
    assert {path.name for path in list_uploads(tmp_path)} == {first.name, second.name}
    remove_upload(tmp_path, first.name)
    assert list_uploads(tmp_path) == [second]


@pytest.mark.parametrize(
    "name",
    [
        "../../outside.txt",
        "/etc/passwd.txt",
        "..\\..\\outside.csv",
        "a\0b.txt",
        ".txt.csv",
        "....jsonl",
        "ü" * 300 + ".txt",
        "con.parquet",
    ],
)
def test_no_name_leaves_the_folder(tmp_path: Path, name: str) -> None:
    root = tmp_path / "runs"
    root.mkdir()
    stored = store_upload(root, name, b"hello")
    assert stored.parent == root / UPLOADS
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [stored]
    assert len(stored.name) < 100


@given(st.text(max_size=80), st.sampled_from([".txt", ".CSV", ".Parquet"]))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_stored_name_is_plain(tmp_path: Path, stem: str, suffix: str) -> None:
    name = store_upload(tmp_path, f"a{stem}{suffix}", b"x").name
    assert name.isascii()
    assert not set(name) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.")
    assert name.count(".") == 1


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.exe", b"x", "is not a"),
        ("txt", b"x", "is not a"),
        ("a.txt/", b"", "is empty"),
        ("a.txt", b"", "is empty"),
        ("a.txt", b"x" * 2**20 + b"x", "larger than 1 MB"),
    ],
)
def test_what_holds_no_sentences_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, reason: str
) -> None:
    monkeypatch.setattr(uploads, "MAX_MEGABYTES", 1)
    with pytest.raises(DataError, match=reason):
        store_upload(tmp_path, name, content)
    assert list_uploads(tmp_path) == []


def test_a_link_planted_in_the_folder_is_replaced_and_not_followed(tmp_path: Path) -> None:
    root, victim = tmp_path / "runs", tmp_path / "victim.txt"
    root.mkdir()
    victim.write_bytes(b"precious")
    stored = store_upload(root, "a.txt", b"hello")
    stored.unlink()
    os.symlink(victim, stored)
    assert store_upload(root, "a.txt", b"hello") == stored
    assert not stored.is_symlink()
    assert victim.read_bytes() == b"precious"


def test_only_uploaded_files_can_be_removed(tmp_path: Path) -> None:
    (tmp_path / "run.txt").write_text("x")
    for name in ("../run.txt", "run.txt", str(tmp_path / "run.txt")):
        with pytest.raises(DataError, match="no uploaded file"):
            remove_upload(tmp_path, name)
    assert (tmp_path / "run.txt").exists()
