"""Runs side by side: table, filters, settings, overlay, CSV and files."""

import io
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cellnet.losses import LOSS_NAMES
from cellnet.runs import RunRecord
from cellnet.settings import Settings, preset
from lab.figures.runs import (
    METRICS,
    RUN_COLORS,
    RunCurves,
    RunStyle,
    curves_csv,
    figures_of,
    filter_runs,
    minutes_at,
    overlay_marks,
    overlay_panels,
    run_styles,
    runs_table,
    settings_table,
)
from lab.figures.series import Mark
from lab.files.stills import cube_image, panels_image


def make_run(run_id: str, **values: Any) -> RunRecord:
    facts = {
        "id": run_id,
        "name": "",
        "state": "finished",
        "created": 1_700_000_000.0,
        "updated": 1_700_000_100.0,
        "pid": None,
        "process": None,
        "host": None,
        "step": 50,
        "max_steps": 100,
        "note": "",
        "tags": (),
        "error": "",
        "summary": {},
        "settings": Settings().model_dump(mode="json"),
        "parent": None,
        "deleted": False,
    }
    return RunRecord(**(facts | values))


def make_curves(label: str = "a", color: str = "#0072B2") -> RunCurves:
    train = pd.DataFrame({"step": [2, 4, 6], "total": [3.0, 2.0, 1.0], "seconds": [1.0, 2.0, 3.0]})
    validation = pd.DataFrame({"step": [4, 6], "total": [2.5, np.nan], "mse": [0.5, 0.4]})
    return RunCurves(RunStyle(label, color), {"train": train, "validation": validation})


def test_the_table_takes_the_newest_figures_and_else_the_summary() -> None:
    summary = {
        "explained_variance": 0.7,
        "pca_explained_variance": 0.6,
        "mean_cosine": 0.8,
        "seconds_per_step": 0.25,
        "share_of_slow_steps": 0.125,
        "target_ms_per_step": 100.0,
        "engine": "eager",
        "device": "cpu",
        "losses": {"train": {"total": 1.5}, "validation": {"total": 1.6}},
    }
    runs = [
        make_run("new", summary=summary, name="named"),
        make_run("old", summary=summary),
        make_run("none"),
    ]
    table = runs_table(
        runs, {"new": (50, {"total": 1.0, "seconds": 9.0})}, {"new": (50, {"explained_variance": 0.75})}
    )
    assert table["run"].tolist() == ["named", "old", "none"]
    np.testing.assert_allclose(table["explained"], [0.75, 0.7, np.nan])
    np.testing.assert_allclose(table["gain"], [0.15, 0.1, np.nan])
    np.testing.assert_allclose(table["loss"], [1.0, 1.5, np.nan])
    np.testing.assert_allclose(table["seconds"], [0.25, 0.25, np.nan])
    assert table["device"].tolist() == ["cpu", "cpu", ""]
    assert len(runs_table([], {}, {})) == 0
    words = figures_of(runs[0], {}, {})
    assert (words["gain over PCA"], words["steps"]) == ("+0.100", "50 of 100")
    assert (words["slow steps"], words["engine"]) == ("12.5% over 100 ms", "eager")


def test_filters_ask_for_every_word_every_tag_and_one_of_the_states() -> None:
    runs = [
        make_run("a", name="Wide tier", tags=("x", "y")),
        make_run("b", note="the wide one", state="failed", tags=("x",)),
    ]

    def found(text: str = "", tags: tuple[str, ...] = (), states: tuple[str, ...] = ()) -> list[str]:
        return [run.id for run in filter_runs(runs, text, tags, states)]

    assert found() == ["a", "b"]
    assert found("WIDE") == ["a", "b"]
    assert found("tier wide") == ["a"]
    assert found(tags=("x", "y")) == ["a"]
    assert found(states=("failed", "running")) == ["b"]
    assert found("nowhere") == []


def test_a_run_keeps_its_style_whatever_is_selected_or_deleted() -> None:
    runs = [make_run(f"r{place:02}", created=float(place)) for place in range(30)]
    styles = run_styles(reversed(runs))
    assert [styles[f"r{place:02}"].color for place in range(7)] == list(RUN_COLORS)
    assert len({(style.color, style.dash) for style in styles.values()}) == 28
    assert run_styles(runs[:5])["r03"] == styles["r03"]


def test_settings_side_by_side_show_what_differs() -> None:
    one, two = (preset(name).model_dump(mode="json") for name in ("seed", "balanced"))
    table = settings_table({"one": one, "two": two})
    assert table.index.tolist() == [
        "lattice.adaptive_radius_ratio",
        "lattice.local_distance_ratio",
        "lattice.functional_distance_ratio",
    ]
    assert table.loc["lattice.local_distance_ratio"].tolist() == ["0.1", "0.6"]
    everything = settings_table({"one": one, "two": two}, everything=True)
    assert everything.loc["lattice.dimensions"].tolist() == ["8 x 8 x 8"] * 2
    assert everything.loc["init.reproducible"].tolist() == ["off", "off"]
    assert settings_table({"one": one, "again": one}).empty
    older = {"lattice": {"forgotten": 3}}
    assert settings_table({"one": one, "older": older}).loc["lattice.forgotten"].tolist() == ["", "3"]


