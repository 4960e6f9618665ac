"""A checkpoint as one zip file, for download and upload; what comes in is treated as hostile."""

from __future__ import annotations

import os
import re
import stat
import struct
import zlib
from pathlib import Path
from typing import IO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from cellnet.checkpoints.files import load_checkpoint
from cellnet.checkpoints.manifest import (
    FILE_PATTERN,
    MAX_FILES,
    MAX_SETTINGS_BYTES,
    MAX_STATE_BYTES,
    SETTINGS_FILE,
    STATE_FILE,
    read_manifest,
)
from cellnet.errors import CheckpointError
from cellnet.files import new_file, new_folder

MAX_ARCHIVE_BYTES = 2_000_000_000
"""Most bytes a packed checkpoint may take, unpacked; beyond it a zip needs the zip64 format."""

_NAME_PATTERN = r"[a-z0-9][a-z0-9_-]{0,63}"
_CHUNK_BYTES = 2**20
_MAX_DIRECTORY_BYTES = 2**16
_END_RECORD = struct.Struct("<4s4H2LH")
_ZIP64_LOCATOR_BYTES = 20
_EPOCH = (1980, 1, 1, 0, 0, 0)
_DAMAGE = (BadZipFile, EOFError, NotImplementedError, ValueError, struct.error, zlib.error)


def pack(folder: Path, target: Path) -> Path:
    """Write the checkpoint in ``folder`` as one zip file, replacing ``target`` only when it is complete.

    The members are stored, not compressed (weights do not shrink), and carry no times, so that equal
    checkpoints give equal bytes.

    Returns:
        ``target``.

    Raises:
        CheckpointError: if the checkpoint is damaged or larger than `MAX_ARCHIVE_BYTES`.
    """
    load_checkpoint(folder)
    files = [folder / name for name in (*sorted(read_manifest(folder).files), STATE_FILE)]
    if (total := sum(file.stat().st_size for file in files)) > MAX_ARCHIVE_BYTES:
        raise CheckpointError(
            f"{folder} takes {total} bytes and a zip file at most {MAX_ARCHIVE_BYTES}; copy the folder"
        )
    with new_file(target) as new, ZipFile(new, "w", ZIP_STORED, allowZip64=False) as archive:
        for file in files:
            info = ZipInfo(file.name, _EPOCH)
            info.file_size = file.stat().st_size
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            with file.open("rb") as source, archive.open(info, "w") as member:
                while chunk := source.read(_CHUNK_BYTES):
                    member.write(chunk)
    return target


def unpack(source: Path | IO[bytes], parent: Path, name: str, max_bytes: int = MAX_ARCHIVE_BYTES) -> Path:
    """Unpack a checkpoint from a zip file of unknown origin into the new folder ``parent / name``.

    Nothing is written outside a temporary sibling folder, and the folder appears only when the whole
    checkpoint has passed the checks of `load_checkpoint`.

    Args:
        source: a path or an open, seekable binary file.
        parent: the folder that gets the new folder.
        name: 1 to 64 of ``a-z0-9_-``.
        max_bytes: most bytes that the archive may take, packed and unpacked.

    Raises:
        CheckpointError: if the name is taken or impossible, or the archive is anything but one checkpoint.
    """
    if not re.fullmatch(_NAME_PATTERN, name):
        raise CheckpointError(f"{name!r} cannot name a checkpoint; use 1 to 64 of a-z, 0-9, _ and -")
    target = parent / name
    if target.exists():
        raise CheckpointError(f"{target} exists; choose another name")
    if isinstance(source, Path):
        if not source.is_file():
            raise CheckpointError(f"there is no file at {source}; give the path of a packed checkpoint")
        with source.open("rb") as file:
            return _unpack(file, target, max_bytes)
    return _unpack(source, target, max_bytes)


