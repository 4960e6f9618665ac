"""Embeddings computed once and kept on disk, memory-mapped, resumable after a crash at any point."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import platformdirs
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from tqdm import tqdm

from cellnet.errors import CellnetError, DataError
from cellnet.settings import DataSettings
from cellnet.teacher.blocks import BlockFile
from cellnet.teacher.encoder import Teacher

BLOCK_ROWS = 256

_FORMAT = 1
_LOCK_POLL_SECONDS = 0.2


class EmbeddingCancelled(CellnetError):  # noqa: N818 - a wish fulfilled, not a failure
    """Embedding was stopped on request; the blocks that are done stay in the cache."""


def default_cache_dir(settings: DataSettings) -> Path:
    """Return ``data.cache_dir``, or the user's cache folder of this system when it is empty."""
    if settings.cache_dir:
        return Path(settings.cache_dir).expanduser()
    return platformdirs.user_cache_path("cellnet") / "embeddings"


def progress_bar(label: str) -> Callable[[int, int], None]:
    """Return a callback (done, total) that draws a progress bar on the terminal."""
    bar: tqdm[None] | None = None

    def show(done: int, total: int) -> None:
        nonlocal bar
        if bar is None:
            bar = tqdm(total=total, initial=done, desc=label, unit=" sentences")
        bar.update(done - bar.n)
        if done == total:
            bar.close()

    return show


def embed(
    sentences: Sequence[str],
    teacher: Teacher,
    cache_dir: Path,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> NDArray[np.float32]:
    """Return the teacher's embeddings (n, D) of n sentences, memory-mapped and read-only.

    They are computed once per teacher (see `Teacher.fingerprint`) and sequence of sentences, in
    blocks of `BLOCK_ROWS` sentences of similar length, longest first. Each block is on disk before
    its checksum is noted, so a later call goes on where an earlier one broke off; blocks that no
    longer match their checksum are computed again, with a warning. Of several processes that ask
    for the same embeddings, one computes and the others wait.

    Args:
        sentences: n >= 1 texts.
        teacher: the encoder.
        cache_dir: folder of the cache; made if it does not exist.
        progress: called with (sentences done, n), at the start and after each block.
        should_stop: asked before each block and while waiting for another process.

    Raises:
        EmbeddingCancelled: if ``should_stop`` says so.
        DataError: if there are no sentences.
    """
    if not sentences:
        raise DataError("there are no sentences to embed; give at least one")
    folder = cache_dir / _key(sentences, teacher)
    folder.mkdir(parents=True, exist_ok=True)
    longest_first = np.argsort([-len(sentence) for sentence in sentences], kind="stable")
    blocks = np.split(longest_first, range(BLOCK_ROWS, len(sentences), BLOCK_ROWS))
    file = BlockFile(folder, blocks, teacher.width)
    lock = FileLock(folder / "lock")
    while True:
        try:
            lock.acquire(timeout=_LOCK_POLL_SECONDS)
            break
        except Timeout:
            if should_stop is not None and should_stop():
                raise EmbeddingCancelled("stopped while another process embeds these sentences") from None
    try:
        done = file.recover()
        for rows in blocks[done:]:
            _report(done, len(sentences), progress, should_stop)
            file.append(teacher.encode([sentences[row] for row in rows]))
            done += 1
        if progress is not None:
            progress(len(sentences), len(sentences))
        return file.open()
    finally:
        lock.release()


def _report(
    blocks_done: int,
    total: int,
    progress: Callable[[int, int], None] | None,
    should_stop: Callable[[], bool] | None,
) -> None:
    done = blocks_done * BLOCK_ROWS
    if progress is not None:
        progress(done, total)
    if should_stop is not None and should_stop():
        raise EmbeddingCancelled(
            f"stopped after {done} of {total} sentences; a new start goes on from there"
        )


def _key(sentences: Sequence[str], teacher: Teacher) -> str:
    digest = hashlib.sha256(json.dumps([_FORMAT, teacher.fingerprint, len(sentences)]).encode())
    for sentence in sentences:
        data = sentence.encode()
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()
