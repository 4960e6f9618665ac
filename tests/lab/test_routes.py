"""The addresses of downloads: what they send, whom they refuse."""

import io
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from training_data import PATIENCE, small_service, small_settings

from cellnet.checkpoints import load_checkpoint, unpack
from lab.routes import checkpoint_url, download_routes, run_url
from lab.server import install_service
from lab.training import Phase, TrainingService


@pytest.fixture
def service(tmp_path: Path) -> Iterator[TrainingService]:
    service = small_service(tmp_path / "runs")
    remove = install_service(service)
    service.start(small_settings(max_steps=6, checkpoint_every=3))
    service.wait_for(lambda seen: seen.phase is Phase.FINISHED, PATIENCE)
    yield service
    remove()


@pytest.fixture
def client(service: TrainingService) -> TestClient:
    return TestClient(Starlette(routes=download_routes()), base_url="http://127.0.0.1")


def run_of(service: TrainingService) -> str:
    run = service.snapshot().run_id
    assert run is not None
    return run


def downloads(service: TrainingService) -> list[Path]:
    return list((service.store.root / ".downloads").iterdir())


@pytest.mark.parametrize(("asked", "step"), [(None, 6), (3, 3), (6, 6)])
def test_any_checkpoint_is_sent_by_default_the_newest(
    service: TrainingService, client: TestClient, tmp_path: Path, asked: int | None, step: int
) -> None:
    run = run_of(service)
    answer = client.get(checkpoint_url(run, asked))
    assert answer.status_code == 200
    assert f"{run}-step-{step}.zip" in answer.headers["content-disposition"]
    assert answer.headers["cache-control"] == "no-store"
    folder = unpack(io.BytesIO(answer.content), tmp_path, "got")
    assert load_checkpoint(folder).state["step"] == step
    assert downloads(service) == []


def test_a_whole_run_is_sent_with_its_frames(service: TrainingService, client: TestClient) -> None:
    answer = client.get(run_url(run_of(service)))
    assert answer.status_code == 200
    with ZipFile(io.BytesIO(answer.content)) as archive:
        names = set(archive.namelist())
    assert {"run.json", "settings.toml", "metrics-train.csv", "changes.csv"} <= names
    assert {"checkpoints/step-00000003.zip", "checkpoints/step-00000006.zip"} <= names
    assert "frames/step-00000000.safetensors" in names
    assert downloads(service) == []


def test_what_there_is_not_is_not_found(service: TrainingService, client: TestClient) -> None:
    run = run_of(service)
    for path in (
        f"/checkpoints/{run}/4",
        "/checkpoints/nothing",
        "/checkpoints/nothing/3",
        "/runs/nothing.zip",
    ):
        assert client.get(path).status_code == 404, path
    assert "no checkpoint of step 4" in client.get(f"/checkpoints/{run}/4").text
    for path in (f"/checkpoints/{run}/x", "/checkpoints/..%2F..", "/runs/..%2Fruns.zip", f"/runs/{run}"):
        assert client.get(path).status_code == 404, path
    assert client.head(checkpoint_url(run)).status_code == 405


def test_a_damaged_checkpoint_is_a_conflict_and_leaves_nothing(
    service: TrainingService, client: TestClient
) -> None:
    run = run_of(service)
    (service.store.checkpoints(run)[0].path / "model.safetensors").write_bytes(b"")
    for path in (checkpoint_url(run, 3), run_url(run)):
        assert client.get(path).status_code == 409
    assert downloads(service) == []


@pytest.mark.parametrize("path", ["checkpoints/{}", "checkpoints/{}/3", "runs/{}.zip"])
def test_other_sites_and_other_names_of_this_machine_are_refused(
    service: TrainingService, client: TestClient, path: str
) -> None:
    path = f"/{path.format(run_of(service))}"
    assert client.get(path, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert client.get(path, headers={"sec-fetch-site": "same-site"}).status_code == 403
    assert client.get(path, headers={"host": "evil.example"}).status_code == 403
    assert client.get(path, headers={"sec-fetch-site": "same-origin"}).status_code == 200
