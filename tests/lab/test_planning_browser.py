"""Planning in a real browser: turn the geometry, pick a cell, reload; then bring sentences and use them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, OpenPage, running_server
from playwright.sync_api import Page, expect
from test_components_browser import CUBE

PATIENCE = 60_000

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("CELLNET_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", ""))))
    with running_server(ROOT / "streamlit_app.py", tmp_path / "log.txt") as address:
        yield address


def cell(page: Page) -> list[str]:
    return [page.get_by_role("spinbutton", name=f"Cell {axis}").input_value() for axis in "xyz"]


def test_a_geometry_is_turned_and_sentences_are_brought(
    url: str, tmp_path: Path, open_page: OpenPage
) -> None:
    page = open_page(f"{url}/geometry?local=0.1&functional=0.65&radius=0.2&size=9x8x7&cell=4-4-3")
    expect(page.get_by_text("The local tier is empty")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name="Set it").click()
    expect(page.get_by_text("The local tier is empty")).to_have_count(0, timeout=PATIENCE)
    page.get_by_text("Whole cube, cut through").click()
    expect(page.get_by_text("252 of 504 shown")).to_be_visible(timeout=PATIENCE)
    assert cell(page) == ["4", "4", "3"]
    box = page.locator(f"{CUBE} canvas").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 0.42 * box["width"], box["y"] + 0.48 * box["height"])
    page.wait_for_function("() => !location.search.includes('cell=4-4-3')", timeout=PATIENCE)
    picked, address = cell(page), page.url
    assert "cell=" + "-".join(picked) in address
    page.reload()
    expect(page.get_by_text("252 of 504 shown")).to_be_visible(timeout=PATIENCE)
    assert (cell(page), page.url) == (picked, address)
    page.get_by_role("button", name="Use for the next run").click()
    expect(page.get_by_text("The next run uses:")).to_contain_text("9x8x7", timeout=PATIENCE)

    page.get_by_role("link", name="Data").click()
    sentences = tmp_path / "my sentences.csv"
    sentences.write_text("id,text\n" + "".join(f"{n},Sentence number {n}.\n" for n in range(99)))
    page.locator("input[type=file]").set_input_files(sentences)
    expect(page.get_by_role("row", name="rows read")).to_contain_text("99", timeout=PATIENCE)
    page.get_by_role("button", name="Use for the next run").click()
    expect(page.get_by_text("The next run uses:")).to_contain_text("Column text", timeout=PATIENCE)
    assert "data_source=my-sentences-" in page.url
    page.reload()
    expect(page.get_by_role("row", name="rows read")).to_contain_text("99", timeout=PATIENCE)
    expect(page.get_by_text("The next run uses exactly this.")).to_be_visible(timeout=PATIENCE)
