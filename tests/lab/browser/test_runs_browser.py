"""Two runs in a real browser: select, overlay, compare, delete, undo, reload, take the curves away."""

import csv
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, OpenPage, running_server
from playwright.sync_api import Page, expect
from test_components_browser import CURVES
from training_data import made_up_data, small_settings

from cellnet.runs import RunStore
from cellnet.settings import with_changes
from cellnet.training import TrainingSession

ROW = 33
CHECKBOX = 17

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A lab with two finished runs, which differ in the weight of one loss."""
    monkeypatch.setenv("CELLNET_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", ""))))
    settings = small_settings(max_steps=10)
    data = made_up_data(settings, progress=lambda *_: None, should_stop=lambda: False)
    with RunStore(tmp_path / "runs") as store:
        for name, weight in (("first", 0.1), ("second", 0.7)):
            changed = with_changes(settings, {"loss.diversity": weight})
            with TrainingSession.start(store, changed, data, name=name) as session:
                session.trainer.train()
    with running_server(ROOT / "streamlit_app.py", tmp_path / "log.txt") as address:
        yield address


def choose_row(page: Page, row: int) -> None:
    """Check the box of a row; the table is a canvas."""
    box = page.get_by_test_id("stDataFrame").first.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + CHECKBOX, box["y"] + (row + 1.5) * ROW)


def expect_button(page: Page, name: str) -> None:
    expect(page.get_by_role("button", name=name, exact=True)).to_be_visible()


def test_two_runs_are_compared_deleted_brought_back_and_taken_away(url: str, open_page: OpenPage) -> None:
    page = open_page(f"{url}/runs")
    expect(page.get_by_test_id("glide-cell-1-0")).to_have_text("second")
    choose_row(page, 0)
    expect_button(page, "Delete 1 run")
    choose_row(page, 1)
    expect_button(page, "Delete 2 runs")
    drawn = page.locator(f"{CURVES} [role=figure]")
    for name in ("first", "second"):
        expect(drawn).to_have_attribute("aria-label", re.compile(f"total: .*{name} · "))

    page.get_by_role("radio", name="Settings").click()
    compared = page.get_by_test_id("stDataFrame").nth(1)
    expect(compared.get_by_test_id("glide-cell-0-0")).to_have_text("loss.diversity")

    page.get_by_role("button", name="Delete 2 runs").click()
    expect(page.get_by_text("There is no run yet")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect_button(page, "Delete 2 runs")

    page.get_by_role("radio", name="Export").click()
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Curves as CSV, one column per metric").click()
    with downloading.value.path().open() as file:
        rows = list(csv.DictReader(file))
    assert len({row["run"] for row in rows}) == 2
    assert [row["step"] for row in rows if row["phase"] == "validation"] == ["5", "10"] * 2

    page.reload()
    expect_button(page, "Delete 2 runs")
    expect_button(page, "Curves as CSV, one row per value")
