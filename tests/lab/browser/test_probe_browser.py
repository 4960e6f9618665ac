"""The Probe page in a real browser: sentences while a cube trains, damage that heals, a link that keeps."""

import re

import pytest
from conftest import OpenPage, Serve
from playwright.sync_api import expect
from test_components_browser import CUBE, expect_colors
from test_lab_browser import choose, expect_state, press

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_a_cube_is_probed_while_it_trains(serve: Serve, open_page: OpenPage) -> None:
    page = open_page(f"{serve('probe_server.py')}/probe")
    expect(page.get_by_text("there is no student yet")).to_be_visible()
    press(page, "Start")
    field = page.get_by_role("textbox", name="Sentences, one per line")
    field.fill("The first of my own.\nAnd the second.")
    field.press("Control+Enter")
    expect(page.locator("q").first).to_have_text("The first of my own.")
    expect(page.locator(CUBE)).to_have_attribute("data-updates", re.compile("[1-9]"))
    expect_colors(page.locator(f"{CUBE} canvas"), 20)
    expect(page.get_by_text("to the student's reconstruction")).to_be_visible()

    press(page, "Pause")
    expect_state(page, "paused")

    choose(page, "Compare")
    expect(page.get_by_text("Where they differ", exact=True)).to_be_visible()
    expect(page.locator(f"{CUBE} canvas")).to_have_count(3)

    choose(page, "Intervene")
    choose(page, "box")
    expect(page.get_by_text("8 of 64 cells")).to_be_visible()
    expect(page.locator(".lab-fact", has_text="healed")).to_have_text(re.compile(r"\d%"))
    expect(page).to_have_url(re.compile("probe_lesion=box"))

    page.reload()
    expect(page.get_by_text("8 of 64 cells")).to_be_visible()
    expect(page.locator("q").first).to_have_text("The first of my own.")
    page.get_by_role("button", name="Reset interventions").click()
    expect(page.get_by_text("Nothing is damaged yet")).to_be_visible()
    expect(page).not_to_have_url(re.compile("probe_lesion"))
    press(page, "Stop")
    expect_state(page, "stopped")
