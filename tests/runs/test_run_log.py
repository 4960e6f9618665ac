"""Metrics and live changes come back exactly, quickly, and from several threads and processes at once."""

import math
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cellnet.errors import RunError
from cellnet.runs import RunStore
from cellnet.settings import Settings


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RunStore]:
    with RunStore(tmp_path / "runs") as store:
        store.create(Settings(), run_id="a")
        yield store


def test_values_are_exact(store: RunStore) -> None:
    values = {
        "third": 1 / 3,
        "nan": math.nan,
        "inf": math.inf,
        "minus": -math.inf,
        "tiny": 5e-324,
        "zero": -0.0,
    }
    store.log_metrics("a", 3, "train", values)
    table = store.metrics("a")
    assert list(table.columns) == ["step", "phase", *values]
    found = table[list(values)].to_numpy()[0]
    assert found.tobytes() == np.array([*values.values()]).tobytes()
    assert table["step"].dtype == np.int64
    assert table["phase"].tolist() == ["train"]


def test_selection_and_missing_names(store: RunStore) -> None:
    for step in (1, 2, 3):
        store.log_metrics("a", step, "train", {"loss": step / 10, "rate": 0.5})
    store.log_metrics("a", 2, "validation", {"loss": 9.0, "variance": 0.25})
    table = store.metrics("a")
    assert list(zip(table["step"], table["phase"], strict=True)) == [
        (1, "train"),
        (2, "train"),
        (2, "validation"),
        (3, "train"),
    ]
    np.testing.assert_array_equal(table["loss"], [0.1, 0.2, 9.0, 0.3])
    np.testing.assert_array_equal(table["rate"], [0.5, 0.5, np.nan, 0.5])
    np.testing.assert_array_equal(table["variance"], [np.nan, np.nan, 0.25, np.nan])
    table = store.metrics("a", phase="train", names=["never", "loss"], from_step=2)
    assert list(table.columns) == ["step", "phase", "never", "loss"]
    np.testing.assert_array_equal(table["loss"], [0.2, 0.3])
    assert table["never"].isna().all()
    assert store.get("a").step == 3


def test_the_newest_figures_of_every_run(store: RunStore) -> None:
    store.create(Settings(), run_id="b")
    store.create(Settings(), run_id="c")
    store.log_metrics("a", 3, "train", {"rate": 0.5, "loss": 0.3})
    for step in (2, 1):
        store.log_metrics("a", step, "train", {"loss": step / 10, "rate": 0.5})
    store.log_metrics("a", 4, "train", {"rate": 0.25})
    store.log_metrics("a", 2, "validation", {"loss": 9.0})
    store.log_metrics("b", 7, "train", {"loss": math.nan})
    newest = store.latest("train")
    assert newest["a"] == (4, {"rate": 0.25})
    assert newest["b"][0] == 7
    assert set(newest) == {"a", "b"}
    assert store.latest("validation") == {"a": (2, {"loss": 9.0})}
    store.delete("a")
    assert set(store.latest("train")) == {"b"}


def test_nothing_logged_is_an_empty_table(store: RunStore) -> None:
    table = store.metrics("a", names=["loss"])
    assert list(table.columns) == ["step", "phase", "loss"]
    assert len(table) == 0
    assert len(store.metrics("a", phase="validation", from_step=10)) == 0


def test_a_step_logged_twice_is_merged(store: RunStore) -> None:
    store.log_metrics("a", 1, "train", {"loss": 1.0, "rate": 2.0})
    store.log_metrics("a", 1, "train", {"loss": 3.0, "norm": 4.0})
    table = store.metrics("a")
    assert table.drop(columns="phase").to_dict("records") == [
        {"step": 1, "loss": 3.0, "rate": 2.0, "norm": 4.0}
    ]


def test_wrong_rows_change_nothing(store: RunStore) -> None:
    with pytest.raises(RunError, match="phase 'test'"):
        store.log_metrics_many("a", [(1, "train", {"loss": 1.0}), (2, "test", {"loss": 1.0})])  # type: ignore[list-item]
    with pytest.raises(RunError, match="step -1"):
        store.log_metrics("a", -1, "train", {"loss": 1.0})
    with pytest.raises(RunError, match="no run 'b'"):
        store.log_metrics("b", 1, "train", {"loss": 1.0})
    assert len(store.metrics("a")) == 0
    assert store.get("a").step == 0


