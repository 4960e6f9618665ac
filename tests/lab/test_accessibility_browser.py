"""Every page, in both themes, looked over by axe-core: no serious accessibility fault."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import OpenPage, Serve
from playwright.sync_api import expect

PAGES = ("", "geometry", "lattice", "routing", "probe", "data", "runs")
PATIENCE = 60_000

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious(serve: Serve, open_page: OpenPage, name: str, dark: bool) -> None:
    page = open_page(f"{serve('lattice_server.py')}/{name}", dark=dark)
    expect(page.locator(".lab-status")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_test_id("stApp")).to_have_attribute(
        "data-test-script-state", "notRunning", timeout=PATIENCE
    )
    found = Axe().run(page)
    serious = [
        (fault["id"], fault["help"], [node["html"][:300] for node in fault["nodes"][:5]])
        for fault in found.response["violations"]
        if fault["impact"] in ("serious", "critical")
    ]
    assert not serious, serious
