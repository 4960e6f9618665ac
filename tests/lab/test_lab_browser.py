"""The whole story of a new user, in a real browser, on a fresh machine: real teacher, real sentences."""

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from conftest import PATIENCE, ROOT, OpenPage, running_server
from playwright.sync_api import Page, expect
from test_components_browser import CUBE, CURVES, camera, expect_colors, figure, turn, wait_for_updates

from cellnet.checkpoints import load_checkpoint, unpack
from cellnet.runs import RunStore
from cellnet.settings import to_toml, with_changes
from lab.presets import FIRST_RUN, lab_preset

SMALL = {
    "data.limit": 300,
    "lattice.adaptive_radius_ratio": 0.22,
    "training.validate_every": 10,
    "training.batch_size": 8,
    "embedding.max_tokens": 64,
}

EMBEDDING = 300_000
"""Milliseconds that the teacher may take on a machine that is busy with other things."""

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without caches and a folder without runs."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("CELLNET_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", ""))))
    return tmp_path


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=re.compile(rf"^{re.escape(name)}( Shortcut F\d+)?$")).click()


def expect_state(page: Page, state: str, timeout: float = PATIENCE) -> None:
    expect(page.locator(".lab-status")).to_have_attribute("data-state", state, timeout=timeout)


def step(page: Page) -> int:
    """Only where the training stands still; see `wait_for_step`."""
    return int(page.locator(".lab-status").get_attribute("data-step") or 0)


def wait_for_step(page: Page, goal: int) -> None:
    page.wait_for_function(
        "goal => Number(document.querySelector('.lab-status')?.dataset.step ?? 0) >= goal", arg=goal
    )


def choose(page: Page, name: str) -> None:
    page.get_by_role("radio", name=name, exact=True).click()


def zoom(page: Page) -> list[Any]:
    box = page.locator(f"{CURVES} .nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 110, box["y"] + 70, steps=4)
    page.mouse.up()
    page.wait_for_function(
        "() => document.querySelector('.js-plotly-plot').layout.xaxis.autorange === false"
    )
    ranges: list[Any] = figure(page, "figure.layout.xaxis.range")
    return ranges


def turn_local_ratio_down(page: Page) -> None:
    """With the keyboard, as far as empties the local tier; the widget must stay through all of it."""
    slider = page.get_by_role("slider", name="Local ratio")
    slider.focus()
    for _ in range(12):
        slider.press("ArrowLeft")
    expect(slider).to_be_focused()


def downloads_are_for_the_lab_s_own_pages(page: Page, url: str) -> None:
    request = page.request
    address = f"{url}/checkpoints/20260101-000000-abcdef"
    assert request.get(address).status == 404
    assert request.get(f"{url}/checkpoints/..%2F..%2Fetc").status in (400, 404)
    assert request.get(address, headers={"Sec-Fetch-Site": "cross-site"}).status == 403
    assert request.get(address, headers={"Host": "attacker.example"}).status == 403
    assert request.post(address).status == 405


def download(page: Page, target: Path) -> Path:
    address = page.get_by_role("link", name=re.compile("Download checkpoint")).get_attribute("href")
    assert address is not None
    answer = page.request.get(urljoin(page.url, address))
    assert answer.status == 200
    assert "attachment" in answer.headers["content-disposition"]
    target.write_bytes(answer.body())
    return target


def test_a_new_user_watches_a_cube_learn(fresh: Path, open_page: OpenPage) -> None:
    with running_server(ROOT / "streamlit_app.py", fresh / "log.txt") as url:
        a_cube_learns(url, fresh, open_page)
    with RunStore(fresh / "runs") as store:
        last, first = store.list()
        assert (first.state, last.state) == ("stopped", "stopped")
        assert store.checkpoints(last.id), "the end of the server is the end of the training, not its loss"


def a_cube_learns(url: str, fresh: Path, open_page: OpenPage) -> None:
    page = open_page(url)
    downloads_are_for_the_lab_s_own_pages(page, url)
    page.set_viewport_size({"width": 1280, "height": 1900})
    expect_state(page, "idle")
    settings = fresh / "small.toml"
    settings.write_text(to_toml(with_changes(lab_preset(FIRST_RUN), SMALL)))
    page.locator("input[type=file]").set_input_files(settings)
    expect(page.get_by_role("spinbutton", name="Limit (sentences)")).to_have_value("300")

    press(page, "Start")
    expect_state(page, "preparing data")
    expect_state(page, "running", EMBEDDING)
    wait_for_updates(page, CUBE)
    wait_for_updates(page, CURVES)
    expect_colors(page.locator(f"{CUBE} canvas"), 100)
    losses = page.locator(f"{CURVES} [role=figure]")
    for name in ("reconstruction", "similarity", "diversity", "emergence", "spatial consistency"):
        expect(losses).to_have_attribute("aria-label", re.compile(rf"{name}: train \d"))

    turn(page)
    turned, zoomed = camera(page), zoom(page)
    turn_local_ratio_down(page)
    expect(page.locator(f"{CURVES} .curves-marks li").first).to_contain_text("Local ratio 0.6")
    expect(page.get_by_text("The local tier is empty")).to_be_visible()
    wait_for_updates(page, CUBE)
    wait_for_updates(page, CURVES)
    assert camera(page) == turned
    assert figure(page, "figure.layout.xaxis.range") == zoomed

    press(page, "Pause")
    expect_state(page, "paused")
    paused = step(page)
    press(page, "Step")
    wait_for_step(page, paused + 1)
    expect_state(page, "paused")
    expect(page.locator(".lab-status")).to_have_attribute("data-step", str(paused + 1))
    press(page, "Resume")
    wait_for_step(page, paused + 3)

    page.reload()
    expect_state(page, "running")
    wait_for_updates(page, CUBE, 1)
    assert camera(page) == turned
    other = open_page(url)
    expect_state(other, "running")
    wait_for_updates(other, CUBE, 1)
    press(other, "Stop")
    expect_state(page, "stopped")
    expect_state(other, "stopped")

    packed = download(page, fresh / "packed.zip")
    checkpoint = load_checkpoint(unpack(packed, fresh, "unpacked"))
    assert checkpoint.state["step"] == step(page)
    assert [change["key"] for change in checkpoint.state["changes"]][:1] == ["lattice.local_distance_ratio"]
    assert not any((fresh / "runs" / ".downloads").iterdir())

    press(page, "Start")
    expect_state(page, "running")
    wait_for_step(page, 2)
    for tab in (page, other):
        tab.goto("about:blank")
