"""A real server and a real browser for the lab's tests. What they need and is missing fails the test."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright
from training_data import small_service

from lab.server import install_service
from lab.training import TrainingService

ROOT = Path(__file__).parents[2]
APPS = Path(__file__).parent / "apps"
CHROMIUM = os.environ.get("CELLNET_CHROMIUM", "/usr/bin/chromium")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
)
START_LIMIT = 60.0
PATIENCE = 120_000
"""Milliseconds that a browser test waits for what it expects, on however busy a machine."""

expect.set_options(timeout=PATIENCE)

Serve = Callable[..., str]
OpenPage = Callable[..., Page]


@pytest.fixture(autouse=True)
def main_module() -> Iterator[None]:
    """Streamlit's test runner puts the page in the place of the main program and leaves it there; processes
    that a later test starts would run it.
    """
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture
def service(tmp_path: Path) -> Iterator[TrainingService]:
    """Of the pages; it trains made-up embeddings."""
    service = small_service(tmp_path)
    remove = install_service(service)
    yield service
    remove()


@contextmanager
def running_server(script: Path, log: Path, *flags: str, base: str = "") -> Iterator[str]:
    """``streamlit run script`` on a free port of this machine only; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port)]
    command += ["--server.address", "127.0.0.1", "--server.headless", "true", "--server.baseUrlPath", base]
    command += ["--server.fileWatcherType", "none", "--browser.gatherUsageStats", "false", *flags]
    address = f"http://127.0.0.1:{port}/{base}".rstrip("/")
    with log.open("w") as output:
        server = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_until_healthy(server, f"{address}/_stcore/health", log)
        yield address
    finally:
        server.terminate()
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """``serve("components_server.py", base="")`` starts a server once and returns its address."""
    started: dict[tuple[str, str], str] = {}
    with ExitStack() as servers:

        def start(script: str, base: str = "") -> str:
            if (script, base) not in started:
                log = tmp_path_factory.mktemp("server") / "log.txt"
                started[script, base] = servers.enter_context(running_server(APPS / script, log, base=base))
            return started[script, base]

        yield start


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).is_file():
        pytest.fail(f"no browser at {CHROMIUM}: install Chromium or set CELLNET_CHROMIUM", pytrace=False)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def contexts(browser: Browser) -> Callable[[bool], BrowserContext]:
    """The light and the dark context: their pages share a cache, which makes them fast, but no session."""

    @cache
    def context(dark: bool) -> BrowserContext:
        scheme: Literal["dark", "light"] = "dark" if dark else "light"
        return browser.new_context(viewport={"width": 1280, "height": 1400}, color_scheme=scheme)

    return context


@pytest.fixture
def open_page(contexts: Callable[[bool], BrowserContext]) -> Iterator[OpenPage]:
    """``open_page(url)``; at the end, no page may have failed or asked another machine for anything."""
    failures: list[str] = []
    foreign: list[str] = []
    pages: list[Page] = []

    def watch(page: Page) -> None:
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.on("console", listen)
        page.on("request", lambda request: check(request.url))
        page.on("websocket", lambda socket: check(socket.url))

    def listen(message: ConsoleMessage) -> None:
        # On a page's own address Streamlit first looks for its server below that address.
        looking = "/_stcore/" in message.location["url"]
        if message.type in ("error", "warning") and not looking:
            failures.append(message.text)

    def check(url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("blob", "data", "file") and parts.hostname != "127.0.0.1":
            foreign.append(url)

    def open_one(url: str, *, dark: bool = False, script: str = "") -> Page:
        context = contexts(dark)
        page = context.new_page()
        pages.append(page)
        page.set_default_timeout(PATIENCE)
        if script:
            page.add_init_script(script)
        watch(page)
        page.goto(url)
        return page

    yield open_one
    for page in pages:
        page.close()
    assert failures == []
    assert foreign == []


def _wait_until_healthy(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.1)
    raise RuntimeError(f"the server did not come up at {url}:\n{log.read_text()}")
