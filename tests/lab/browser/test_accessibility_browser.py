"""Every page, in both themes, looked over by axe-core: no serious accessibility fault."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import OpenPage, Serve
from playwright.sync_api import Page, expect

PAGES = ("Train", "Geometry", "Lattice", "Routing", "Probe", "Evaluate", "Data", "Runs")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def serious_faults(page: Page) -> list[tuple[str, str, list[str]]]:
    """What axe-core calls serious or critical: name, words and where."""
    return [
        (fault["id"], fault["help"], [node["html"][:300] for node in fault["nodes"][:5]])
        for fault in Axe().run(page).response["violations"]
        if fault["impact"] in ("serious", "critical")
    ]


def wait_until_it_rests(page: Page) -> None:
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    expect(page.locator('[data-stale="true"]')).to_have_count(0)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_serious(serve: Serve, open_page: OpenPage, dark: bool) -> None:
    page = open_page(serve("lattice_server.py"), dark=dark)
    found = {}
    for name in PAGES:
        link = page.get_by_role("link", name=name, exact=True)
        link.click()
        expect(link).to_have_attribute("aria-current", "page")
        expect(page.locator(".lab-status")).to_be_visible()
        wait_until_it_rests(page)
        # A cube that was just drawn has its part of the page run again, and that part is pale meanwhile.
        if found.setdefault(name, serious_faults(page)):
            wait_until_it_rests(page)
            found[name] = serious_faults(page)
    assert found == {name: [] for name in PAGES}
