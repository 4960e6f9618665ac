"""The whole story of a new user, in a real browser, on a fresh machine: real teacher, real sentences.

It is one test of many chapters, in the order in which they are lived through.
"""

import csv
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from conftest import PATIENCE, ROOT, OpenPage, running_server
from playwright.sync_api import Page, expect
from test_components_browser import (
    CUBE,
    CURVES,
    camera,
    expect_colors,
    figure,
    middle,
    turn,
    wait_for_updates,
)

from cellnet.checkpoints import load_checkpoint, unpack
from cellnet.runs import RunRecord, RunStore
from cellnet.settings import to_toml, with_changes
from lab.presets import FIRST_RUN, lab_preset

SMALL = {
    "data.limit": 300,
    "lattice.adaptive_radius_ratio": 0.22,
    "training.validate_every": 10,
    "training.batch_size": 8,
    "embedding.max_tokens": 64,
}

SENTENCE = "Nobody has written this sentence into any library."
LOSSES = ("reconstruction", "similarity", "diversity", "emergence", "spatial consistency")
EMBEDDING = 300_000
"""Milliseconds that the teacher may take on a machine that is busy with other things."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


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


def go_to(page: Page, name: str) -> None:
    page.get_by_role("link", name=name, exact=True).click()


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


def test_a_new_user_watches_a_cube_learn(fresh: Path, open_page: OpenPage) -> None:
    with running_server(ROOT / "streamlit_app.py", fresh / "log.txt") as url:
        page = open_page(url)
        page.set_viewport_size({"width": 1280, "height": 1900})
        downloads_are_for_the_lab_s_own_pages(page, url)
        start_with_settings_from_a_file(page, fresh)
        watch_curves_and_cube_move(page)
        turned = turn_a_ratio_under_a_turned_cube(page)
        pick_a_cell(page)
        probe_a_sentence(page)
        lesion_and_repair(page)
        pause_and_step(page)
        assert camera(page) == turned
        take_the_curves_away(page)
        packed = download_the_checkpoint(page, fresh)
        import_it_again(page, packed)
        resume_the_imported_run(page)
        link = page.url
        reload(page)
        second = open_a_second_tab(open_page, url)
        for tab in (page, second):
            tab.goto("about:blank")
    imported = the_end_of_the_server_saved_the_training(fresh)
    with running_server(ROOT / "streamlit_app.py", fresh / "again.txt") as url:
        page.goto(url + "/runs?" + urlsplit(link).query)
        go_on_after_the_restart(page, imported)
        page.goto("about:blank")


def downloads_are_for_the_lab_s_own_pages(page: Page, url: str) -> None:
    request = page.request
    address = f"{url}/checkpoints/20260101-000000-abcdef"
    assert request.get(address).status == 404
    assert request.get(f"{url}/checkpoints/..%2F..%2Fetc").status in (400, 404)
    assert request.get(address, headers={"Sec-Fetch-Site": "cross-site"}).status == 403
    assert request.get(address, headers={"Host": "attacker.example"}).status == 403
    assert request.post(address).status == 405


def start_with_settings_from_a_file(page: Page, fresh: Path) -> None:
    expect_state(page, "idle")
    settings = fresh / "small.toml"
    settings.write_text(to_toml(with_changes(lab_preset(FIRST_RUN), SMALL)))
    page.locator("input[type=file]").set_input_files(settings)
    expect(page.get_by_role("spinbutton", name="Limit (sentences)")).to_have_value("300")
    press(page, "Start")
    expect_state(page, "preparing data")
    expect_state(page, "running", EMBEDDING)


def watch_curves_and_cube_move(page: Page) -> None:
    wait_for_updates(page, CUBE)
    wait_for_updates(page, CURVES)
    expect_colors(page.locator(f"{CUBE} canvas"), 100)
    losses = page.locator(f"{CURVES} [role=figure]")
    for name in LOSSES:
        expect(losses).to_have_attribute("aria-label", re.compile(rf"{name}: train \d"))


def turn_a_ratio_under_a_turned_cube(page: Page) -> dict[str, Any]:
    """The mark and the tiers follow; camera and zoom stay. Returns the camera."""
    turn(page)
    turned, zoomed = camera(page), zoom(page)
    turn_local_ratio_down(page)
    expect(page.locator(f"{CURVES} .curves-marks li").first).to_contain_text("Local ratio 0.6")
    expect(page.get_by_text("The local tier is empty")).to_be_visible()
    wait_for_updates(page, CUBE)
    wait_for_updates(page, CURVES)
    assert camera(page) == turned
    assert figure(page, "figure.layout.xaxis.range") == zoomed
    return turned


def pick_a_cell(page: Page) -> None:
    go_to(page, "Lattice")
    expect(page.get_by_role("radio", name="Slices")).to_be_visible()
    cube = page.locator(f".st-key-lattice {CUBE}")
    expect(cube).to_have_attribute("data-camera", re.compile("position"))
    expect_colors(cube.locator("canvas"), 100)
    page.mouse.click(*middle(cube))
    expect(page).to_have_url(re.compile(r"cell=\d+"))
    expect(page.locator(".lab-facts")).to_contain_text("activity")


def probe_a_sentence(page: Page) -> None:
    go_to(page, "Probe")
    field = page.get_by_role("textbox", name="Sentences, one per line")
    field.fill(SENTENCE)
    field.press("F8")  # who types does not pause the training
    field.press("Control+Enter")
    expect(page.locator("q").first).to_have_text(SENTENCE)
    expect(page.locator(".lab-fact", has_text="cosine with the teacher")).to_contain_text("read out")
    expect(page.get_by_text("to the student's reconstruction")).to_be_visible()
    expect_state(page, "running")


def lesion_and_repair(page: Page) -> None:
    choose(page, "Intervene")
    choose(page, "box")
    expect(page.get_by_text("64 of 512 cells")).to_be_visible()
    expect(page.locator(".lab-fact", has_text="healed")).to_have_text(re.compile(r"\d%"))
    expect(page.get_by_role("columnheader", name="damaged")).to_be_visible()
    press(page, "Reset interventions")
    expect(page.get_by_text("Nothing is damaged yet")).to_be_visible()


def pause_and_step(page: Page) -> None:
    """With the keys."""
    go_to(page, "Train")
    wait_for_updates(page, CUBE, 1)
    page.keyboard.press("F8")
    expect_state(page, "paused")
    paused = step(page)
    page.keyboard.press("F9")
    wait_for_step(page, paused + 1)
    expect_state(page, "paused")
    expect(page.locator(".lab-status")).to_have_attribute("data-step", str(paused + 1))


def take_the_curves_away(page: Page) -> None:
    last = step(page)
    with page.expect_download() as downloading:
        press(page, "Curves as CSV")
    with downloading.value.path().open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows if row["phase"] == "train"] == list(range(1, last + 1))
    with page.expect_download() as downloading:
        press(page, "Figure as SVG")
    figure_text = downloading.value.path().read_text()
    assert all(f">{name}<" in figure_text for name in (*LOSSES, "gradient norm", "step time (s)"))


def download_the_checkpoint(page: Page, fresh: Path) -> Path:
    """Saved while the training is paused, and streamed."""
    press(page, "Save a checkpoint now")
    link = page.get_by_role("link", name=f"Download checkpoint (step {step(page):,}")
    address = link.get_attribute("href")
    assert address is not None
    answer = page.request.get(urljoin(page.url, address))
    assert answer.status == 200
    assert "attachment" in answer.headers["content-disposition"]
    packed = fresh / "packed.zip"
    packed.write_bytes(answer.body())
    checkpoint = load_checkpoint(unpack(packed, fresh, "unpacked"))
    assert checkpoint.state["step"] == step(page)
    assert [change["key"] for change in checkpoint.state["changes"]][:1] == ["lattice.local_distance_ratio"]
    assert not any((fresh / "runs" / ".downloads").iterdir())
    return packed


def import_it_again(page: Page, packed: Path) -> None:
    go_to(page, "Runs")
    press(page, "Import")
    page.locator("input[type=file]").set_input_files(packed)
    page.get_by_role("textbox", name="Name of the run").fill("brought back")
    press(page, "Import as a new run")
    expect(page.get_by_test_id("glide-cell-1-0")).to_have_text("brought back")
    expect(page.get_by_role("button", name="Delete 1 run", exact=True)).to_be_visible()
    page.keyboard.press("Escape")


def resume_the_imported_run(page: Page) -> None:
    """In place of the run that it came from."""
    saved = step(page)
    press(page, "Stop")
    expect_state(page, "stopped")
    choose(page, "Resume or fork")
    press(page, "Resume")
    expect_state(page, "running")
    wait_for_step(page, saved + 2)


def reload(page: Page) -> None:
    page.reload()
    expect_state(page, "running")
    expect(page.get_by_role("button", name="Delete 1 run", exact=True)).to_be_visible()


def open_a_second_tab(open_page: OpenPage, url: str) -> Page:
    """It shows the same training, with the mark of the run that the checkpoint came from."""
    second = open_page(url)
    expect_state(second, "running")
    wait_for_updates(second, CUBE, 1)
    expect(second.locator(f"{CURVES} .curves-marks li").first).to_contain_text("Local ratio 0.6")
    return second


def the_end_of_the_server_saved_the_training(fresh: Path) -> RunRecord:
    with RunStore(fresh / "runs") as store:
        imported, first = store.list()
        assert (first.state, imported.state) == ("stopped", "stopped")
        assert store.checkpoints(imported.id)[-1].step == imported.step
    return imported


def go_on_after_the_restart(page: Page, run: RunRecord) -> None:
    expect_state(page, "idle")
    press(page, "Resume")
    expect_state(page, "running")
    wait_for_step(page, run.step + 1)
    press(page, "Stop")
    expect_state(page, "stopped")
