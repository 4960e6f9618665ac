"""Runs that leave as one file, and checkpoints that come in; hostile ones are refused and leave nothing."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
import small_student
import torch
from torch import Tensor

from cellnet.checkpoints import load_checkpoint, pack, save_checkpoint
from cellnet.errors import CheckpointError, RunError
from cellnet.runs import RunStore
from cellnet.runs.loading import load_model
from cellnet.runs.transfer import IMPORTS_FOLDER, export_run, import_checkpoint
from cellnet.settings import Settings, with_changes
from cellnet.training import TrainingSession
from cellnet.training.benchmark import random_data

SETTINGS = with_changes(
    small_student.SETTINGS, {"training.validate_every": 2, "training.checkpoint_every": 2}
)
DATA = random_data(SETTINGS, 52)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunStore, str]:
    store = RunStore(tmp_path_factory.mktemp("runs"))
    with TrainingSession.start(store, SETTINGS, DATA, name="first") as session:
        session.trainer.apply({"loss.diversity": 0.3})
        session.trainer.train()
    store.update(session.run_id, note="a note", tags=["a", "b"])
    return store, session.run_id


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "other")


@pytest.fixture
def packed(trained: tuple[RunStore, str], tmp_path: Path) -> Path:
    store, run = trained
    return pack(store.checkpoints(run)[-1].path, tmp_path / "packed.zip")


def test_an_imported_checkpoint_is_a_run_with_the_same_student(
    trained: tuple[RunStore, str], store: RunStore, packed: Path
) -> None:
    run = store.get(import_checkpoint(store, packed, name="brought"))
    assert (run.name, run.state, run.step, run.pid) == ("brought", "stopped", 4, None)
    assert Settings(**run.settings).loss.diversity == 0.3
    assert run.note.startswith("Imported")
    assert [(change.step, change.key, change.new) for change in store.changes(run.id)] == [
        (0, "loss.diversity", 0.3)
    ]
    [checkpoint] = store.checkpoints(run.id)
    assert checkpoint.path == store.folder(run.id) / "checkpoints" / "step-00000004"
    found = load_model(run.id, store.root).model.state_dict()
    expected = load_model(trained[1], trained[0].root, step=4).model.state_dict()
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert list((store.root / IMPORTS_FOLDER).iterdir()) == []


def test_an_imported_run_can_be_resumed(store: RunStore, packed: Path) -> None:
    run = import_checkpoint(store, packed)
    assert store.get(run).name == "imported, step 4"
    with TrainingSession.resume(store, run, DATA, overrides={"training.max_steps": 6}) as session:
        session.trainer.train()
    assert store.get(run).step == 6


def test_an_upload_is_as_good_as_a_path_and_imports_do_not_collide(store: RunStore, packed: Path) -> None:
    with packed.open("rb") as file:
        runs = {import_checkpoint(store, file) for _ in range(2)}
    assert len(runs) == 2


Tamper = Callable[[dict[str, Tensor], dict[str, Any], dict[str, Any]], None]


def forge(trained: tuple[RunStore, str], tmp_path: Path, tamper: Tamper) -> Path:
    """Pack the checkpoint with other weights, state or settings, all checksums right."""
    store, run = trained
    saved = load_checkpoint(store.checkpoints(run)[-1].path)
    assert saved.settings is not None
    weights, state, changes = dict(saved.tensors["model"]), dict(saved.state), dict[str, Any]()
    tamper(weights, state, changes)
    settings = with_changes(saved.settings, changes)
    tensors = {**saved.tensors, "model": weights}
    return pack(save_checkpoint(tmp_path / "forged", tensors, state, settings), tmp_path / "f.zip")


def huge(settings: dict[str, Any]) -> Tamper:
    return lambda weights, state, changes: changes.update(settings)


def huge_encoder(weights: dict[str, Tensor], state: dict[str, Any], changes: dict[str, Any]) -> None:
    """Ask for an encoder of any width beside a decoder that is as wide as it says."""
    others = weights["codec.from_channels.weight"].shape[1]
    code = len(weights["codec.to_surface.weight"])
    weights["codec.decoder.0.weight"] = torch.zeros(4, code + others)
    changes.update(
        {
            "embedding.type": "autoencoder",
            "embedding.hidden_size": 8192,
            "embedding.decoder_hidden_size": 4,
        }
    )


def put(**values: Any) -> Tamper:
    return lambda weights, state, changes: state.update(values)


def change(**values: Any) -> Tamper:
    entry = {"step": 1, "key": "loss.diversity", "old": 0.1, "new": 0.2} | values
    return put(changes=[entry])


def spoil(weights: dict[str, Tensor], state: dict[str, Any], changes: dict[str, Any]) -> None:
    weights["mapper.lift"] = torch.full_like(weights["mapper.lift"], float("nan"))


def lose(weights: dict[str, Tensor], state: dict[str, Any], changes: dict[str, Any]) -> None:
    del weights["lattice.normalize.weight"]


def reshape(weights: dict[str, Tensor], state: dict[str, Any], changes: dict[str, Any]) -> None:
    weights["lattice.normalize.weight"] = torch.zeros(3)


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (huge({"lattice.dimensions": (128, 128, 128)}), r"to_surface.weight of shape \(16384, 20\)"),
        (huge({"lattice.dimensions": (4, 4, 128)}), "its settings ask for 2048 cells and it has 64"),
        (huge({"model.state_size": 512}), r"mapper.lift of shape \(16, 512\)"),
        (huge({"functional.hidden_size": 4096}), "do not fit its settings"),
        (huge({"embedding.type": "autoencoder"}), "codec.decoder.0.weight"),
        (huge({"embedding.lifting_strategy": "whole_surface"}), r"mixture.weight of shape \(80, 16\)"),
        (huge_encoder, r"codec.encoder.0.weight of shape \(8192, 20\)"),
        (huge({"embedding.type": "attention"}), "do not fit its settings"),
        (huge({"embedding.extraction_strategy": "volume_projection"}), "do not fit its settings"),
        (spoil, "weights are not finite: mapper.lift"),
        (lose, "do not fit its settings"),
        (reshape, "do not fit its settings"),
        (put(step=-1), "step is impossible.*greater than or equal to 0"),
        (put(step=True), "step is impossible.*valid integer"),
        (put(step="4"), "step is impossible.*valid integer"),
        (put(step=10**9), "step is impossible.*less than or equal to 100000000"),
        (put(best_step=5), "best step 5 comes after step 4"),
        (put(best_validation="low"), "best_validation is impossible"),
        (put(validations_without_improvement=True), "validations_without_improvement is impossible"),
        (put(block_cells=0), "block_cells is impossible"),
        (put(order={"rows": [[[]]], "passes": 0, "position": 0}), "order.rows is impossible"),
        (put(order={"rows": 8, "passes": 0, "position": 9}), "position 9 is beyond the 8 rows"),
        (put(changes=None), "changes is impossible"),
        (put(changes=[{}] * 10_001), "too long"),
        (put(changes=[1]), "changes.0 is impossible"),
        (change(more=1), "changes.0.more is impossible"),
        (change(key="data.cache_dir", new="/etc"), "'data.cache_dir' is no live setting"),
        (change(step=-2), "changes.0.step is impossible"),
        (change(new="much"), "changes.0.new is impossible"),
        (change(new=True), "changes.0.new is impossible"),
        (put(optimizer=None), "not an optimizer's state"),
    ],
)
def test_checkpoints_that_lie_are_refused_and_leave_nothing(
    trained: tuple[RunStore, str], store: RunStore, tmp_path: Path, tamper: Tamper, message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        import_checkpoint(store, forge(trained, tmp_path, tamper))
    assert store.list() == store.list(deleted=True) == []
    assert list((store.root / IMPORTS_FOLDER).iterdir()) == []


def test_what_is_no_student_or_no_archive_is_refused(store: RunStore, tmp_path: Path, packed: Path) -> None:
    other = save_checkpoint(tmp_path / "x", {"optimizer": {"a": torch.zeros(2)}}, {"step": 1}, SETTINGS)
    with pytest.raises(CheckpointError, match="holds no student"):
        import_checkpoint(store, pack(other, tmp_path / "x.zip"))
    for data in (b"", b"PK", packed.read_bytes()[:-30]):
        with pytest.raises(CheckpointError, match="no packed checkpoint"):
            import_checkpoint(store, io.BytesIO(data))
    with pytest.raises(CheckpointError, match="at most 1000 are allowed"):
        import_checkpoint(store, packed, max_bytes=1000)
    assert store.list() == []


def test_an_exported_run_has_all_that_there_is_to_know(
    trained: tuple[RunStore, str], store: RunStore, tmp_path: Path
) -> None:
    source, run = trained
    frames = source.folder(run) / "frames"
    frames.mkdir(exist_ok=True)
    (frames / "step-00000002.safetensors").write_bytes(b"a frame")
    target = export_run(source, run, tmp_path / "out" / "run.zip")
    assert [path.name for path in target.parent.iterdir()] == ["run.zip"]
    with ZipFile(target) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        read = {name: archive.read(name) for name in names}
    described = json.loads(read["run.json"])
    assert (described["id"], described["name"], described["note"]) == (run, "first", "a note")
    assert described["tags"] == ["a", "b"]
    assert "pid" not in described
    assert read["settings.toml"] == (source.folder(run) / "settings.toml").read_bytes()
    rows = list(csv.DictReader(read["metrics-train.csv"].decode().splitlines()))
    table = source.metrics(run, phase="train")
    assert [int(row["step"]) for row in rows] == [1, 2, 3, 4]
    np.testing.assert_allclose([float(row["total"]) for row in rows], table["total"], rtol=1e-12)
    validation = list(csv.DictReader(read["metrics-validation.csv"].decode().splitlines()))
    assert [int(row["step"]) for row in validation] == [2, 4]
    [change] = csv.DictReader(read["changes.csv"].decode().splitlines())
    assert (change["step"], change["key"], change["new"]) == ("0", "loss.diversity", "0.3")
    assert read["frames/step-00000002.safetensors"] == b"a frame"
    assert "checkpoints/step-00000002.zip" in names
    again = import_checkpoint(store, io.BytesIO(read["checkpoints/step-00000004.zip"]))
    assert store.get(again).step == 4


def test_exporting_what_is_not_there_or_broken_says_so(
    trained: tuple[RunStore, str], store: RunStore, packed: Path, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match="no run 'nothing'"):
        export_run(store, "nothing", tmp_path / "x.zip")
    run = import_checkpoint(store, packed)
    (store.checkpoints(run)[0].path / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(CheckpointError, match="bytes instead of"):
        export_run(store, run, tmp_path / "x.zip")
    assert not (tmp_path / "x.zip").exists()


def test_a_checkpoint_that_vanishes_meanwhile_is_left_out(
    store: RunStore, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = import_checkpoint(store, packed)

    def vanish(folder: Path, target: Path) -> None:
        store.remove_checkpoint(run, 4)
        load_checkpoint(folder)

    monkeypatch.setattr("cellnet.runs.transfer.pack", vanish)
    with ZipFile(export_run(store, run, tmp_path / "x.zip")) as archive:
        assert not [name for name in archive.namelist() if name.startswith("checkpoints/")]
