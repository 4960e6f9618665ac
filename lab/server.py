"""The process around the pages: the one training service, its life, and the address of downloads."""

import gc
import json
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from tempfile import mkdtemp
from typing import Final

import streamlit as st
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from cellnet.checkpoints import pack
from cellnet.errors import CheckpointError, RunError
from cellnet.runs.transfer import IMPORTS_FOLDER, export_run
from lab.components.feeds import FEEDS
from lab.presets import FIRST_RUN, lab_preset
from lab.sources.students import StudentShelf
from lab.training import TrainingService
from lab.work.embedding import EmbeddingJob
from lab.work.evaluations import EVALUATIONS
from lab.work.priority import wanted_priority

RUNS_VARIABLE: Final = "CELLNET_RUNS"
DEFAULT_RUNS: Final = "runs"
_DOWNLOADS: Final = ".downloads"
_SAME_SITE: Final = ("same-origin", "none")
_LOCAL_HOSTS: Final = ("localhost", "127.0.0.1", "::1")

_installed: list[tuple[TrainingService, StudentShelf, EmbeddingJob]] = []


def runs_folder() -> Path:
    """Folder of the runs: the variable ``CELLNET_RUNS``, or ``runs`` in the working directory."""
    return Path(os.environ.get(RUNS_VARIABLE) or DEFAULT_RUNS).expanduser().resolve()


def get_service() -> TrainingService:
    """The training service of this process.

    Raises:
        RuntimeError: if no server started one.
    """
    return _newest()[0]


def get_shelf() -> StudentShelf:
    """The students of this process's training service.

    Raises:
        RuntimeError: if no server started one.
    """
    return _newest()[1]


def get_embedding_job() -> EmbeddingJob:
    """The job that embeds sentences in the background of this process.

    Raises:
        RuntimeError: if no server started one.
    """
    return _newest()[2]


def _newest() -> tuple[TrainingService, StudentShelf, EmbeddingJob]:
    if not _installed:
        raise RuntimeError(
            "the lab has no training service: start it with 'streamlit run streamlit_app.py'"
        )
    return _installed[-1]


def install_service(service: TrainingService, shelf: StudentShelf | None = None) -> Callable[[], None]:
    """Make a service that of this process; call the result to take it away, closed.

    Args:
        service: the service.
        shelf: its students; by default with the teacher that their settings name.
    """
    installed = (service, shelf or StudentShelf(service), EmbeddingJob(service))
    _installed.append(installed)

    def remove() -> None:
        _installed.remove(installed)
        installed[2].close()
        service.close()

    return remove


@asynccontextmanager
async def lifespan(_: object) -> AsyncIterator[None]:
    """Open the service before the first page is served; stop and join its thread when the server ends."""
    wanted_priority()  # what is wrong there is said now, and not by the first training
    service = TrainingService(runs_folder(), draft=lab_preset(FIRST_RUN))
    _clear_leftovers(service.store.root)
    remove = install_service(service)
    _load_pages()
    # The modules stay for good: without them the collections that Streamlit forces take a tenth as long.
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        EVALUATIONS.stop()
        await run_in_threadpool(remove)


def _load_pages() -> None:
    """Import what the pages import, so that whoever opens one first does not wait for it."""
    for module in walk_packages([str(Path(__file__).parent / "views")], "lab.views."):
        import_module(module.name)


