"""The live components in a real browser: they update, and what the reader did to them stays."""

import io
import json
import re
import time
from typing import Any

import pytest
from conftest import PATIENCE, OpenPage, Serve
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from lab.assets import asset_url
from lab.components.cube import EMPTY
from lab.figures.colors import EXPERT_COLORS, hex_to_rgb

CUBE = ".cellnet-cube"
CURVES = ".cellnet-curves"

BOXES = "all => all.map((one) => one.getBoundingClientRect().toJSON())"
UPDATED = """([host, goal]) => {
  if (!host.isConnected) throw new Error("the component was mounted anew");
  return Number(host.dataset.updates ?? 0) >= goal;
}"""
LOG_OF_CHARTS = """
    window.log = [];
    new MutationObserver(() => {
      const counts = [".cellnet-chart", ".cellnet-chart .main-svg:first-child"].map(
        (selector) => document.querySelectorAll(selector).length);
      if (counts[0] === 3 && String(counts) !== String(window.log.at(-1))) window.log.push(counts);
    }).observe(document, { childList: true, subtree: true });"""
"""Writes down how many charts the page has, and how many of them are drawn, whenever that changes."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def url(serve: Serve) -> str:
    return serve("components_server.py")


def wait_for_updates(page: Page, selector: str, more: int = 2) -> None:
    """Until the component has drawn ``more`` further frames."""
    host = page.locator(f"{selector}:has(canvas, .js-plotly-plot)")
    expect(host).to_have_count(1)
    handle = host.element_handle()
    before = int(host.get_attribute("data-updates") or 0)
    page.wait_for_function(UPDATED, arg=[handle, before + more])


def expect_counts(page: Page, text: str, count: int = 1) -> None:
    """So many cubes say how many cells they show; others may be on their way in or out."""
    expect(page.locator(f"{CUBE} .counts", has_text=text)).to_have_count(count)


def camera(page: Page) -> dict[str, Any]:
    state = page.locator(CUBE).get_attribute("data-camera")
    assert state is not None
    parsed: dict[str, Any] = json.loads(state)
    return parsed


def turn(page: Page) -> None:
    """Drags the cube to the side."""
    before = page.locator(CUBE).get_attribute("data-camera")
    x, y = middle(page.locator(CUBE))
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 90, y + 25, steps=4)
    page.mouse.up()
    page.mouse.move(5, 5)
    page.wait_for_function(
        "([host, before]) => host.dataset.camera !== before",
        arg=[page.locator(CUBE).element_handle(), before],
    )
    wait_for_updates(page, CUBE, 1)


def middle(part: Locator) -> tuple[float, float]:
    box = part.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def expect_colors(part: Locator, more_than: int) -> None:
    """Until so many different colors are in the picture: it is drawn, and not blank."""
    deadline = time.monotonic() + PATIENCE / 1000
    while (found := distinct_colors(part.screenshot())) <= more_than:
        assert time.monotonic() < deadline, f"only {found} colors"


def distinct_colors(png: bytes) -> int:
    return len(colors(png))


def colors(png: bytes) -> set[tuple[int, int, int]]:
    """All colors of a picture, as red, green and blue."""
    found = Image.open(io.BytesIO(png)).convert("RGB").getcolors(maxcolors=1 << 24)
    assert found is not None
    return {color for _, color in found}  # type: ignore[misc]


def figure(page: Page, expression: str) -> Any:
    return page.locator(f"{CURVES} .js-plotly-plot").evaluate(f"figure => {expression}")


def wait_for_figure(page: Page, condition: str) -> None:
    page.wait_for_function(
        f"() => {{ const figure = document.querySelector('.js-plotly-plot'); return {condition}; }}"
    )


@pytest.mark.parametrize("dark", [False, True])
def test_the_cube_is_drawn_and_keeps_its_camera_while_it_updates(
    url: str, open_page: OpenPage, dark: bool
) -> None:
    page = open_page(url, dark=dark)
    wait_for_updates(page, CUBE)
    expect_colors(page.locator(f"{CUBE} canvas"), 100)
    turn(page)
    turned = camera(page)
    seq = int(page.locator(CUBE).get_attribute("data-seq") or 0)
    wait_for_updates(page, CUBE, 3)
    assert int(page.locator(CUBE).get_attribute("data-seq") or 0) >= seq + 3
    assert camera(page) == turned
    expect(page.locator(f"{CUBE} canvas")).to_have_count(1)


def test_the_camera_survives_a_reload_and_a_page_switch(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    wait_for_updates(page, CUBE)
    turn(page)
    turned = camera(page)
    page.reload()
    wait_for_updates(page, CUBE)
    assert camera(page) == turned
    page.get_by_role("link", name="Other").click()
    expect(page.locator(f"{CUBE} .notice")).to_have_text(EMPTY)
    page.get_by_role("link", name="Live").click()
    page.get_by_text("Cut in half").wait_for()
    wait_for_updates(page, CUBE)
    assert camera(page) == turned
    page.get_by_role("button", name="Reset the camera").click()
    wait_for_updates(page, CUBE, 1)
    assert camera(page) != turned


def test_a_view_that_has_left_the_page_is_not_drawn(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    wait_for_updates(page, CUBE)
    page.evaluate(
        """async (address) => {
          const { default: component } = await import(address);
          component()({ data: null, parentElement: document.createElement("div") })();
        }""",
        f"{url}/{asset_url('cube.js')}",
    )


def test_a_click_picks_the_cell_under_the_pointer(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    wait_for_updates(page, CUBE)
    page.locator(CUBE).press("3")
    x, y = middle(page.locator(CUBE))
    page.mouse.click(x + 5, y - 5)
    cell = (4 * 8 + 4) * 8 + 7
    expect(page.get_by_text(re.compile(rf"picked {cell},"))).to_be_visible()
    expect(page.locator(f"{CUBE} .tip")).to_contain_text(f"cell {cell} at (4, 4, 7)")
    box = page.locator(CUBE).bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 30, box["y"] + box["height"] / 2)
    expect(page.get_by_text(re.compile("picked None,"))).to_be_visible()


def test_cutting_and_coloring_change_the_picture_and_not_the_camera(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    wait_for_updates(page, CUBE)
    before = camera(page)
    page.get_by_text("Cut in half").click()
    expect_counts(page, "256 of 512 shown")
    page.get_by_role("radio", name="expert").click()
    expect(page.locator(f"{CUBE} .legend")).to_contain_text("functional")
    wait_for_updates(page, CUBE, 1)
    assert camera(page) == before
    page.evaluate("document.querySelector('[class*=st-key-cube]').dataset.old = 'yes'")
    page.get_by_text("Move down").click()
    expect(page.locator("[class*=st-key-cube]:not([data-old])")).to_be_visible()
    expect(page.locator(CUBE)).to_have_count(1)
    wait_for_updates(page, CUBE, 1)
    expect_counts(page, "8 \u00d7 8 \u00d7 8 cells")
    assert camera(page) == before


def test_two_views_of_one_camera_turn_together(url: str, open_page: OpenPage) -> None:
    page = open_page(f"{url}/pair")
    left, right = page.locator(f"{CUBE}[aria-label^=left]"), page.locator(f"{CUBE}[aria-label^=right]")
    expect(left).to_have_attribute("data-updates", "1")
    expect(right).to_have_attribute("data-updates", "1")
    before = left.get_attribute("data-camera")
    left.press("ArrowLeft")
    after = left.get_attribute("data-camera")
    assert after is not None
    assert after != before
    expect(right).to_have_attribute("data-camera", after)


def test_cells_are_outlined_in_the_colors_of_their_rings(url: str, open_page: OpenPage) -> None:
    page = open_page(f"{url}/pair")
    left, right = page.locator(f"{CUBE}[aria-label^=left]"), page.locator(f"{CUBE}[aria-label^=right]")
    for view in (left, right):
        expect(view).to_have_attribute("data-updates", "1")
        view.press("2")
        expect_colors(view.locator("canvas"), 100)
    assert hex_to_rgb(EXPERT_COLORS["functional"]) in colors(left.locator("canvas").screenshot())
    assert hex_to_rgb(EXPERT_COLORS["functional"]) not in colors(right.locator("canvas").screenshot())
    x, y = middle(left)
    page.mouse.move(x + 5, y - 5)
    expect(left.locator(".tip")).to_contain_text(", functional neighbor")


def test_two_films_of_one_name_play_together_and_say_where_they_rest(url: str, open_page: OpenPage) -> None:
    page = open_page(f"{url}/films")
    left, right = page.locator(f"{CUBE}[aria-label^=left]"), page.locator(f"{CUBE}[aria-label^=right]")
    for view in (left, right):
        expect(view).to_have_attribute("data-number", "3")
    before = left.get_attribute("data-camera")
    left.press(" ")
    expect(right.get_by_role("button", name="Pause")).to_be_visible()
    for number in "012":
        expect(right).to_have_attribute("data-number", number)
    right.press(" ")
    expect(left.get_by_role("button", name="Play")).to_be_visible()
    rested = right.get_attribute("data-number") or ""
    expect(page.get_by_text(f"reported [None, {rested}]")).to_be_visible()
    expect(left).to_have_attribute("data-number", rested)
    left.get_by_role("slider").press("Home")
    expect(right).to_have_attribute("data-number", "0")
    expect(right.get_by_role("slider")).to_have_attribute("aria-valuetext", "lattice step 0 of 3")
    expect(page.get_by_text(f"reported [0, {rested}]")).to_be_visible()
    expect(left).to_have_attribute("aria-label", re.compile("^left, lattice step 0: 8 by 8 by 8 cells"))
    assert left.get_attribute("data-camera") == before


def test_keys_turn_the_camera_and_are_listed(url: str, open_page: OpenPage) -> None:
    page = open_page(f"{url}/pair")
    view = page.locator(f"{CUBE}[aria-label^=left]")
    expect(view).to_have_attribute("data-updates", "1")
    home = view.get_attribute("data-camera")
    seen = {home}
    for key in ("1", "2", "3", "ArrowUp", "+"):
        view.press(key)
        seen.add(view.get_attribute("data-camera"))
    assert len(seen) == 6
    for key in ("0", "Home"):
        view.press("-")
        view.press(key)
        assert view.get_attribute("data-camera") == home
    view.press("?")
    expect(view.locator(".keys")).to_contain_text("from the front, the side, above")
    expect(view).to_have_attribute("aria-label", re.compile("1, 2 and 3 look from the front"))
    page.get_by_role("button", name="Keys").first.click()
    expect(view.locator(".keys")).to_be_hidden()


def test_the_picture_is_saved_as_png(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    wait_for_updates(page, CUBE)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the picture").click()
    assert distinct_colors(download.value.path().read_bytes()) > 100


def test_zoom_hidden_curves_and_log_axes_survive(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    wait_for_updates(page, CURVES, 1)
    plot = page.locator(f"{CURVES} .nsewdrag").first
    box = plot.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 110, box["y"] + 70, steps=4)
    page.mouse.up()
    wait_for_figure(page, "figure.layout.xaxis.autorange === false")
    page.locator(f"{CURVES} .legendtoggle").last.click()
    wait_for_figure(page, "figure.data.some((trace) => trace.visible === 'legendonly')")
    page.get_by_role("button", name="log y").click()
    ranges = figure(page, "[figure.layout.xaxis.range, figure.layout.xaxis5.range]")
    hidden = figure(page, "figure.data.map((trace) => trace.visible)")
    assert ranges[0] == ranges[1]
    for _ in range(2):
        wait_for_updates(page, CURVES, 2)
        assert figure(page, "[figure.layout.xaxis.range, figure.layout.xaxis5.range]") == ranges
        assert figure(page, "figure.data.map((trace) => trace.visible)") == hidden
        assert figure(page, "figure.layout.yaxis.type") == "log"
        page.reload()


def test_growing_curves_are_made_longer_without_drawing_the_figure_anew(
    url: str, open_page: OpenPage
) -> None:
    page = open_page(f"{url}/?growing")
    wait_for_updates(page, CURVES, 1)
    figure(page, "figure.drawings = 0")
    figure(page, "void figure.on('plotly_afterplot', () => { figure.drawings += 1; })")
    wait_for_updates(page, CURVES, 4)
    drawings, newest, missing, ahead = figure(
        page,
        """(() => {
          const line = figure.querySelector(".tracecurve-0-0 .js-line");
          const { xaxis } = figure._fullLayout;
          const { x } = line.getPointAtLength(line.getTotalLength());
          const label = figure.getAttribute("aria-label");
          const newest = Number(label.match(/train \\S+ at step (\\d+)/)[1]);
          return [figure.drawings, newest, xaxis.d2p(newest) - x, xaxis.d2p(xaxis.range[1]) - x];
        })()""",
    )
    assert drawings < 4
    assert missing == pytest.approx(0.0, abs=0.1)  # pixels
    assert ahead > 0
    x, y = middle(page.locator(f"{CURVES} .nsewdrag").first)
    page.mouse.move(x, y)
    wait_for_figure(page, f"figure.data[0].x.at(-1) > {newest}")


def test_curves_say_their_latest_values_and_list_the_marks(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    wait_for_updates(page, CURVES, 1)
    label = page.locator(f"{CURVES} [role=figure]").get_attribute("aria-label") or ""
    assert re.search(r"reconstruction: train 0\.\d+ at step \d+, validation 0\.\d+ at step \d+", label)
    expect(page.locator(f"{CURVES} .curves-marks li")).to_have_text(
        ["1step 12: local ratio 0.10 \u2192 0.60", "2step 30: learning rate 2e-3 \u2192 1e-3"]
    )


def test_no_button_offers_to_upload_the_figure(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    wait_for_updates(page, CURVES, 1)
    titles = page.locator(f"{CURVES} .modebar-btn").evaluate_all(
        "all => all.map((one) => one.dataset.title)"
    )
    assert titles == ["Download plot", "Zoom", "Pan", "Zoom in", "Zoom out", "Reset axes"]


def test_the_page_is_shown_before_its_charts_which_are_drawn_one_by_one(
    url: str, open_page: OpenPage
) -> None:
    page = open_page(f"{url}/charts", script=LOG_OF_CHARTS)
    charts = page.locator(".cellnet-chart")
    expect(charts.locator(".main-svg:first-child")).to_have_count(3)
    shown, *drawn = page.evaluate("window.log")
    assert shown == [3, 0]  # all three have their place when the first is drawn
    assert [count for _, count in drawn] == [1, 2, 3]
    assert [box["height"] for box in charts.evaluate_all(BOXES)] == [150, 200, 250]


def test_a_chart_changes_in_place(url: str, open_page: OpenPage) -> None:
    page = open_page(f"{url}/charts")
    charts = page.locator(".cellnet-chart")
    expect(charts.locator(".main-svg:first-child")).to_have_count(3)
    plots = page.query_selector_all(".js-plotly-plot")
    page.get_by_role("slider", name="Factor").press("ArrowRight")
    expect(page.get_by_role("figure", name="Line 2 to 2")).to_have_attribute("data-updates", "2")
    assert [plot.evaluate("plot => plot.data[0].y") for plot in plots] == [[0, 2], [1, 2], [2, 2]]
    assert charts.locator(".modebar").count() == 1
    buttons = charts.locator(".modebar-btn").evaluate_all("all => all.map(button => button.dataset.title)")
    assert buttons == ["Download plot as a PNG", "Zoom", "Pan", "Zoom in", "Zoom out", "Reset axes"]


def test_a_cube_goes_on_with_the_graphics_context_of_one_that_left(url: str, open_page: OpenPage) -> None:
    page = open_page(f"{url}/pair")
    cubes = page.locator(CUBE)
    expect(cubes).to_have_count(2)
    expect_counts(page, "8 \u00d7 8 \u00d7 8", 2)
    before = page.query_selector_all(f"{CUBE} canvas")
    page.get_by_role("link", name="Other").click()
    expect(page.get_by_text("Another page")).to_be_visible()
    expect(page.locator(f"{CUBE} canvas")).to_have_count(0)
    page.get_by_role("link", name="Films").click()
    expect_counts(page, "8 \u00d7 8 \u00d7 8", 2)
    assert all(canvas.evaluate("canvas => canvas.isConnected") for canvas in before)
    for each in cubes.locator("canvas").all():
        expect_colors(each, 100)


def test_a_large_cube_sends_its_faces_once_and_then_colors_only(url: str, open_page: OpenPage) -> None:
    page = open_page("about:blank")
    sizes: list[int] = []
    page.on(
        "websocket",
        lambda socket: socket.on("framereceived", lambda frame: sizes.append(len(frame))),
    )
    page.goto(f"{url}/?edge=37&show=cube")
    wait_for_updates(page, CUBE, 3)
    expect_colors(page.locator(f"{CUBE} canvas"), 100)
    first = max(sizes)
    assert first > 8214 * 6
    sizes.clear()
    wait_for_updates(page, CUBE, 2)
    assert 8214 < max(sizes) < 8214 * 3


def test_without_webgl_the_cube_says_what_to_do(url: str, open_page: OpenPage) -> None:
    no_webgl = """
        const real = HTMLCanvasElement.prototype.getContext;
        HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
          return kind.startsWith("webgl") ? null : real.call(this, kind, ...rest);
        };"""
    page = open_page(url, script=no_webgl)
    notice = page.locator(f"{CUBE} .notice")
    expect(notice).to_contain_text("Turn on hardware acceleration")
    wait_for_updates(page, CURVES, 1)


def test_files_are_cached_for_good_under_their_digest_only(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    with page.expect_response(re.compile(r"/assets/cube\.js\?v=")) as answer:
        page.reload()
    assert answer.value.headers["cache-control"] == "public, max-age=31536000, immutable"
    plain = page.request.get(f"{url}/assets/cube.js")
    assert plain.headers["cache-control"] == "no-cache"


def test_the_components_follow_the_base_path_of_the_server(serve: Serve, open_page: OpenPage) -> None:
    page = open_page(serve("components_server.py", base="lab/here") + "/")
    wait_for_updates(page, CUBE, 1)
    wait_for_updates(page, CURVES, 1)