def test_a_hundred_thousand_steps_are_read_quickly(store: RunStore) -> None:
    names = [f"metric {index}" for index in range(14)]
    store.log_metrics_many(
        "a", ((step, "train", dict.fromkeys(names, float(step))) for step in range(100_000))
    )
    started = time.perf_counter()
    table = store.metrics("a")
    seconds = time.perf_counter() - started
    assert table.shape == (100_000, 16)
    assert table["metric 13"].iloc[-1] == 99_999.0
    assert seconds < 5.0  # about 0.2 s on an idle core
    started = time.perf_counter()
    assert len(store.metrics("a", phase="train", from_step=99_990)) == 10
    assert time.perf_counter() - started < 0.5


def test_changes_and_truncation(store: RunStore) -> None:
    for step in (1, 2, 3):
        store.log_metrics("a", step, "train", {"loss": float(step)})
        store.log_metrics("a", step, "validation", {"loss": float(step)})
    store.log_change("a", 3, "loss.diversity", 0.1, 0.2)
    store.log_change("a", 2, "lattice.local_distance_ratio", 0.1, 0.6)
    store.log_change("a", 2, "lattice.local_distance_ratio", 0.6, None)
    changes = store.changes("a")
    assert [(c.step, c.key, c.old, c.new) for c in changes] == [
        (2, "lattice.local_distance_ratio", 0.1, 0.6),
        (2, "lattice.local_distance_ratio", 0.6, None),
        (3, "loss.diversity", 0.1, 0.2),
    ]
    assert changes[2].time <= changes[0].time <= changes[1].time

    store.truncate_after("a", 2)
    assert store.metrics("a")["step"].tolist() == [1, 1, 2, 2]
    assert store.changes("a") == changes[:2]
    assert store.get("a").step == 2
    store.log_metrics("a", 3, "train", {"loss": 7.0})
    assert store.metrics("a", phase="train")["loss"].tolist() == [1.0, 2.0, 7.0]


def test_rows_of_a_phase_that_an_older_version_logged_are_passed_over(store: RunStore) -> None:
    store.log_metrics("a", 5, "train", {"loss": 0.5})
    with store._database.write() as connection:
        connection.execute(
            "INSERT INTO metric SELECT run, 'readout', step, names, data FROM metric WHERE phase = 'train'"
        )
    table = store.metrics("a")
    assert table[["step", "phase", "loss"]].values.tolist() == [[5, "train", 0.5]]
    store.truncate_after("a", 0)
    assert store.metrics("a").empty


WRITER = """
import sys
from pathlib import Path
from cellnet.runs import RunStore
with RunStore(Path(sys.argv[1])) as store:
    for step in range(200):
        store.log_metrics("a", step, sys.argv[2], {"loss": float(step), sys.argv[2]: 1.0})
"""


def test_two_processes_and_threads_write_at_once(store: RunStore) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(store.root), phase])
        for phase in ("train", "validation")
    ]
    store.create(Settings(), run_id="b")

    def write(first: int) -> None:
        for step in range(first, first + 100):
            store.log_metrics("b", step, "train", {"loss": float(step)})

    threads = [threading.Thread(target=write, args=(first,)) for first in (0, 100)]
    for thread in threads:
        thread.start()
    seen = 0
    while any(writer.poll() is None for writer in writers):
        seen = max(seen, len(store.metrics("a")))
        time.sleep(0.02)
    for thread in threads:
        thread.join()
    assert [writer.wait() for writer in writers] == [0, 0]
    assert 0 <= seen <= 400
    for phase in ("train", "validation"):
        table = store.metrics("a", phase=phase)
        assert table["step"].tolist() == list(range(200))
        assert table["loss"].tolist() == list(range(200))
    assert store.metrics("b")["step"].tolist() == list(range(200))


def test_first_opening_by_many_at_once(tmp_path: Path) -> None:
    opened: list[object] = []
    barrier = threading.Barrier(8)

    def open_store() -> None:
        barrier.wait()
        with RunStore(tmp_path / "new") as store:
            opened.append(store.list())

    threads = [threading.Thread(target=open_store) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == [[]] * 8