def base_path() -> str:
    """What every address of the server begins with: empty, or ``/name``."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}" if base else ""


def checkpoint_url(run_id: str, step: int | None = None) -> str:
    """Address under which a checkpoint of a run is downloaded, by default the newest."""
    return f"{base_path()}/checkpoints/{run_id}" + ("" if step is None else f"/{step}")


def run_url(run_id: str) -> str:
    """Address under which a whole run is downloaded as one zip file."""
    return f"{base_path()}/runs/{run_id}.zip"


def download_routes() -> list[BaseRoute]:
    """Routes to hand to ``st.App(routes=...)``."""
    routes = [
        Route(base_path() + path, _guarded(endpoint), methods=["GET"])
        for path, endpoint in (
            ("/checkpoints/{run_id}", _send_checkpoint),
            ("/checkpoints/{run_id}/{step:int}", _send_checkpoint),
            ("/runs/{run_id}.zip", _send_run),
        )
    ]
    for route in routes:
        route.methods = {"GET"}  # Starlette adds HEAD, which would pack a file for nothing
    return [*routes]


def news_routes() -> list[BaseRoute]:
    """Route by which the open pages are fed, to hand to ``st.App(routes=...)``."""
    return [Route(f"{base_path()}/news", _guarded(_send_news), methods=["GET"])]


def _send_news(request: Request) -> Response:
    """Send what changed in the parts of a page, each a list of strings as `Feeds.answer` takes it."""
    try:
        asked = [_three(json.loads(text)) for text in request.query_params.getlist("feed")]
    except ValueError:
        return _refusal(400, "a feed is asked for by its name, what is shown and what is held")
    return Response(
        FEEDS.answer(asked), media_type="application/octet-stream", headers={"Cache-Control": "no-store"}
    )


def _three(value: object) -> tuple[str, str, str]:
    if not isinstance(value, list) or len(value) != 3:
        raise ValueError(f"{value!r} is not a list of three")
    name, shown, held = map(str, value)
    return name, shown, held


def _guarded(endpoint: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
    """Answer only pages of this server: Streamlit does not check who asks for a route of ours."""

    async def answer(request: Request) -> Response:
        if request.url.hostname not in _allowed_hosts():
            return _refusal(403, "this address is not one of the lab's; see server.allowedHosts")
        if request.headers.get("sec-fetch-site", "none") not in _SAME_SITE:
            return _refusal(403, "downloads are for the lab's own pages")
        return await run_in_threadpool(endpoint, request)

    return answer


def _allowed_hosts() -> set[str]:
    configured = {st.get_option("server.address"), st.get_option("browser.serverAddress")}
    named = {str(name) for name in (*st.get_option("server.allowedHosts"), *configured) if name}
    return {*_LOCAL_HOSTS, *named}


def _send_checkpoint(request: Request) -> Response:
    """Send the checkpoint of a step, or the newest, of a run."""
    store = get_service().store
    run_id, step = request.path_params["run_id"], request.path_params.get("step")
    try:
        store.folder(run_id)
    except RunError as error:
        return _refusal(404, str(error))
    found = [checkpoint for checkpoint in store.checkpoints(run_id) if step in (None, checkpoint.step)]
    if not found:
        missing = "checkpoint yet" if step is None else f"checkpoint of step {step}"
        return _refusal(404, f"the run {run_id} has no {missing}")
    chosen = found[-1]
    return _send(f"{run_id}-step-{chosen.step}.zip", lambda target: pack(chosen.path, target))


def _send_run(request: Request) -> Response:
    """Send a whole run."""
    store, run_id = get_service().store, request.path_params["run_id"]
    try:
        store.folder(run_id)
    except RunError as error:
        return _refusal(404, str(error))
    return _send(f"{run_id}.zip", lambda target: export_run(store, run_id, target))


def _send(name: str, write: Callable[[Path], Path]) -> Response:
    """Write a file beside the runs and stream it; nothing of it is held in memory."""
    parent = get_service().store.root / _DOWNLOADS
    parent.mkdir(exist_ok=True)
    target = Path(mkdtemp(dir=parent)) / name
    try:
        write(target)
    except (CheckpointError, RunError) as error:
        _discard(target)
        return _refusal(409, f"{error}; the run may have changed meanwhile: try again")
    return FileResponse(
        target,
        media_type="application/zip",
        filename=name,
        headers={"Cache-Control": "no-store"},
        background=BackgroundTask(_discard, target),
    )


def _clear_leftovers(root: Path) -> None:
    """Remove what downloads and imports of a killed server left behind."""
    for name in (_DOWNLOADS, IMPORTS_FOLDER):
        if (root / name).is_dir():
            shutil.rmtree(root / name)


def _discard(target: Path) -> None:
    target.unlink(missing_ok=True)
    target.parent.rmdir()


def _refusal(status: int, reason: str) -> Response:
    return PlainTextResponse(reason + "\n", status_code=status)
