"""Runs are created, found, described, deleted and restored, and no id leaves the store's folder."""

import dataclasses
import json
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cellnet.errors import RunError
from cellnet.runs import RunStore
from cellnet.settings import Settings, load_toml, preset


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RunStore]:
    with RunStore(tmp_path / "runs") as store:
        yield store


def test_create_writes_folder_settings_and_row(store: RunStore) -> None:
    settings = preset("quickstart")
    before = time.time()
    run = store.create(settings, name="first try")
    assert re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{6}", run.id)
    assert (run.name, run.state, run.step, run.max_steps) == (
        "first try",
        "created",
        0,
        settings.training.max_steps,
    )
    assert before <= run.created == run.updated <= time.time()
    assert (run.pid, run.process, run.host, run.parent, run.deleted) == (None, None, None, None, False)
    assert Settings(**run.settings) == settings
    folder = store.folder(run.id)
    assert folder == store.root / run.id
    assert load_toml(folder / "settings.toml") == settings
    assert (folder / "checkpoints").is_dir()
    assert store.get(run.id) == run


def test_ids_sort_by_time_and_children_know_their_parent(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = store.create(Settings())
    monkeypatch.setattr(time, "gmtime", lambda: time.struct_time((2999, 1, 1, 0, 0, 0, 0, 1, 0)))
    child = store.create(Settings(), parent=parent.id)
    assert child.parent == parent.id
    assert parent.id < child.id
    assert [run.id for run in store.list()] == [child.id, parent.id]
    with pytest.raises(RunError, match="no run 'absent'"):
        store.create(Settings(), parent="absent")


def test_lookup_by_prefix_and_latest(store: RunStore) -> None:
    with pytest.raises(RunError, match="none yet"):
        store.get("latest")
    for name in ("alpha-1", "alpha-2", "alpha", "beta_x"):
        store.create(Settings(), run_id=name)
    assert store.get("beta").id == "beta_x"
    assert store.get("alpha").id == "alpha"
    assert store.get("latest").id == "beta_x"
    with pytest.raises(RunError, match=r"several runs.*choose one of: alpha-2, alpha-1"):
        store.get("alpha-")
    for unknown in ("gamma", "", "beta%", "../beta_x"):
        with pytest.raises(RunError, match="known: beta_x, alpha, alpha-2, alpha-1"):
            store.get(unknown)


BAD_IDS = [
    "",
    ".",
    "..",
    "../x",
    "a/b",
    "/tmp/x",
    "a\\b",
    ".trash",
    "runs.sqlite",
    "A",
    "a b",
    "a\n",
    "a" * 65,
    "-a",
]


@pytest.mark.parametrize("run_id", BAD_IDS)
def test_ids_cannot_leave_the_folder(store: RunStore, run_id: str) -> None:
    before = sorted(store.root.parent.rglob("*"))
    with pytest.raises(RunError, match="cannot be the id"):
        store.create(Settings(), run_id=run_id)
    for action in (store.folder, store.delete, store.restore, store.claim):
        with pytest.raises(RunError, match="no run"):
            action(run_id)
    assert sorted(store.root.parent.rglob("*")) == before


def test_taken_ids(store: RunStore) -> None:
    store.create(Settings(), run_id="a")
    with pytest.raises(RunError, match="choose another id"):
        store.create(Settings(), run_id="a")
    with pytest.raises(RunError, match="always means the newest"):
        store.create(Settings(), run_id="latest")
    (store.root / "b").mkdir()
    with pytest.raises(RunError, match="choose another id"):
        store.create(Settings(), run_id="b")
    assert [run.id for run in store.list()] == ["a"]


def test_update_changes_what_is_given(store: RunStore) -> None:
    run = store.create(Settings(), name="old")
    store.update(run.id, note="a note", tags=["x", "y"], summary={"loss": float("inf"), "n": [1]})
    store.update(run.id, name="new", max_steps=5)
    found = store.get(run.id)
    assert found.updated >= run.updated
    assert found == dataclasses.replace(
        run,
        updated=found.updated,
        name="new",
        note="a note",
        tags=("x", "y"),
        summary={"loss": float("inf"), "n": [1]},
        max_steps=5,
    )
    store.update(run.id, note="", tags=[])
    assert (store.get(run.id).note, store.get(run.id).tags) == ("", ())


def test_delete_and_restore(store: RunStore) -> None:
    run = store.create(Settings(), run_id="a")
    store.log_metrics("a", 1, "train", {"loss": 1.0})
    folder = store.folder("a")
    store.delete("a")
    assert not folder.exists()
    assert (store.root / ".trash" / "a" / "settings.toml").is_file()
    assert store.list() == []
    assert [run.id for run in store.list(deleted=True)] == ["a"]
    for action in (store.folder, store.metrics, store.delete, store.claim):
        with pytest.raises(RunError, match="in the trash"):
            action("a")
    with pytest.raises(RunError, match="choose another id"):
        store.create(Settings(), run_id="a")

    store.restore("a")
    assert store.folder("a") == folder
    assert (folder / "settings.toml").is_file()
    assert store.get("a").settings == run.settings
    assert store.metrics("a")["loss"].tolist() == [1.0]
    with pytest.raises(RunError, match="no run 'a' in the trash"):
        store.restore("a")


def test_half_done_deletion_can_be_finished(store: RunStore) -> None:
    store.create(Settings(), run_id="a")
    (store.root / ".trash").mkdir()
    store.folder("a").rename(store.root / ".trash" / "a")
    store.delete("a")
    assert [run.id for run in store.list(deleted=True)] == ["a"]
    store.restore("a")
    store.folder("a").rename(store.root / "lost")
    with pytest.raises(RunError, match="put the folder"):
        store.delete("a")
    assert [run.id for run in store.list()] == ["a"]


def test_checkpoints(store: RunStore) -> None:
    store.create(Settings(), run_id="a")
    folder = store.folder("a") / "checkpoints"
    for step in (100, 200, 300, 400, 500):
        path = folder / f"step-{step:08}"
        path.mkdir()
        (path / "state.json").write_bytes(bytes(step))
        store.add_checkpoint("a", step, path, best=step in (100, 200))
    found = store.checkpoints("a")
    assert [(c.step, c.bytes, c.best) for c in found] == [
        (100, 100, False),
        (200, 200, True),
        (300, 300, False),
        (400, 400, False),
        (500, 500, False),
    ]
    assert found[0].path == folder / "step-00000100"
    assert store.prune_checkpoints("a", keep=2) == [100, 300]
    assert [c.step for c in store.checkpoints("a")] == [200, 400, 500]
    assert sorted(path.name[-3:] for path in folder.iterdir()) == ["200", "400", "500"]
    store.remove_checkpoint("a", 200)
    assert not (folder / "step-00000200").exists()
    with pytest.raises(RunError, match="no checkpoint of step 200; it has: 400, 500"):
        store.remove_checkpoint("a", 200)
    with pytest.raises(RunError, match="keep at least 1"):
        store.prune_checkpoints("a", keep=0)


def test_checkpoints_stay_inside_the_run(store: RunStore, tmp_path: Path) -> None:
    store.create(Settings(), run_id="a")
    outside = tmp_path / "outside"
    outside.mkdir()
    folder = store.folder("a")
    (folder / "link").symlink_to(outside)
    for path in (outside, folder, folder / ".." / ".." / "outside", folder / "link"):
        with pytest.raises(RunError, match="is not inside"):
            store.add_checkpoint("a", 1, path)
    with pytest.raises(RunError, match="save the checkpoint first"):
        store.add_checkpoint("a", 1, folder / "checkpoints" / "absent")
    (folder / "checkpoints" / "x").mkdir()
    store.add_checkpoint("a", 1, folder / "checkpoints" / "x")
    with closing(sqlite3.connect(store.root / "runs.sqlite")) as connection, connection:
        connection.execute("UPDATE checkpoint SET path = '../../outside'")
    with pytest.raises(RunError, match="is not inside"):
        store.remove_checkpoint("a", 1)
    assert outside.is_dir()


def test_other_databases_are_refused(tmp_path: Path) -> None:
    RunStore(tmp_path).close()
    path = tmp_path / "runs.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE schema_version SET version = 99")
    with pytest.raises(RunError, match=r"newer cellnet.*upgrade"):
        RunStore(tmp_path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TABLE schema_version")
    with pytest.raises(RunError, match="another program"):
        RunStore(tmp_path)
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(RunError, match="cannot be used as a run database"):
        RunStore(tmp_path)
    with pytest.raises(RunError, match="choose another folder"):
        RunStore(path)


def test_closed_store_says_so(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    store.close()
    store.close()
    with pytest.raises(RunError, match="store is open"):
        store.list()
    with pytest.raises(RunError, match="store is open"):
        store.create(Settings())


def test_settings_json_is_the_whole_tree(store: RunStore) -> None:
    run = store.create(preset("large"))
    assert json.loads(json.dumps(run.settings)) == run.settings
    assert Settings(**run.settings) == preset("large")
