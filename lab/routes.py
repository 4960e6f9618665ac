"""The lab's own addresses: downloads of checkpoints and runs, and the news that open pages ask for."""

import json
from collections.abc import Awaitable, Callable
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
from cellnet.runs.transfer import export_run
from lab.components.feeds import FEEDS
from lab.components.reports import receive_report
from lab.server import DOWNLOADS_FOLDER, get_lab

_SAME_SITE: Final = ("same-origin", "none")
_LOCAL_HOSTS: Final = ("localhost", "127.0.0.1", "::1")


def base_path() -> str:
    """Return the beginning of every address of the server: empty, or ``/name``."""
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
    """Routes by which the open pages are fed and report, to hand to ``st.App(routes=...)``."""
    return [
        Route(f"{base_path()}/news", _guarded(_send_news), methods=["GET"]),
        Route(f"{base_path()}/reports", _take_report, methods=["POST"]),
    ]


async def _take_report(request: Request) -> Response:
    """Take the report of a page; on the event loop, where Streamlit's sessions live."""
    return _refuse_strangers(request) or await receive_report(request)


def _send_news(request: Request) -> Response:
    """Send what changed in the parts of a page, each a list of strings as `Feeds.answer` takes it."""
    try:
        feeds = [_three(json.loads(text)) for text in request.query_params.getlist("feed")]
    except ValueError:
        return _refusal(400, "a feed is asked for by its name, what is shown and what is held")
    return Response(
        FEEDS.answer(feeds), media_type="application/octet-stream", headers={"Cache-Control": "no-store"}
    )


def _three(value: object) -> tuple[str, str, str]:
    if not isinstance(value, list) or len(value) != 3:
        raise ValueError(f"{value!r} is not a list of three")
    name, shown, held = map(str, value)
    return name, shown, held


def _guarded(endpoint: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
    """Answer only pages of this server: Streamlit does not check who asks for a route of ours."""

    async def answer(request: Request) -> Response:
        refused = _refuse_strangers(request)
        return await run_in_threadpool(endpoint, request) if refused is None else refused

    return answer


def _refuse_strangers(request: Request) -> Response | None:
    """Return a refusal unless a page of this server asks."""
    if request.url.hostname not in _allowed_hosts():
        return _refusal(403, "this address is not one of the lab's; see server.allowedHosts")
    if request.headers.get("sec-fetch-site", "none") not in _SAME_SITE:
        return _refusal(403, "only the lab's own pages are answered")
    return None


def _allowed_hosts() -> set[str]:
    configured = {st.get_option("server.address"), st.get_option("browser.serverAddress")}
    named = {str(name) for name in (*st.get_option("server.allowedHosts"), *configured) if name}
    return {*_LOCAL_HOSTS, *named}


def _send_checkpoint(request: Request) -> Response:
    """Send the checkpoint of a step, or the newest, of a run."""
    store = get_lab().service.store
    run_id, step = request.path_params["run_id"], request.path_params.get("step")
    try:
        store.folder(run_id)
    except RunError as error:
        return _refusal(404, str(error))
    saved = [checkpoint for checkpoint in store.checkpoints(run_id) if step in (None, checkpoint.step)]
    if not saved:
        missing = "checkpoint yet" if step is None else f"checkpoint of step {step}"
        return _refusal(404, f"the run {run_id} has no {missing}")
    chosen = saved[-1]
    return _send(f"{run_id}-step-{chosen.step}.zip", lambda target: pack(chosen.path, target))


def _send_run(request: Request) -> Response:
    """Send a whole run."""
    store, run_id = get_lab().service.store, request.path_params["run_id"]
    try:
        store.folder(run_id)
    except RunError as error:
        return _refusal(404, str(error))
    return _send(f"{run_id}.zip", lambda target: export_run(store, run_id, target))


def _send(name: str, write: Callable[[Path], Path]) -> Response:
    """Write a file beside the runs and stream it; nothing of it is held in memory."""
    parent = get_lab().service.store.root / DOWNLOADS_FOLDER
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


def _discard(target: Path) -> None:
    target.unlink(missing_ok=True)
    target.parent.rmdir()


def _refusal(status: int, reason: str) -> Response:
    return PlainTextResponse(reason + "\n", status_code=status)
