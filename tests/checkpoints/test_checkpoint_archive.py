"""A packed checkpoint comes back whole, and a hostile zip file writes nothing."""

import io
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cellnet.checkpoints import archive as archive_module
from cellnet.checkpoints import load_checkpoint, pack, save_checkpoint, unpack
from cellnet.errors import CheckpointError
from cellnet.settings import preset

Members = list[tuple[zipfile.ZipInfo, bytes]]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    tensors = {"model": {"w": torch.arange(6.0).reshape(2, 3)}, "random": {"cpu": torch.get_rng_state()}}
    return save_checkpoint(tmp_path / "source" / "a", tensors, {"step": 3}, preset("quickstart"))


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    folder = tmp_path / "uploads"
    folder.mkdir()
    return folder


def members(checkpoint: Path) -> Members:
    return [(zipfile.ZipInfo(path.name), path.read_bytes()) for path in sorted(checkpoint.iterdir())]


def zipped(content: Members) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for info, data in content:
            archive.writestr(info, data)
    return file


def test_round_trip(checkpoint: Path, parent: Path, tmp_path: Path) -> None:
    packed = pack(checkpoint, tmp_path / "out" / "a.zip")
    first = packed.read_bytes()
    assert pack(checkpoint, packed).read_bytes() == first
    assert [path.name for path in packed.parent.iterdir()] == ["a.zip"]
    for name, source in (("one", packed), ("two", io.BytesIO(first))):
        folder = unpack(source, parent, name)
        assert folder == parent / name
        found, expected = load_checkpoint(folder), load_checkpoint(checkpoint)
        assert found.state == expected.state
        assert found.settings == expected.settings
        assert torch.equal(found.tensors["model"]["w"], expected.tensors["model"]["w"])
        assert {p.name: p.read_bytes() for p in folder.iterdir()} == {
            p.name: p.read_bytes() for p in checkpoint.iterdir()
        }
    assert sorted(path.name for path in parent.iterdir()) == ["one", "two"]


def test_deflated_is_accepted(checkpoint: Path, parent: Path) -> None:
    content = members(checkpoint)
    for info, _ in content:
        info.compress_type = zipfile.ZIP_DEFLATED
    assert load_checkpoint(unpack(zipped(content), parent, "a")).state == {"step": 3}


def test_damaged_checkpoint_is_not_packed(checkpoint: Path, tmp_path: Path) -> None:
    (checkpoint / "random.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError):
        pack(checkpoint, tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "a/b", "/tmp/a", "A", "a" * 65, "a\n"])
def test_impossible_names(checkpoint: Path, parent: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match="cannot name"):
        unpack(zipped(members(checkpoint)), parent, name)


def test_taken_names_and_missing_files(checkpoint: Path, parent: Path) -> None:
    unpack(zipped(members(checkpoint)), parent, "a")
    with pytest.raises(CheckpointError, match="exists"):
        unpack(zipped(members(checkpoint)), parent, "a")
    with pytest.raises(CheckpointError, match="no file at"):
        unpack(parent / "absent.zip", parent, "b")


def add(name: str, data: bytes = b"x", mode: int = 0) -> Callable[[Members], Members]:
    def change(content: Members) -> Members:
        info = zipfile.ZipInfo("placeholder")
        info.filename = info.orig_filename = name
        info.external_attr = mode << 16
        return [*content, (info, data)]

    return change


def link_model(content: Members) -> Members:
    for info, _ in content:
        if info.filename == "model.safetensors":
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return content


