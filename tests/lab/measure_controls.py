"""How soon the controls of the lab answer while a training uses all processors.

``python tests/lab/measure_controls.py`` starts the lab and a training, turns every control of every page in
a real browser, and prints for each how long it took from the press until the answer was painted: the first
change of the page outside of the control that the training alone does not make. It is a command and no
test: what it prints depends on the machine.

Lattice and Routing are drawn anew about once a second while they follow the training. What such a run
changes just after a press is taken for its answer.
"""

import argparse
import os
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from conftest import CHROMIUM, FLAGS, ROOT, running_server
from playwright.sync_api import Locator, Page, TimeoutError, sync_playwright

PAGES = ("train", "geometry", "lattice", "routing", "probe", "evaluate", "data", "runs")
WIDGETS = ("stSlider", "stNumberInput", "stButtonGroup", "stSelectbox", "stCheckbox")
CUBE = ".cellnet-cube canvas"
GOAL = 200.0
LIMIT = 5_000
WATCH = (Path(__file__).parent / "measure_controls.js").read_text()


@dataclass(frozen=True)
class Answer:
    """One press: when it was, and milliseconds from then until the browser sent it, the server began to
    answer, the page changed and was painted, and it changed for the last time.
    """

    page: str
    control: str
    what: str
    pressed: float
    sent: float
    begun: float
    changed: float
    painted: float
    rested: float


def main() -> None:
    options = _options()
    # The tests have even the page composed by the renderer of WebGL; a browser without a GPU does not.
    flags = [flag for flag in FLAGS if not flag.startswith("--use-angle")]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        os.environ["CELLNET_RUNS"] = str(Path(folder) / "runs")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        with running_server(ROOT / "streamlit_app.py", Path(folder) / "log.txt") as url:
            page = browser.new_page(viewport={"width": 1280, "height": 1400})
            page.add_init_script(WATCH)
            page.goto(url)
            _train(page, options.steps)
            if options.paused:
                page.get_by_role("button", name="Pause").click()
                page.locator(".lab-status[data-state=paused]").wait_for()
            answers = [
                answer for name in options.pages for answer in _measure(page, url, name, options.presses)
            ]
            print(" ".join(page.locator(".lab-status").inner_text().split()))
        browser.close()
    _report(answers)


def _options() -> Any:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", nargs="*", default=PAGES, help="by default all")
    parser.add_argument("--presses", type=int, default=2, help="of each control")
    parser.add_argument("--steps", type=int, default=30, help="of the training before the first press")
    parser.add_argument("--paused", action="store_true", help="with the training paused, to compare")
    return parser.parse_args()


def _train(page: Page, steps: int) -> None:
    page.get_by_role("button", name="Start").click()
    page.wait_for_function(
        "steps => Number(document.querySelector('.lab-status')?.dataset.step ?? 0) >= steps",
        arg=steps,
        timeout=600_000,
    )


def _measure(page: Page, url: str, name: str, presses: int) -> list[Answer]:
    """Turn each control of a page, also those that appear only after another was turned."""
    page.goto(url if name == "train" else f"{url}/{name}")
    page.locator(".lab-status").wait_for()
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    _rest(page)
    answers: list[Answer] = []
    turned: dict[str, int] = {}
    while (found := _next(page, turned, presses)) is not None:
        label, widget = found
        turned[label] = turned.get(label, 0) + 1
        try:
            seen = _turn(page, widget)
        except TimeoutError:
            print(f"{name}: {label}: cannot be turned")
            continue
        if seen is None:
            print(f"{name}: {label}: nothing changed")
        else:
            answers.append(Answer(name, label, **seen))
        _rest(page)
    return answers


def _next(page: Page, turned: dict[str, int], presses: int) -> tuple[str, Locator] | None:
    """The first control that was not turned often enough."""
    controls = page.locator(", ".join([CUBE, *(f"[data-testid={kind}]" for kind in WIDGETS)]))
    for place in range(controls.count()):
        widget = controls.nth(place)
        if not widget.is_visible() or widget.locator(":disabled").count():
            continue
        label: str = widget.evaluate("widget => labelOf(widget)")
        if turned.get(label, 0) < presses:
            return label, widget
    return None


def _turn(page: Page, widget: Locator) -> dict[str, Any] | None:
    """Press, and return what became of it; None if nothing did."""
    widget.scroll_into_view_if_needed(timeout=2000)
    press = _press(page, widget)
    widget.evaluate("watchAnswer")
    press()
    try:
        page.wait_for_function("() => answer.painted", timeout=LIMIT)
    except TimeoutError:
        return None
    _rest(page)
    found: dict[str, Any] = page.evaluate("() => answer")
    return found


def _press(page: Page, widget: Locator) -> Callable[[], None]:
    """What turns a control, so prepared that nothing but the press itself is left."""
    match widget.get_attribute("data-testid"):
        case "stSlider":
            thumb = widget.locator("input").last
            thumb.focus()
            value, most = (float(thumb.get_attribute(name) or 0) for name in ("value", "max"))
            return partial(thumb.press, "ArrowLeft" if value >= most else "ArrowRight")
        case "stNumberInput":
            button = widget.get_by_test_id("stNumberInputStepUp")
            return partial(button.click, timeout=2000)
        case "stButtonGroup":
            others = widget.locator("[aria-checked=false]")
            return partial(others.nth(others.count() // 2).click, timeout=2000)
        case "stSelectbox":
            widget.locator("input").click(timeout=2000)
            option = page.locator("[role=option][aria-selected=false]").first
            option.wait_for(timeout=2000)
            return partial(option.click, timeout=2000)
        case "stCheckbox":
            return partial(widget.locator("label").first.click, timeout=2000)
        case _:
            box = widget.bounding_box()
            assert box is not None
            return partial(page.mouse.click, box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def _rest(page: Page) -> None:
    page.wait_for_function("() => restedFor(400)", timeout=60_000, polling=100)


def _report(answers: list[Answer]) -> None:
    for answer in sorted(answers, key=lambda each: each.painted):
        print(
            f"{answer.painted:6.0f} ms ({answer.sent:.0f} sent, {answer.begun:.0f} begun, "
            f"{answer.changed:.0f} changed, {answer.rested:.0f} rested)  "
            f"{answer.page}: {answer.control} [{answer.what}]"
        )
    pages = dict.fromkeys(answer.page for answer in answers)
    for name in (*pages, "all") if answers else ():
        times = sorted(answer.painted for answer in answers if name in (answer.page, "all"))
        within = sum(time <= GOAL for time in times) / len(times)
        print(
            f"{name}: {len(times)} presses, median {statistics.median(times):.0f} ms, ninth decile "
            f"{times[int(0.9 * (len(times) - 1))]:.0f} ms, {within:.0%} within {GOAL:.0f} ms"
        )


if __name__ == "__main__":
    main()
