"""The lab of a server: what it holds, and that nothing of it is left when it is closed."""

import threading
from pathlib import Path

import pytest
from training_data import PATIENCE, small_service, small_settings

from cellnet.errors import RunError
from cellnet.runs.transfer import IMPORTS_FOLDER
from lab import server
from lab.server import get_lab, install_service
from lab.training import Phase
from lab.work.work import Work


def test_leftovers_of_a_killed_server_are_cleared(tmp_path: Path) -> None:
    for name in (".downloads", IMPORTS_FOLDER):
        (tmp_path / name / "a").mkdir(parents=True)
        (tmp_path / name / "a" / "b.zip").write_bytes(b"half")
    (tmp_path / "run").mkdir()
    server._clear_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_service_comes_with_its_students_and_all_of_it_ends(tmp_path: Path) -> None:
    service = small_service(tmp_path)
    remove = install_service(service)
    lab = get_lab()
    assert lab.service is service
    service.start(small_settings(max_steps=2))
    service.wait_for(lambda seen: seen.phase is Phase.FINISHED, PATIENCE)
    assert lab.shelf.get().run == service.snapshot().run_id
    lab.works.begin(Work("a", 1, lambda _: 7))
    assert lab.works.wait("a", PATIENCE).value == 7
    remove()
    with pytest.raises(RuntimeError, match="start it with 'streamlit run"):
        get_lab()
    with pytest.raises(RunError, match="shutting down"):
        lab.works.begin(Work("a", 2, lambda _: 7))
    assert not any(thread.name.startswith("cellnet-page-work") for thread in threading.enumerate())
