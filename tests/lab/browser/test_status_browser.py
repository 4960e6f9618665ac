"""The buttons of the status bar in a real browser, with a small made-up training."""

import re

import pytest
from conftest import OpenPage, Serve
from playwright.sync_api import expect
from test_lab_browser import expect_state, press, step, wait_for_step

DELAY = """
const run = window.setTimeout;
window.setTimeout = (what, wait, ...rest) => run(what, window.late && !wait ? 1500 : wait, ...rest);
"""
"""Streamlit sends a press after a timeout of 0; until then, it goes along with what any timer sends."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_a_press_counts_once_though_a_timer_of_the_page_sends_it_too(
    serve: Serve, open_page: OpenPage
) -> None:
    page = open_page(serve("probe_server.py", base="status") + "/", script=DELAY)
    press(page, "Start")
    wait_for_step(page, 3)
    press(page, "Pause")
    expect_state(page, "paused")
    paused = step(page)
    for more in (1, 2):
        page.evaluate("window.late = true")
        press(page, "Step")
        wait_for_step(page, paused + more)
        page.evaluate("window.late = false")
        expect_state(page, "paused")
        expect(page.locator(".lab-status")).to_have_attribute("data-step", str(paused + more))
    press(page, "Stop")
    expect_state(page, "stopped")
    assert step(page) == paused + 2


@pytest.mark.parametrize("link", ["geometry?radius=0.3", "data"])
def test_what_was_planned_is_used_once(serve: Serve, open_page: OpenPage, link: str) -> None:
    page = open_page(f"{serve('probe_server.py', base='status')}/{link}", script=DELAY)
    button = page.get_by_role("button", name="Use for the next run")
    expect(button).to_be_enabled()
    page.evaluate("window.late = true")
    button.click()
    # Used once more, nothing would be left to change.
    expect(page.get_by_text("The next run uses:")).to_contain_text(re.compile(r"uses: \w.* \S+\."))


def test_a_camera_that_rests_while_a_press_is_on_its_way_is_told_too(
    serve: Serve, open_page: OpenPage
) -> None:
    page = open_page(f"{serve('probe_server.py', base='status')}/geometry?radius=0.35", script=DELAY)
    button = page.get_by_role("button", name="Use for the next run")
    expect(button).to_be_enabled()
    expect(page).to_have_url(re.compile("camera="))
    told = re.escape(page.url)
    page.evaluate("window.late = true")
    page.locator(".cellnet-cube").press("ArrowLeft")
    button.click()
    expect(page.get_by_text("The next run uses:")).to_be_visible()
    expect(page).not_to_have_url(re.compile(f"^{told}$"))
    names = [pair.partition("=")[0] for pair in page.url.partition("?")[2].split("&")]
    assert len(names) == len(set(names))
    assert set(names) >= {"radius", "cell", "camera"}