def _unpack(file: IO[bytes], target: Path, max_bytes: int) -> Path:
    _check_end_record(file, max_bytes)
    try:
        with ZipFile(file) as archive:
            members = _check_members(archive.infolist(), max_bytes)
            with new_folder(target) as new:
                _extract(archive, members, new)
                load_checkpoint(new)
    except _DAMAGE as error:
        raise _refusal(f"the zip file is damaged: {str(error) or 'it ends too soon'}") from None
    return target


def _check_end_record(file: IO[bytes], max_bytes: int) -> None:
    """Bound the zip directory before anything parses it: a huge one would fill the memory."""
    size = file.seek(0, os.SEEK_END)
    if size > max_bytes:
        raise _refusal(f"it takes {size} bytes and at most {max_bytes} are allowed")
    file.seek(max(0, size - _END_RECORD.size - _ZIP64_LOCATOR_BYTES))
    tail = file.read()
    record = tail[-_END_RECORD.size :]
    if (
        len(record) < _END_RECORD.size
        or not record.startswith(b"PK\x05\x06")
        or not record.endswith(b"\0\0")
    ):
        raise _refusal("it is no zip file, is truncated, or ends in a comment")
    _, _, _, _, count, directory_bytes, directory_start, _ = _END_RECORD.unpack(record)
    if tail.startswith(b"PK\x06\x07") and len(tail) > _END_RECORD.size:
        raise _refusal("it uses the zip64 format, which no checkpoint needs")
    if directory_start + directory_bytes + len(record) != size:
        raise _refusal("something stands before or inside the zip file")
    if count > MAX_FILES + 1 or directory_bytes > _MAX_DIRECTORY_BYTES:
        raise _refusal(f"it holds {count} files and at most {MAX_FILES + 1} are allowed")


def _check_members(members: list[ZipInfo], max_bytes: int) -> list[ZipInfo]:
    names = [info.filename for info in members]
    if STATE_FILE not in names:
        raise _refusal(f"it holds no {STATE_FILE} at its top")
    if len(names) > MAX_FILES + 1 or len(set(names)) < len(names):
        raise _refusal("it holds too many files, or one name twice")
    if (total := sum(info.file_size for info in members)) > max_bytes:
        raise _refusal(f"it unpacks to {total} bytes and at most {max_bytes} are allowed")
    caps = {STATE_FILE: MAX_STATE_BYTES, SETTINGS_FILE: MAX_SETTINGS_BYTES}
    for info in members:
        shown = repr(info.orig_filename[:80])
        if info.orig_filename != info.filename or not re.fullmatch(
            rf"{FILE_PATTERN}|{re.escape(STATE_FILE)}", info.filename
        ):
            raise _refusal(f"{shown} is no file of a checkpoint")
        if not 0 <= info.header_offset < max_bytes:
            raise _refusal(f"{shown} is not where it should be")
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
            raise _refusal(f"{shown} is a link or another special file")
        if info.flag_bits & 0x1 or info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise _refusal(f"{shown} is encrypted or compressed in an unusual way")
        if info.file_size > caps.get(info.filename, max_bytes):
            raise _refusal(f"{shown} unpacks to {info.file_size} bytes, which is too much")
    return members


def _extract(archive: ZipFile, members: list[ZipInfo], folder: Path) -> None:
    """Write the members; of none is more written than the size it declares, which has been checked."""
    for info in members:
        written = 0
        with archive.open(info) as member, (folder / info.filename).open("xb") as output:
            while chunk := member.read(min(_CHUNK_BYTES, info.file_size - written + 1)):
                written += output.write(chunk)
                if written > info.file_size:
                    raise _refusal(f"{info.filename} is larger than it says")
        if written != info.file_size:
            raise _refusal(f"{info.filename} is smaller than it says")
    if extra := {info.filename for info in members} - {STATE_FILE, *read_manifest(folder).files}:
        raise _refusal(f"{STATE_FILE} does not list {', '.join(sorted(extra))}")


def _refusal(problem: str) -> CheckpointError:
    return CheckpointError(f"this is no packed checkpoint: {problem}; give a file that cellnet packed")
