"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STALE = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{8}\.(?P<kind>new|old)")


@contextmanager
def new_file(target: Path, *, mode: int = 0o666) -> Iterator[Path]:
    """Yield the path of an empty sibling file that takes the place of ``target`` when the block ends well.

    The sibling is made anew under a name that cannot be guessed, so that a link planted there is never
    followed. It is on the disk before it gets its name. When the block raises, ``target`` is what it was.

    Args:
        target: the file; its parent is created.
        mode: permissions, less the umask.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.{secrets.token_hex(4)}.new")
    os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
    try:
        yield new
        sync(new)
        os.replace(new, target)
        sync(target.parent)
    finally:
        new.unlink(missing_ok=True)


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Yield an empty sibling folder that takes the place of ``target`` when the block ends well.

    The files are on the disk before the folder gets its name. When the block raises, ``target`` is what
    it was; when the process dies in it, `remove_stale` makes it so.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    token = secrets.token_hex(4)
    new = target.with_name(f".{target.name}.{token}.new")
    old = target.with_name(f".{target.name}.{token}.old")
    new.mkdir()
    try:
        yield new
        for file in new.iterdir():
            sync(file)
        sync(new)
        if target.exists():
            os.replace(target, old)
        os.replace(new, target)
        sync(target.parent)
    except BaseException:
        if old.exists() and not target.exists():
            os.replace(old, target)
        raise
    finally:
        if new.exists():
            shutil.rmtree(new)
    if old.exists():
        shutil.rmtree(old)


def remove_stale(parent: Path) -> list[str]:
    """Clear what a killed process left behind in ``parent`` and return the names of those leftovers.

    What is half-written is removed; a folder that was moved aside and never replaced gets its name back.
    Call it only while nobody else writes into ``parent``.
    """
    stale = [(path, match) for path in parent.iterdir() if (match := _STALE.fullmatch(path.name))]
    for path, match in stale:
        original = parent / match["name"]
        if match["kind"] == "old" and not original.exists():
            os.replace(path, original)
        elif path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    return [path.name for path, _ in stale]


def sync(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows has no such call for folders
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
