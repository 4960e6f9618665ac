"""A run belongs to one living process at a time, and a killed one leaves it interrupted."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cellnet.errors import RunError
from cellnet.runs import RUN_STATES, RunStore
from cellnet.runs.processes import process_identity
from cellnet.settings import Settings


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RunStore]:
    with RunStore(tmp_path / "runs") as store:
        store.create(Settings(), run_id="a")
        yield store


def own(store: RunStore, **columns: object) -> None:
    """Pretend that some process owns the run."""
    with store._database.write() as connection:
        for column, value in columns.items():
            connection.execute(f"UPDATE run SET {column} = ? WHERE id = 'a'", (value,))


def test_states(store: RunStore) -> None:
    for state in RUN_STATES:
        store.set_state("a", state)
        assert store.get("a").state == state
    store.set_state("a", "failed", step=12, error="the loss is NaN")
    assert (store.get("a").step, store.get("a").error) == (12, "the loss is NaN")
    store.set_state("a", "running")
    assert (store.get("a").step, store.get("a").error) == (12, "")
    with pytest.raises(RunError, match="no state of a run; use one of created, running"):
        store.set_state("a", "sleeping")  # type: ignore[arg-type]


def test_claim_and_release(store: RunStore) -> None:
    store.claim("a")
    store.claim("a")
    run = store.get("a")
    assert run.pid == os.getpid()
    assert run.process == process_identity(os.getpid())
    store.set_state("a", "running")
    assert store.get("a").pid == os.getpid()
    assert store.recover() == []
    with pytest.raises(RunError, match="stop it first"):
        store.delete("a")
    store.release("a")
    assert (store.get("a").pid, store.get("a").process, store.get("a").host) == (None, None, None)
    store.claim("a")
    store.set_state("a", "finished")
    assert store.get("a").pid is None


OWNER = """
import sys
from pathlib import Path
from cellnet.runs import RunStore
with RunStore(Path(sys.argv[1])) as store:
    store.claim("a")
    store.set_state("a", sys.argv[2], step=5)
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("state", ["running", "paused"])
def test_killed_process_leaves_an_interrupted_run(store: RunStore, state: str) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(store.root), state], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert owner.stdin is not None
    assert owner.stdout is not None
    with owner.stdin, owner.stdout:
        assert owner.stdout.readline() == b"ready\n"
        assert store.recover() == []
        for action in (store.claim, store.release, store.delete):
            with pytest.raises(RunError, match=f"process {owner.pid} on "):
                action("a")
        owner.kill()
        os.waitid(os.P_PID, owner.pid, os.WEXITED | os.WNOWAIT)  # dead, and still a zombie
        assert store.recover() == ["a"]
        owner.wait()
    run = store.get("a")
    assert (run.state, run.step, run.pid) == ("interrupted", 5, None)
    assert store.recover() == []
    store.claim("a")


def test_reused_pid_is_another_process(store: RunStore) -> None:
    store.claim("a")
    store.set_state("a", "running")
    own(store, process="another boot:1")
    assert store.recover() == ["a"]


def test_other_hosts_are_not_judged(store: RunStore) -> None:
    store.claim("a")
    store.set_state("a", "running")
    own(store, host="elsewhere", pid=2**22 + 1)
    assert store.recover() == []
    for action in (store.claim, store.release, store.delete):
        with pytest.raises(RunError, match="on elsewhere works on the run"):
            action("a")
    store.release("a", force=True)
    assert store.recover() == ["a"]


def test_process_identity() -> None:
    assert process_identity(os.getpid()) == process_identity(os.getpid())
    assert process_identity(os.getpid()) != process_identity(1)
    assert process_identity(2**22 + 1) is None


def test_process_identity_of_other_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("psutil")
    here = process_identity(os.getpid())
    monkeypatch.setattr(sys, "platform", "darwin")
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert process_identity(os.getpid()) == process_identity(os.getpid()) != here
        assert process_identity(child.pid) not in (None, process_identity(os.getpid()))
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert process_identity(child.pid) is None
    finally:
        child.communicate()
    assert process_identity(child.pid) is None
