"""The Lattice and Routing pages in a real browser: what one turned, picked and cut stays."""

import re
from pathlib import Path

import pytest
from conftest import OpenPage, Serve
from playwright.sync_api import Page, expect
from test_components_browser import CUBE, expect_colors, expect_counts, middle

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def camera(page: Page, place: int = 0) -> str:
    return page.locator(CUBE).nth(place).get_attribute("data-camera") or ""


def test_turn_pick_cut_compare_and_take_away(serve: Serve, open_page: OpenPage, tmp_path: Path) -> None:
    url = serve("lattice_server.py")
    page = open_page(f"{url}/lattice")
    view = page.locator(CUBE).first
    expect(view).to_have_attribute("data-camera", re.compile("position"))
    home = camera(page)
    view.press("ArrowLeft")
    turned = camera(page)
    assert turned != home
    expect(page).to_have_url(re.compile("camera="))

    x, y = middle(view)
    page.mouse.click(x, y)
    expect(page).to_have_url(re.compile(r"cell=\d+"))
    expect(page.locator(".lab-facts")).to_contain_text("activity")
    view.get_by_role("slider").press("ArrowLeft")
    expect(view).to_have_attribute("data-number", "2")
    expect(page).to_have_url(re.compile("lattice_step=2"))
    expect(page.get_by_text("State after step 2")).to_be_visible()
    page.get_by_role("radio", name="Slices").click()
    expect_counts(page, "37 of 64 shown")
    page.get_by_role("radio", name="Surface").click()
    expect_counts(page, "37 of 64 shown", 0)
    page.get_by_role("radio", name="lattice step").click()
    expect(page.locator(CUBE)).to_have_count(2)
    expect(page.locator(CUBE).nth(1)).to_have_attribute("data-camera", turned)
    expect(page.locator(CUBE).nth(1)).to_have_attribute("data-number", "0")
    assert camera(page) == turned
    page.get_by_text("Their difference as a third").click()
    third = page.locator(f"{CUBE}[aria-label^=Difference]")
    expect(third).to_have_attribute("data-camera", turned)
    expect(third.locator(".legend")).to_contain_text("right minus left")
    page.get_by_text("Their difference as a third").click()
    expect(page.locator(CUBE)).to_have_count(2)
    page.get_by_role("radio", name="Whole").click()
    expect_counts(page, "4 \u00d7 4 \u00d7 4 cells", 2)
    expect_colors(view.locator("canvas"), 30)

    page.reload()
    expect(page.locator(CUBE)).to_have_count(2)
    expect(page.locator(CUBE).nth(1)).to_have_attribute("data-camera", turned)
    expect(page.locator(".lab-facts")).to_contain_text("activity")

    page.get_by_role("button", name="Take away").click()
    page.get_by_role("button", name="Write an interactive HTML").click()
    with page.expect_download() as download:
        page.get_by_role("button", name=re.compile(r"\.html")).click()
    file = tmp_path / "cube.html"
    download.value.save_as(file)
    alone = open_page(file.as_uri())
    expect(alone.locator(CUBE)).to_have_attribute("data-updates", "1")
    expect_colors(alone.locator(f"{CUBE} canvas"), 30)
    expect(alone.locator("output")).to_have_text("lattice step 2")
    alone.get_by_role("slider").press("ArrowLeft")
    expect(alone.locator("output")).to_have_text("lattice step 1")
    alone.close()

    page.get_by_role("link", name="Routing").click()
    expect(page.locator(CUBE)).to_have_count(4)
    expect(page.locator(CUBE).nth(3)).to_have_attribute("data-number", "2")
    triangle = page.locator(".st-key-routing_triangle .nsewdrag")
    triangle.scroll_into_view_if_needed()
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    box = triangle.bounding_box()
    assert box is not None
    corners = [(0.02, 0.02), (0.98, 0.02), (0.98, 0.98), (0.02, 0.98), (0.02, 0.02)]
    places = [(box["x"] + right * box["width"], box["y"] + down * box["height"]) for right, down in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places:
        page.mouse.move(*place, steps=4)
    page.mouse.up()
    expect(page.get_by_text("64 of 64 cells.")).to_be_visible()
    expect_colors(page.locator(f"{CUBE} canvas").nth(1), 30)
    plot = page.locator(".st-key-routing_triangle .js-plotly-plot")
    assert plot.evaluate("plot => plot.data[0].selectedpoints.length") == 64
