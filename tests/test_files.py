"""Files and folders appear whole or not at all, on the disk, and follow no link."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

from cellnet import files
from cellnet.checkpoints import save_checkpoint
from cellnet.files import new_file, remove_stale

KILLED = """
import os, sys
from pathlib import Path
from cellnet import files
die_at, seen = int(sys.argv[2]), 0
def replace(source, target):
    global seen
    seen += 1
    if seen == die_at:
        os._exit(9)
    os.rename(source, target)
files.os = type("Os", (), {**vars(os), "replace": staticmethod(replace)})
with files.new_folder(Path(sys.argv[1])) as new:
    (new / "file").write_text("new")
os._exit(9)
"""


@pytest.mark.parametrize(("die_at", "expected"), [(1, "old"), (2, "old"), (3, "new")])
def test_killed_process_leaves_old_or_new(tmp_path: Path, die_at: int, expected: str) -> None:
    target = tmp_path / "a"
    target.mkdir()
    (target / "file").write_text("old")
    done = subprocess.run([sys.executable, "-c", KILLED, str(target), str(die_at)], check=False)
    assert done.returncode == 9
    left = remove_stale(tmp_path)
    assert len(left) == (0 if die_at == 3 else die_at)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (target / "file").read_text() == expected
    assert remove_stale(tmp_path) == []


def test_stale_removal_touches_nothing_else(tmp_path: Path) -> None:
    for name in ("step-1", ".hidden", ".x.new", "a.0123abcd.new", ".step-1.0123abcd.old"):
        (tmp_path / name).mkdir()
    assert remove_stale(tmp_path) == [".step-1.0123abcd.old"]
    assert sorted(p.name for p in tmp_path.iterdir()) == [".hidden", ".x.new", "a.0123abcd.new", "step-1"]


def test_everything_is_on_the_disk_before_the_name_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = files.sync

    def record(path: Path) -> None:
        synced.append(path.name if path.suffix != ".new" else "folder")
        real(path)

    monkeypatch.setattr(files, "sync", record)
    save_checkpoint(tmp_path / "a", {"model": {"w": torch.ones(1)}}, {})
    assert sorted(synced[:2]) == ["model.safetensors", "state.json"]
    assert synced[2:] == ["folder", tmp_path.name]
    assert set(safetensors.torch.load_file(tmp_path / "a" / "model.safetensors")) == {"w"}


def test_a_file_takes_the_place_of_the_old_one_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "below" / "a.txt"
    with new_file(target) as new:
        new.write_text("old")

    def fail_half_way() -> None:
        with new_file(target) as new:
            new.write_text("half")
            raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        fail_half_way()
    assert target.read_text() == "old"
    with new_file(target) as new:
        new.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert list(target.parent.iterdir()) == [target]


def test_a_file_is_on_the_disk_before_its_name_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    real_sync, real_replace = files.sync, os.replace
    monkeypatch.setattr(files, "sync", lambda path: (done.append(f"sync {path.suffix}"), real_sync(path)))
    monkeypatch.setattr(os, "replace", lambda *paths: (done.append("replace"), real_replace(*paths)))
    with new_file(tmp_path / "a") as new:
        new.write_bytes(b"content")
    assert done == ["sync .new", "replace", "sync "]


def test_a_link_is_replaced_and_one_that_is_planted_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside, target = tmp_path / "outside", tmp_path / "a"
    outside.write_text("untouched")
    target.symlink_to(outside)
    with new_file(target, mode=0o600) as new:
        new.write_text("new")
    assert not target.is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    monkeypatch.setattr("secrets.token_hex", lambda _: "0123abcd")
    (tmp_path / ".a.0123abcd.new").symlink_to(outside)
    with pytest.raises(FileExistsError), new_file(target) as new:
        pytest.fail("it followed the link")
    assert outside.read_text() == "untouched"


def test_a_half_written_file_of_a_killed_process_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".a.0123abcd.new").write_text("half")
    assert remove_stale(tmp_path) == [".a.0123abcd.new"]
    assert list(tmp_path.iterdir()) == []
