"""Frames kept over a training: what comes back, how they are thinned, and hostile files."""

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from cellnet.errors import RunError
from lab.training import CubeFrame, FrameStore
from lab.training.frames import FrameSummary

CELLS, STEPS, CHANNELS = 24, 3, 5


def frame(step: int = 7, size: float = 1.0) -> CubeFrame:
    rng = np.random.default_rng(step)
    gate = rng.dirichlet((1, 1, 1), size=(STEPS, CELLS)).astype(np.float32)
    states = (size * rng.normal(size=(STEPS + 1, CELLS, CHANNELS))).astype(np.float32)
    return CubeFrame(1, step, (2, 3, 4), states, gate, 0.25, "A sentence.", 0.01)


def test_a_frame_comes_back_in_half_precision(tmp_path: Path) -> None:
    store, made = FrameStore(tmp_path / "frames"), frame()
    assert store.steps() == []
    assert store.summaries() == []
    store.add(frame(3))
    store.add(made)
    found = FrameStore(store.folder).load(7)
    assert (found.number, found.step, found.dimensions) == (2, 7, (2, 3, 4))
    assert (found.text, found.cosine, found.seconds) == ("A sentence.", 0.25, 0.01)
    assert found.states.dtype == found.gate.dtype == np.float32
    np.testing.assert_allclose(found.states, made.states, rtol=2**-10, atol=1e-6)
    np.testing.assert_allclose(found.gate, made.gate, rtol=2**-10, atol=1e-6)
    with pytest.raises(RunError, match="at step 4; there are: 3, 7"):
        store.load(4)


@pytest.mark.parametrize("size", [1e-3, 3e4, 1e9])
def test_large_states_are_scaled_so_that_they_stay_finite(tmp_path: Path, size: float) -> None:
    store, made = FrameStore(tmp_path), frame(size=size)
    store.add(made)
    np.testing.assert_allclose(store.load(7).states, made.states, rtol=2**-10, atol=1e-4 * size)


def test_the_summary_tells_gate_entropy_and_norms_without_the_states(tmp_path: Path) -> None:
    store, made = FrameStore(tmp_path), frame()
    store.add(made)
    [summary] = store.summaries()
    assert summary == store.summary(7)
    np.testing.assert_allclose(summary.gate_mean, made.gate.mean(axis=1), rtol=1e-5)
    entropies = [
        [-sum(w * math.log(w) for w in cell) / math.log(3) for cell in step] for step in made.gate.tolist()
    ]
    np.testing.assert_allclose(summary.gate_entropy, np.mean(entropies, axis=1), rtol=1e-5)
    np.testing.assert_allclose(summary.norms, [np.sqrt((s**2).mean()) for s in made.states], rtol=1e-5)
    assert (summary.lattice_steps, summary.channels, summary.cells) == (STEPS, CHANNELS, CELLS)
    assert store.summaries()[0] is summary


def test_frames_are_thinned_evenly_and_the_first_and_the_newest_stay(tmp_path: Path) -> None:
    store = FrameStore(tmp_path, max_frames=8)
    for step in range(0, 500, 5):
        store.add(frame(step))
    steps = store.steps()
    assert len(steps) == 8
    assert (steps[0], steps[-1]) == (0, 495)
    gaps = np.diff(steps)
    assert gaps.max() <= 2.5 * np.median(gaps)
    assert len(list(tmp_path.iterdir())) == 8


def test_the_bytes_are_capped_too(tmp_path: Path) -> None:
    store = FrameStore(tmp_path)
    store.add(frame(0))
    one = next(tmp_path.iterdir()).stat().st_size
    store = FrameStore(tmp_path, max_bytes=5 * one + one // 2)
    for step in range(1, 20):
        store.add(frame(step))
    assert len(store.steps()) == 5
    tiny = FrameStore(tmp_path, max_bytes=1)
    tiny.add(frame(20))
    assert tiny.steps() == [0, 20]


def test_the_same_step_is_replaced_and_later_ones_can_be_forgotten(tmp_path: Path) -> None:
    store = FrameStore(tmp_path)
    for step in (1, 2, 3):
        store.add(frame(step))
    store.add(frame(2, size=3.0))
    assert store.summary(2).norms[0] == pytest.approx(3.0, rel=0.3)
    (tmp_path / ".step-00000009.safetensors.0123abcd.new").write_bytes(b"half")
    store.truncate_after(2)
    assert store.steps() == [1, 2]
    assert len(list(tmp_path.iterdir())) == 2


def test_what_is_not_finite_is_not_kept(tmp_path: Path) -> None:
    store, made = FrameStore(tmp_path), frame()
    made.states[1, 2, 3] = np.inf
    with pytest.raises(ValueError, match="step 7 are not finite"):
        store.add(made)
    assert store.steps() == []


def write(path: Path, header: dict[str, Any] | str, **tensors: np.ndarray) -> None:
    text = header if isinstance(header, str) else json.dumps(header)
    save_file(tensors, path, {"frame": text})


@pytest.mark.parametrize(
    "change",
    [
        {"step": 8},
        {"dimensions": [2, 3, 5]},
        {"dimensions": [200, 200, 200]},
        {"dimensions": [-2, -3, 4]},
        {"lattice_steps": 2},
        {"channels": 6},
        {"format": 2},
        {"scale": 0.0},
        {"scale": "2"},
        {"cosine": None},
        {"gate_mean": []},
        {"norms": [1.0]},
        {"more": 1},
    ],
)
def test_a_header_that_lies_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    store = FrameStore(tmp_path)
    store.add(frame())
    [path] = tmp_path.iterdir()
    tensors = load_file(path)
    header = FrameSummary.of(frame()).model_dump()
    write(path, header, **tensors)
    assert store.load(7).step == 7
    write(path, header | change, **tensors)
    for reading in (lambda: store.load(7), FrameStore(tmp_path).summaries):
        with pytest.raises(RunError, match="is no picture of the cube"):
            reading()


def test_files_that_are_no_frames_are_refused(tmp_path: Path) -> None:
    store = FrameStore(tmp_path)
    store.add(frame())
    [path] = tmp_path.iterdir()
    whole, tensors = path.read_bytes(), load_file(path)
    header = FrameSummary.of(frame()).model_dump()
    wrong: list[bytes] = [
        b"",
        b"nothing",
        whole[: len(whole) // 2],
        whole + b"more",
        struct.pack("<Q", 2**40) + whole[8:],
        struct.pack("<Q", 2**19) + b" " * 2**19 + whole[8:],
    ]
    for data in wrong:
        path.write_bytes(data)
        with pytest.raises(RunError, match="is no picture of the cube"):
            store.load(7)
    for arrays in (
        {"states": tensors["states"]},
        tensors | {"more": tensors["gate"]},
        tensors | {"gate": tensors["gate"].astype(np.float32)},
        tensors | {"gate": tensors["gate"][:, :5]},
    ):
        write(path, header, **arrays)
        with pytest.raises(RunError, match="its arrays are not those of a frame"):
            store.load(7)
    write(path, "{", **tensors)
    with pytest.raises(RunError, match="is no picture"):
        store.summaries()


def test_other_files_and_links_are_no_frames(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    store = FrameStore(folder)
    store.add(frame())
    (folder / "notes.txt").write_text("hello")
    (folder / "step-00000009.safetensors").symlink_to(folder / "step-00000007.safetensors")
    assert store.steps() == [7]