def test_overlay_has_a_panel_per_metric_and_a_curve_per_run_and_split() -> None:
    runs = [make_curves("a"), make_curves("b", "#D55E00")]
    total, mse = overlay_panels(runs, ["total", "mse", "never"], smoothing=2)
    assert (total.title, mse.title) == ("total", "mse")
    assert [curve.name for curve in total.curves] == ["a", "a", "b", "b"]
    validation, train = total.curves[:2]
    assert (validation.x.tolist(), validation.y.tolist()) == ([4], [2.5])
    assert validation.dots
    assert validation.opacity == 1.0
    assert (train.x.tolist(), train.y.tolist()) == ([2, 4, 6], [3.0, 2.5, 1.5])
    assert train.opacity < 1.0
    assert {curve.color for curve in mse.curves} == {"#0072B2", "#D55E00"}
    (alone,) = overlay_panels(runs[:1], ["total"], splits=["train"])
    assert alone.curves[0].opacity == 1.0


def test_time_counts_every_step_also_those_that_were_not_logged() -> None:
    train = make_curves().tables["train"]  # steps 1-2 took 1 s each, 3-4 2 s each, 5-6 3 s each
    minutes = minutes_at(np.array([0, 1, 2, 4, 5, 6]), train)
    np.testing.assert_allclose(60 * minutes, [0, 1, 2, 6, 9, 12])
    (panel,) = overlay_panels([make_curves()], ["total"], axis="minutes")
    np.testing.assert_allclose(60 * panel.curves[1].x, [2, 6, 12])
    assert np.isnan(minutes_at(np.array([3]), train.iloc[:0])).all()


def test_marks_name_their_run_only_among_several() -> None:
    mark = Mark(120, "Diversity 0.1 → 0.2")
    assert overlay_marks({"a": [mark]}) == [mark]
    assert overlay_marks({"a": [mark], "b": []}) == [Mark(120, "a: Diversity 0.1 → 0.2")]
    both = overlay_marks({"a": [mark], "b": [mark]})
    assert [mark.label.partition(":")[0] for mark in both] == ["a", "b"]


def test_csv_wide_and_long_hold_the_same_numbers_exactly() -> None:
    table = pd.DataFrame(
        {"step": [1, 1, 2], "phase": ["train", "validation", "train"], "total": [1 / 3, 0.5, 0.25]}
    )
    table["mse"] = [np.nan, 0.125, np.nan]
    wide = pd.read_csv(io.StringIO(curves_csv({"r1": table, "r2": table}, "wide")))
    assert list(wide.columns) == ["run", "step", "phase", "total", "mse"]
    assert wide["total"].tolist() == [1 / 3, 0.5, 0.25] * 2
    long = pd.read_csv(io.StringIO(curves_csv({"r1": table}, "long")))
    assert list(long.columns) == ["run", "step", "phase", "metric", "value"]
    assert long.query("metric == 'mse'")["value"].tolist() == [0.125]
    assert len(long) == 4
    assert curves_csv({}, "wide") == ""


def test_figures_as_files() -> None:
    panels = overlay_panels([make_curves("a & b")], ["total", "mse"])
    svg = panels_image(panels, "svg", marks=[Mark(4, "change")])
    root = ElementTree.fromstring(svg)
    words = [text for element in root.iter() if (text := (element.text or "").strip())]
    assert {"total", "mse", "a & b", "step", "1", "1  step 4: change"} <= set(words)
    assert svg == panels_image(panels, "svg", marks=[Mark(4, "change")])
    image = Image.open(io.BytesIO(panels_image(panels, "png")))
    assert image.width > 1000
    with pytest.raises(ValueError, match="choose a metric"):
        panels_image([], "svg")


def test_the_cube_in_slices() -> None:
    rng = np.random.default_rng(0)
    states = rng.normal(size=(4, 60, 8)).astype(np.float32)
    gate = rng.dirichlet((1, 1, 1), size=(3, 60)).astype(np.float32)
    image = Image.open(io.BytesIO(cube_image(states, gate, (3, 4, 5)))).convert("RGB")
    assert len(image.getcolors(10**6) or []) > 100


def test_curves_are_offered_in_the_order_of_their_worth() -> None:
    assert (
        "total",
        "explained_variance",
        "mean_cosine",
        *LOSS_NAMES,
        "mse",
        "learning_rate",
        "gradient_norm",
        "seconds",
    ) == METRICS
