"""Files that people gave the lab: kept beside the runs, under names that are safe and say their content."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Final

from cellnet.errors import DataError
from cellnet.files import new_file

UPLOADS: Final = "uploads"
KINDS: Final = (".txt", ".csv", ".jsonl", ".parquet")
MAX_MEGABYTES: Final = 200
_LONGEST_STEM: Final = 60
_DIGEST: Final = 8


def store_upload(root: Path, name: str, content: bytes) -> Path:
    """Write a file below ``root`` and return its path; the same name and content give the same path.

    Of the name only letters, digits, dashes and underscores remain; a digest of the content is added, so
    that no upload ever changes what an earlier run learned from.

    Raises:
        DataError: if it is empty, too large, or of a kind that holds no sentences.
    """
    base, dot, kind = name.rstrip("/").rpartition(".")
    suffix = dot + kind.lower()
    if suffix not in KINDS:
        raise DataError(f"{name[:80]!r} is not a {', '.join(KINDS)} file")
    if not content:
        raise DataError(f"{name[:80]!r} is empty")
    if len(content) > MAX_MEGABYTES * 2**20:
        raise DataError(f"{name[:80]!r} is larger than {MAX_MEGABYTES} MB; split it into smaller files")
    folder = root / UPLOADS
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(base).name)[:_LONGEST_STEM].strip("-") or "upload"
    target = folder / f"{stem}-{hashlib.sha256(content).hexdigest()[:_DIGEST]}{suffix}"
    with new_file(target, mode=0o600) as new:
        new.write_bytes(content)
    return target


def list_uploads(root: Path) -> list[Path]:
    """Return the uploaded files, the newest first; none whose name is no text that a page can show."""
    folder = root / UPLOADS
    if not folder.is_dir():
        return []
    paths = [
        path
        for path in folder.iterdir()
        if path.suffix in KINDS and path.name.isprintable() and path.is_file()
    ]
    return sorted(paths, key=lambda path: (-path.stat().st_mtime, path.name))


def remove_upload(root: Path, name: str) -> None:
    """Delete an uploaded file.

    Raises:
        DataError: if there is none of this name.
    """
    for path in list_uploads(root):
        if path.name == name:
            path.unlink()
            return
    raise DataError(f"there is no uploaded file {name[:80]!r}")
