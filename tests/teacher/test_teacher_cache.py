import json
import logging
import multiprocessing
import threading
import time
from pathlib import Path

import numpy as np
import platformdirs
import pytest
from filelock import FileLock

from cellnet.errors import DataError
from cellnet.settings import DataSettings
from cellnet.teacher import EmbeddingCancelled, cache, default_cache_dir, embed, progress_bar


class CountingTeacher:
    """Embeds a text as known numbers, counts the texts, and can fail after some of them."""

    width = 3

    def __init__(self, fingerprint: str = "f", fail_after: int | None = None) -> None:
        self.fingerprint = fingerprint
        self.seen: list[str] = []
        self.fail_after = fail_after

    def encode(self, texts):  # type: ignore[no-untyped-def]
        if self.fail_after is not None and len(self.seen) >= self.fail_after:
            raise KeyboardInterrupt
        self.seen += texts
        return numbers(texts)


def numbers(texts: list[str]) -> np.ndarray:
    return np.array([[len(text), sum(map(ord, text)), -1.5] for text in texts], dtype=np.float32)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "BLOCK_ROWS", 4)


@pytest.fixture
def texts() -> list[str]:
    return [f"{'x' * (index * 7 % 11)} {index}" for index in range(18)]


def test_embeddings_are_computed_once_and_mapped(tmp_path, texts) -> None:
    teacher, calls = CountingTeacher(), []
    first = embed(texts, teacher, tmp_path, progress=lambda done, total: calls.append((done, total)))
    assert isinstance(first, np.memmap)
    assert not first.flags.writeable
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, numbers(texts))
    assert calls == [(0, 18), (4, 18), (8, 18), (12, 18), (16, 18), (18, 18)]
    assert [len(text) for text in teacher.seen] == sorted(map(len, texts), reverse=True)
    calls.clear()
    second = embed(texts, teacher, tmp_path, progress=lambda done, total: calls.append((done, total)))
    np.testing.assert_array_equal(second, first)
    assert len(teacher.seen) == 18
    assert calls == [(18, 18)]


def test_the_key_is_teacher_and_texts(tmp_path, texts) -> None:
    embed(texts, CountingTeacher(), tmp_path)
    for other, teacher in [
        (texts, CountingTeacher("g")),
        (texts[::-1], CountingTeacher()),
        (texts[:-1], CountingTeacher()),
        ([texts[0] + texts[1][:1], texts[1][1:], *texts[2:]], CountingTeacher()),
    ]:
        np.testing.assert_array_equal(embed(other, teacher, tmp_path), numbers(other))
        assert len(teacher.seen) == len(other)


@pytest.mark.parametrize("done", [0, 4, 12, 16])
def test_a_crash_loses_no_finished_block(tmp_path, texts, done) -> None:
    with pytest.raises(KeyboardInterrupt):
        embed(texts, CountingTeacher(fail_after=done), tmp_path)
    teacher = CountingTeacher()
    np.testing.assert_array_equal(embed(texts, teacher, tmp_path), numbers(texts))
    assert len(teacher.seen) == 18 - done


def test_cancel_and_go_on(tmp_path, texts) -> None:
    teacher = CountingTeacher()
    with pytest.raises(EmbeddingCancelled, match="after 8 of 18"):
        embed(texts, teacher, tmp_path, should_stop=lambda: len(teacher.seen) >= 8)
    np.testing.assert_array_equal(embed(texts, teacher, tmp_path), numbers(texts))
    assert len(teacher.seen) == 18


def damage_a_checksum(folder: Path) -> None:
    notes = json.loads((folder / "blocks.json").read_text())
    notes["crc32"][2] ^= 1
    (folder / "blocks.json").write_text(json.dumps(notes))


def damage_the_shortest(folder: Path) -> None:
    array = np.load(folder / "embeddings.npy", mmap_mode="r+")
    array[array[:, 0].argmin(), 2] = 0.0
    array.flush()


def cut_the_array(folder: Path) -> None:
    (folder / "embeddings.npy").write_bytes((folder / "embeddings.npy").read_bytes()[:-5])


def remove_the_array(folder: Path) -> None:
    (folder / "embeddings.npy").unlink()


def damage_the_header(folder: Path) -> None:
    (folder / "embeddings.npy").write_bytes(b"\0" + (folder / "embeddings.npy").read_bytes()[1:])


def cut_the_notes(folder: Path) -> None:
    (folder / "blocks.json").write_bytes((folder / "blocks.json").read_bytes()[:-7])


@pytest.mark.parametrize(
    ("damage", "again"),
    [
        (damage_a_checksum, 10),
        (damage_the_shortest, 2),
        (cut_the_array, 18),
        (remove_the_array, 18),
        (damage_the_header, 18),
        (cut_the_notes, 18),
    ],
)
def test_damage_is_seen_said_and_repaired(tmp_path, texts, caplog, damage, again) -> None:
    embed(texts, CountingTeacher(), tmp_path)
    (folder,) = tmp_path.iterdir()
    damage(folder)
    teacher = CountingTeacher()
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(embed(texts, teacher, tmp_path), numbers(texts))
    assert "damaged" in caplog.text
    assert len(teacher.seen) == again


def embed_slowly(folder: Path, texts: list[str], results) -> None:  # type: ignore[no-untyped-def]
    class SlowTeacher(CountingTeacher):
        def encode(self, texts):  # type: ignore[no-untyped-def]
            time.sleep(0.02)
            return super().encode(texts)

    teacher = SlowTeacher()
    same = bool((embed(texts, teacher, folder) == numbers(texts)).all())
    results.put((len(teacher.seen), same))


def test_of_two_processes_one_computes(tmp_path, texts) -> None:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [context.Process(target=embed_slowly, args=(tmp_path, texts, results)) for _ in range(2)]
    for worker in workers:
        worker.start()
    found = sorted(results.get(timeout=60) for _ in workers)
    for worker in workers:
        worker.join()
    assert found == [(0, True), (18, True)]


def test_of_two_threads_one_computes(tmp_path, texts) -> None:
    teacher = CountingTeacher()
    threads = [threading.Thread(target=embed, args=(texts, teacher, tmp_path)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(teacher.seen) == 18


def test_waiting_for_another_process_can_be_cancelled(tmp_path, texts) -> None:
    embed(texts, CountingTeacher(), tmp_path)
    (folder,) = tmp_path.iterdir()
    with FileLock(folder / "lock"), pytest.raises(EmbeddingCancelled, match="another process"):
        embed(texts, CountingTeacher(), tmp_path, should_stop=lambda: True)


def test_no_sentences_is_an_error(tmp_path) -> None:
    with pytest.raises(DataError, match="no sentences"):
        embed([], CountingTeacher(), tmp_path)


def test_a_real_teacher(tmp_path, tiny_settings, load, sentences) -> None:
    teacher = load(tiny_settings)
    np.testing.assert_allclose(embed(sentences, teacher, tmp_path), teacher.encode(sentences), atol=1e-6)


def test_default_cache_dir(tmp_path) -> None:
    assert default_cache_dir(DataSettings(cache_dir=str(tmp_path))) == tmp_path
    assert default_cache_dir(DataSettings()) == Path(platformdirs.user_cache_dir("cellnet")) / "embeddings"


def test_progress_bar_counts(capsys) -> None:
    show = progress_bar("embedding")
    for done in (4, 8, 10):
        show(done, 10)
    assert "embedding: 100%" in capsys.readouterr().err
