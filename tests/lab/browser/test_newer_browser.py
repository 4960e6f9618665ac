"""Pages that run their parts again by themselves, in a real browser: once there is news, and while seen."""

import re
from collections import Counter

import pytest
from conftest import OpenPage, Serve
from playwright.sync_api import Page, expect
from test_components_browser import CUBE, middle, wait_for_updates
from test_lab_browser import expect_state, go_to, press, wait_for_step

HIDING = """
let hidden = false;
Object.defineProperty(document, "hidden", { get: () => hidden });
window.hide = (value) => {
  hidden = value;
  document.dispatchEvent(new Event("visibilitychange"));
};
"""
HOLDING = """
const run = window.setTimeout;
window.setTimeout = (what, wait, ...rest) => window.held && !wait ? 0 : run(what, wait, ...rest);
"""
"""Streamlit sends after a timeout of 0; while that is held back, only what is sent at once goes out."""

STEP = re.compile(r"^Cube at training step [\d,]+, ")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def url(serve: Serve, open_page: OpenPage) -> str:
    """A lab in which a training runs."""
    address = serve("probe_server.py", base="newer")
    page = open_page(address + "/")
    expect(page.locator(".lab-status")).to_be_visible()
    if page.locator(".lab-status").get_attribute("data-state") == "idle":
        press(page, "Start")
    wait_for_step(page, 3)
    page.goto("about:blank")
    return address


def count_messages(page: Page) -> Counter[str]:
    """What the page asks for from now on: ``news``, and ``runs`` of its script."""
    counts: Counter[str] = Counter()
    page.on("request", lambda request: counts.update(["news"] * ("/news?" in request.url)))
    page.on("websocket", lambda socket: socket.on("framesent", lambda _: counts.update(["runs"])))
    return counts


def test_the_lattice_follows_the_training_by_itself(url: str, open_page: OpenPage) -> None:
    page = open_page(f"{url}/lattice")
    view = page.locator(CUBE)
    for _ in range(3):
        expect(view).to_have_attribute("aria-label", STEP)
        shown = STEP.match(view.get_attribute("aria-label") or "")
        assert shown is not None
        expect(view).not_to_have_attribute("aria-label", re.compile(f"^{shown[0]}"))


@pytest.mark.parametrize("place", ["lattice", "routing", "runs"])
def test_a_hidden_tab_asks_for_nothing(url: str, open_page: OpenPage, place: str) -> None:
    seen = open_page(f"{url}/lattice")
    page = open_page("about:blank", script=HIDING)
    counts = count_messages(page)
    page.goto(f"{url}/{place}")
    expect_state(page, "running")
    wait_for_updates(seen, CUBE)
    page.evaluate("hide(true)")
    wait_for_updates(seen, CUBE)  # what was under way has ended
    before = counts.copy()
    wait_for_updates(seen, CUBE, 5)
    assert counts == before
    with page.expect_request(re.compile("/news")):
        page.evaluate("hide(false)")


def test_what_runs_anew_is_not_dimmed_meanwhile(url: str, open_page: OpenPage) -> None:
    page = open_page(f"{url}/lattice")
    wait_for_updates(page, CUBE)
    page.evaluate(
        """() => {
          window.seen = [];
          new MutationObserver((changes) => {
            for (const { target } of changes) {
              if (target.dataset.stale === "true") window.seen.push(getComputedStyle(target).opacity);
            }
          }).observe(document.body, { subtree: true, attributeFilter: ["data-stale"] });
        }"""
    )
    page.wait_for_function("() => window.seen.length > 20")
    assert set(page.evaluate("() => window.seen")) == {"1"}


def test_a_run_that_takes_long_shows_as_a_line(url: str, open_page: OpenPage) -> None:
    page = open_page(f"{url}/data")
    expect(page.locator(".stApp[data-test-script-state=notRunning]")).to_be_visible()
    line = "getComputedStyle(document.querySelector('.stApp'), '::after')"
    assert page.evaluate(f"{line}.content") == "none"
    page.evaluate("document.querySelector('.stApp').dataset.testScriptState = 'running'")
    assert page.evaluate(f"{line}.visibility") == "hidden"
    page.wait_for_function(f"() => {line}.visibility === 'visible'")


def test_nothing_runs_while_the_training_stands_still(url: str, open_page: OpenPage) -> None:
    page = open_page("about:blank")
    counts = count_messages(page)
    page.goto(f"{url}/lattice")
    wait_for_updates(page, CUBE)
    press(page, "Pause")
    expect_state(page, "paused")
    for _ in range(3):  # until the picture of the last step is drawn
        page.wait_for_event("requestfinished", lambda request: "/news?" in request.url)
    before = counts["runs"]
    for _ in range(3):
        page.wait_for_event("requestfinished", lambda request: "/news?" in request.url)
    assert counts["runs"] == before
    press(page, "Resume")
    expect_state(page, "running")
    wait_for_updates(page, CUBE)


def test_what_runs_a_part_of_a_page_is_sent_at_once(url: str, open_page: OpenPage) -> None:
    page = open_page(f"{url}/lattice", script=HOLDING)
    wait_for_updates(page, CUBE)
    page.evaluate("window.held = true")
    wait_for_updates(page, CUBE)
    page.mouse.click(*middle(page.locator(CUBE)))
    expect(page.get_by_role("spinbutton", name="Cell")).not_to_have_value("")
    page.evaluate("window.held = false")
    go_to(page, "Routing")
    expect(page.locator(CUBE)).to_have_count(4)
