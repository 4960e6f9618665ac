"""A fake training to try the live components on: an oscillating cube and curves that grow.

Run it with ``streamlit run tests/lab/apps/components_server.py``. ``?edge=37`` makes the cube larger,
``?show=cube`` leaves the curves out.
"""

import time

import numpy as np
import streamlit as st

from lab.components import cube, curves
from lab.components.chart import chart
from lab.components.cube import Ring, reported
from lab.figures.colors import EXPERT_COLORS, SPLIT_COLORS
from lab.figures.cube.films import film
from lab.figures.cube.scenes import ClipBox, Scene, category_scene, rgb_scene, scalar_scene
from lab.figures.series import Curve, Mark, Panel

LOSSES = (
    "reconstruction",
    "similarity",
    "diversity",
    "emergence",
    "lattice dynamics",
    "spatial consistency",
    "total",
)
PERIOD = 0.25


@st.cache_resource
def started() -> float:
    """When the fake training began; shared by all sessions, as a trainer is."""
    return time.time()


def step() -> int:
    return 40 + int((time.time() - started()) / PERIOD)


def wave(edge: int, at: int) -> np.ndarray:
    """Norm-like values of every cell: two slow waves that run through the cube."""
    x, y, z = np.indices((edge, edge, edge)).reshape(3, -1) / edge
    return 1.2 + np.sin(5 * x + 0.10 * at) * np.cos(4 * y - 0.07 * at) + 0.5 * np.sin(7 * z + 0.05 * at)


def scene(edge: int, at: int, coloring: str, clipped: bool, explode: float) -> Scene:
    shape = (edge, edge, edge)
    values = wave(edge, at)
    box: ClipBox | None = ((0, edge - 1), (edge // 2, edge - 1), (0, edge - 1)) if clipped else None
    spread = (0.0, 0.0, explode)
    if coloring == "principal components":
        rgb = np.stack([values, np.roll(values, edge), np.roll(values, edge * edge)], axis=1)
        rgb = (rgb - rgb.min()) / np.ptp(rgb)
        return rgb_scene(shape, rgb, label="principal components", explode=spread)
    if coloring == "expert":
        codes = np.digitize(values, [0.8, 1.7])
        return category_scene(shape, codes, EXPERT_COLORS, label="dominant expert", explode=spread)
    return scalar_scene(shape, values, label="state norm", clip=box, explode=spread)


def history(at: int) -> list[Panel]:
    steps = np.arange(at)
    rng = np.random.default_rng(0)
    panels = []
    for number, name in enumerate(LOSSES):
        noise = rng.normal(0, 0.03, 100_000)[:at]
        train = 0.3 + 0.7 * np.exp(-steps / (60 + 20 * number)) + noise
        every = steps[::10]
        validation = 0.34 + 0.68 * np.exp(-every / (60 + 20 * number))
        panels.append(
            Panel(
                name,
                (
                    Curve("train", steps, train, SPLIT_COLORS["train"], width=1.3),
                    Curve("validation", every, validation, SPLIT_COLORS["validation"], dash="dash"),
                ),
            )
        )
    return panels


@st.fragment(run_every=PERIOD)
def live_cube(edge: int) -> None:
    at = step()
    coloring = st.segmented_control(
        "Color by", ["norm", "principal components", "expert"], default="norm", key="coloring"
    )
    clipped = st.toggle("Cut in half", key="clipped")
    place = [st.container(), st.container()][int(st.toggle("Move down", key="moved"))]
    explode = st.select_slider("Layers apart", [0.0, 0.5, 1.0, 2.0], key="explode")
    began = time.perf_counter()
    picture = scene(edge, at, str(coloring), clipped, explode)
    computed = time.perf_counter() - began
    stream = f"{coloring}-{clipped}-{explode}-{edge}"
    with place:
        picked = cube(picture, key="cube", seq=at, stream=stream, height=460, label="Demonstration cube")
    st.caption(f"step {at}, picked {picked}, scene {computed * 1000:.1f} ms")


@st.fragment(run_every=PERIOD * 4)
def live_curves() -> None:
    at = step()
    marks = [Mark(12, "local ratio 0.10 \u2192 0.60"), Mark(30, "learning rate 2e-3 \u2192 1e-3")]
    growing = "growing" in st.query_params
    curves(history(at), key="curves", seq=at, marks=marks, growing=growing)


def train() -> None:
    st.title("Live components")
    live_cube(int(st.query_params.get("edge", "8")))
    if st.query_params.get("show") != "cube":
        live_curves()


def other() -> None:
    st.title("Another page")
    st.fragment(lambda: cube(None, key="empty", seq=0, height=200))()


@st.fragment
def pair() -> None:
    st.title("Two cubes, one camera")
    outlined = [Ring("functional neighbor", EXPERT_COLORS["functional"], np.arange(448, 512))]
    for side, at, rings in zip(("left", "right"), (40, 400), (outlined, []), strict=True):
        picture = scene(8, at, "norm", False, 0.0)
        cube(picture, key=side, seq=0, height=300, camera="pair", label=side, rings=rings)


@st.fragment
def films() -> None:
    st.title("Two cubes that play together")
    numbers = []
    for side, begin in zip(("left", "right"), (40, 400), strict=True):
        played = film(
            lambda at, begin=begin: scene(8, begin + 30 * at, "norm", False, 0.0),  # type: ignore[misc]
            0,
            3,
            3,
            name="films",
        )
        cube(played, key=side, seq=0, height=300, camera="pair", label=side)
        numbers.append(reported(side).get("number"))
    st.caption(f"reported {numbers}")


def charts() -> None:
    st.title("Charts")
    factor = st.slider("Factor", 1, 5, key="factor")
    for number in range(3):
        figure = {"data": [{"y": [number, factor]}], "layout": {"height": 150 + 50 * number}}
        chart(figure, key=f"chart{number}", label=f"Line {number} to {factor}", tools=number == 2)


st.set_page_config(layout="wide")
st.navigation(
    [
        st.Page(train, title="Live", default=True),
        st.Page(other, title="Other", url_path="other"),
        st.Page(pair, title="Pair", url_path="pair"),
        st.Page(films, title="Films", url_path="films"),
        st.Page(charts, title="Charts", url_path="charts"),
    ]
).run()
