"""Planning in a real browser: turn the geometry, pick a cell, reload; then bring sentences and use them."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from conftest import ROOT, OpenPage, running_server
from playwright.sync_api import Page, expect
from test_components_browser import CUBE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("CELLNET_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", ""))))
    with running_server(ROOT / "streamlit_app.py", tmp_path / "log.txt") as address:
        yield address


def expect_cell(page: Page, cell: str) -> None:
    for axis, place in zip("xyz", cell.split("-"), strict=True):
        expect(page.get_by_role("spinbutton", name=f"Cell {axis}")).to_have_value(place)


def test_a_geometry_is_turned_and_sentences_are_brought(
    url: str, tmp_path: Path, open_page: OpenPage
) -> None:
    page = open_page(f"{url}/geometry?local=0.1&functional=0.65&radius=0.2&size=9x8x7&cell=4-4-3")
    expect(page.get_by_text("The local tier is empty")).to_be_visible()
    page.get_by_role("button", name="Set it").click()
    expect(page.get_by_text("The local tier is empty")).to_have_count(0)
    page.get_by_text("Whole cube, cut through").click()
    expect(page.get_by_text("252 of 504 shown")).to_be_visible()
    expect_cell(page, "4-4-3")
    box = page.locator(f"{CUBE} canvas").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 0.42 * box["width"], box["y"] + 0.48 * box["height"])
    page.wait_for_function("() => !location.search.includes('cell=4-4-3')")
    address = page.url
    expect_cell(page, parse_qs(urlsplit(address).query)["cell"][0])
    page.reload()
    expect(page.get_by_text("252 of 504 shown")).to_be_visible()
    expect_cell(page, parse_qs(urlsplit(address).query)["cell"][0])
    expect(page).to_have_url(address)
    page.get_by_role("button", name="Use for the next run").click()
    expect(page.get_by_text("The next run uses:")).to_contain_text("9x8x7")

    page.get_by_role("link", name="Data").click()
    sentences = tmp_path / "my sentences.csv"
    sentences.write_text("id,text\n" + "".join(f"{n},Sentence number {n}.\n" for n in range(99)))
    page.locator("input[type=file]").set_input_files(sentences)
    expect(page.get_by_role("row", name="rows read")).to_contain_text("99")
    page.get_by_role("button", name="Use for the next run").click()
    expect(page.get_by_text("The next run uses:")).to_contain_text("Column text")
    expect(page).to_have_url(re.compile("data_source=my-sentences-"))
    page.reload()
    expect(page.get_by_role("row", name="rows read")).to_contain_text("99")
    expect(page.get_by_text("The next run uses exactly this.")).to_be_visible()
