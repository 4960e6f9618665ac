"""The process around the pages: the one training service, its life, and the address of downloads."""

import gc
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
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
from lab.presets import FIRST_RUN, lab_preset
from lab.students import StudentShelf
from lab.training import TrainingService

RUNS_VARIABLE: Final = "CELLNET_RUNS"
DEFAULT_RUNS: Final = "runs"
_DOWNLOADS: Final = ".downloads"
_SAME_SITE: Final = ("same-origin", "none")
_LOCAL_HOSTS: Final = ("localhost", "127.0.0.1", "::1")

_installed: list[tuple[TrainingService, StudentShelf]] = []


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


def _newest() -> tuple[TrainingService, StudentShelf]:
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
    installed = (service, shelf or StudentShelf(service))
    _installed.append(installed)

    def remove() -> None:
        _installed.remove(installed)
        service.close()

    return remove


@asynccontextmanager
async def lifespan(_: object) -> AsyncIterator[None]:
    """Open the service before the first page is served; stop and join its thread when the server ends."""
    service = TrainingService(runs_folder(), draft=lab_preset(FIRST_RUN))
    remove = install_service(service)
    # The modules stay for good: without them the collections that Streamlit forces take a tenth as long.
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        await run_in_threadpool(remove)


def base_path() -> str:
    """What every address of the server begins with: empty, or ``/name``."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}" if base else ""


def checkpoint_url(run_id: str) -> str:
    """Address under which the newest checkpoint of a run is downloaded."""
    return f"{base_path()}/checkpoints/{run_id}"


def download_routes() -> list[BaseRoute]:
    """Routes to hand to ``st.App(routes=...)``."""
    route = Route(f"{base_path()}/checkpoints/{{run_id}}", _guarded(_send_checkpoint), methods=["GET"])
    route.methods = {"GET"}  # Starlette adds HEAD, which would pack a file for nothing
    return [route]


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
    """Pack the newest checkpoint of a run beside the runs and stream it; nothing is held in memory."""
    store = get_service().store
    run_id = request.path_params["run_id"]
    try:
        folder = store.folder(run_id)
    except RunError as error:
        return _refusal(404, str(error))
    checkpoints = store.checkpoints(run_id)
    if not checkpoints:
        return _refusal(404, f"the run {run_id} has no checkpoint yet")
    newest = checkpoints[-1]
    name = f"{folder.name}-step-{newest.step}.zip"
    parent = store.root / _DOWNLOADS
    parent.mkdir(exist_ok=True)
    target = Path(mkdtemp(dir=parent)) / name
    try:
        pack(newest.path, target)
    except CheckpointError as error:
        _discard(target)
        return _refusal(409, f"{error}; a newer checkpoint may have replaced it: try again")
    return FileResponse(
        target,
        media_type="application/zip",
        filename=name,
        headers={"Cache-Control": "no-store"},
        background=BackgroundTask(_discard, target),
    )


def _discard(target: Path) -> None:
    target.unlink(missing_ok=True)
    target.parent.rmdir()


def _refusal(status: int, reason: str) -> Response:
    return PlainTextResponse(reason + "\n", status_code=status)