HOSTILE: dict[str, tuple[Callable[[Members], Members], str]] = {
    "parent": (add("../evil.safetensors"), "no file of a checkpoint"),
    "absolute": (add("/tmp/evil.safetensors"), "no file of a checkpoint"),
    "windows": (add("C:\\evil.safetensors"), "no file of a checkpoint"),
    "below": (add("below/evil.safetensors"), "no file of a checkpoint"),
    "folder": (add("below/"), "no file of a checkpoint"),
    "pickle": (add("optimizer.pt", b"\x80\x04."), "no file of a checkpoint"),
    "other": (add("script.py"), "no file of a checkpoint"),
    "unlisted": (add("extra.safetensors"), "does not list extra"),
    "link": (link_model, "link"),
    "device": (add("extra.safetensors", b"", stat.S_IFCHR), "special file"),
    "count": (
        lambda content: content + [add("g" * i + ".safetensors")([])[0] for i in range(1, 40)],
        "files",
    ),
    "no state": (
        lambda content: [(i, d) for i, d in content if i.filename != "state.json"],
        "no state.json",
    ),
    "missing": (
        lambda content: [(i, d) for i, d in content if i.filename != "model.safetensors"],
        "missing",
    ),
    "altered": (
        lambda content: [(i, d[:-1] + b"!" if i.filename.startswith("model") else d) for i, d in content],
        "sha256",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives_write_nothing(checkpoint: Path, parent: Path, tmp_path: Path, name: str) -> None:
    change, message = HOSTILE[name]
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CheckpointError, match=message):
        unpack(zipped(change(members(checkpoint))), parent, "a")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_duplicates_are_refused(checkpoint: Path, parent: Path) -> None:
    content = members(checkpoint)
    with pytest.raises(CheckpointError, match="twice"):
        unpack(zipped([*content, (zipfile.ZipInfo("state.json"), b"{}")]), parent, "a")


def test_bombs_are_refused_before_they_unfold(checkpoint: Path, parent: Path) -> None:
    info = zipfile.ZipInfo("bomb.safetensors")
    info.compress_type = zipfile.ZIP_DEFLATED
    bomb = zipped([*members(checkpoint), (info, bytes(5_000_000))])
    assert len(bomb.getvalue()) < 100_000
    with pytest.raises(CheckpointError, match=r"unpacks to .* at most 1000000"):
        unpack(bomb, parent, "a", max_bytes=1_000_000)

    data = bytearray(bomb.getvalue())  # the same bomb, but saying that it unpacks to 10 bytes
    for offset in (data.index(b"bomb") - 30 + 22, data.rindex(b"bomb") - 46 + 24):
        struct.pack_into("<I", data, offset, 10)
    with pytest.raises(CheckpointError, match=r"damaged|larger"):
        unpack(io.BytesIO(data), parent, "a", max_bytes=1_000_000)

    huge = zipfile.ZipInfo("state.json")
    huge.compress_type = zipfile.ZIP_DEFLATED
    with pytest.raises(CheckpointError, match="too much"):
        unpack(zipped([(huge, bytes(33 * 2**20))]), parent, "a")
    with pytest.raises(CheckpointError, match="at most 100 are allowed"):
        unpack(zipped(members(checkpoint)), parent, "a", max_bytes=100)
    assert list(parent.iterdir()) == []


def test_hostile_directories_are_refused_unread(
    checkpoint: Path, parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = zipped(members(checkpoint)).getvalue()
    record = good[-22:]
    many = zipped([(zipfile.ZipInfo(f"{i}.safetensors"), b"") for i in range(2000)])
    locator = good[:-22] + b"PK\x06\x07" + bytes(16) + record
    shifted = b"#!/bin/sh\n" + good

    def never(*_: object) -> None:
        raise AssertionError("the directory was parsed")

    monkeypatch.setattr(archive_module, "ZipFile", never)
    with pytest.raises(CheckpointError, match="holds 2000 files"):
        unpack(many, parent, "a")
    with pytest.raises(CheckpointError, match="zip64"):
        unpack(io.BytesIO(locator), parent, "a")
    with pytest.raises(CheckpointError, match="before or inside"):
        unpack(io.BytesIO(shifted), parent, "a")
    for data in (b"", b"PK", b"not a zip file at all, really not", good[:-1], good + b"comment"):
        with pytest.raises(CheckpointError, match="no zip file"):
            unpack(io.BytesIO(data), parent, "a")


def test_every_flipped_byte_is_noticed(checkpoint: Path, parent: Path, tmp_path: Path) -> None:
    """Whatever a flipped byte hits, the answer is a CheckpointError or the very same checkpoint."""
    good = zipped(members(checkpoint)).getvalue()
    directory = good.index(b"PK\x01\x02")
    source = tmp_path / "flipped.zip"
    positions = [
        *range(0, 40),
        *range(directory, len(good), 3),
        *range(40, directory, directory // 60),
    ]
    for position in positions:
        data = bytearray(good)
        data[position] ^= 0x5A
        source.write_bytes(data)
        try:
            folder = unpack(source, parent, "a")
        except CheckpointError:
            assert list(parent.iterdir()) == []
        else:
            for path in folder.iterdir():
                assert path.read_bytes() == (checkpoint / path.name).read_bytes()
                path.unlink()
            folder.rmdir()
