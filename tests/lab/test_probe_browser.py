"""The Probe page in a real browser: sentences while a cube trains, damage that heals, a link that keeps."""

import re

import pytest
from conftest import OpenPage, Serve
from playwright.sync_api import Page, expect
from test_components_browser import CUBE, distinct_colors

PATIENCE = 60_000

pytestmark = pytest.mark.timeout(180)


def choose(page: Page, name: str) -> None:
    page.get_by_role("radio", name=name, exact=True).click(timeout=PATIENCE)


def test_a_cube_is_probed_while_it_trains(serve: Serve, open_page: OpenPage) -> None:
    page = open_page(f"{serve('probe_server.py')}/probe")
    expect(page.get_by_text("there is no student yet")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name="Start", exact=True).click()
    field = page.get_by_role("textbox", name="Sentences, one per line")
    field.fill("The first of my own.\nAnd the second.", timeout=PATIENCE)
    field.press("Control+Enter")
    expect(page.locator("q").first).to_have_text("The first of my own.", timeout=PATIENCE)
    expect(page.locator(CUBE)).to_have_attribute("data-updates", re.compile("[1-9]"), timeout=PATIENCE)
    assert distinct_colors(page.locator(f"{CUBE} canvas")) > 20
    expect(page.get_by_text("to the student's reconstruction")).to_be_visible(timeout=PATIENCE)

    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator(".lab-status")).to_have_attribute("data-state", "paused", timeout=PATIENCE)

    choose(page, "Compare")
    expect(page.get_by_text("Where they differ", exact=True)).to_be_visible(timeout=PATIENCE)
    expect(page.locator(f"{CUBE} canvas")).to_have_count(3, timeout=PATIENCE)

    choose(page, "Intervene")
    choose(page, "box")
    expect(page.get_by_text("8 of 64 cells")).to_be_visible(timeout=PATIENCE)
    expect(page.locator(".lab-fact", has_text="healed")).to_have_text(re.compile(r"\d%"), timeout=PATIENCE)
    expect(page).to_have_url(re.compile("probe_lesion=box"))

    page.reload()
    expect(page.get_by_text("8 of 64 cells")).to_be_visible(timeout=PATIENCE)
    expect(page.locator("q").first).to_have_text("The first of my own.")
    page.get_by_role("button", name="Reset interventions").click()
    expect(page.get_by_text("Nothing is damaged yet")).to_be_visible(timeout=PATIENCE)
    expect(page).not_to_have_url(re.compile("probe_lesion"))
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator(".lab-status")).to_have_attribute("data-state", "stopped", timeout=PATIENCE)
