"""Panels, marks, scenes and words, from plain values."""

from dataclasses import replace

import numpy as np
import pytest

from cellnet.runs import ChangeRecord
from cellnet.settings import preset, with_changes
from cellnet.training.metrics import TRAIN_NAMES, VALIDATION_NAMES
from lab.figures.cube.cuts import VIEWS, View
from lab.figures.cube.glance import COLORINGS, Coloring, cube_film
from lab.figures.curves import loss_panels, step_marks, trailing_mean
from lab.figures.markup import tier_markup
from lab.figures.status import progress_share, status_facts, status_markup
from lab.figures.words import duration, gain, tier_report
from lab.training import CubeFrame, History, Phase, Preparation, Snapshot


def frame(steps: int = 2, edge: int = 4, channels: int = 6) -> CubeFrame:
    rng = np.random.default_rng(0)
    cells = edge**3
    gate = rng.random((steps, cells, 3)).astype(np.float32)
    states = rng.normal(size=(steps + 1, cells, channels)).astype(np.float32)
    return CubeFrame(1, 7, (edge, edge, edge), states, gate, 0.9, "A sentence.", 0.01)


def snapshot() -> Snapshot:
    train, validation = History(TRAIN_NAMES), History(VALIDATION_NAMES)
    for step in range(1, 41):
        train.append(step, dict.fromkeys(TRAIN_NAMES, 1 / step))
    validation.append(20, dict.fromkeys(VALIDATION_NAMES, 0.7))
    return Snapshot(
        phase=Phase.RUNNING,
        settings=preset("quickstart"),
        run_id="r",
        step=40,
        steps_per_second=4.0,
        seconds_left=990.0,
        age=0.4,
        device="cpu",
        memory={"process": 812.0},
        train=train.read(),
        validation=validation.read(),
        pca=0.6,
    )


def test_trailing_mean_against_a_loop() -> None:
    values = np.random.default_rng(0).normal(size=50)
    expected = [values[max(0, end - 7) : end].mean() for end in range(1, 51)]
    np.testing.assert_allclose(trailing_mean(values, 7), expected, atol=1e-12)
    np.testing.assert_allclose(trailing_mean(values, 1), values, atol=1e-12)
    assert len(trailing_mean(np.empty(0), 5)) == 0
    with pytest.raises(ValueError, match="at least 1"):
        trailing_mean(values, 0)


def test_panels_are_total_gain_rate_the_six_losses_gradient_and_time() -> None:
    panels = loss_panels(snapshot(), smoothing=5)
    assert [panel.title for panel in panels] == [
        "total",
        "explained variance",
        "learning rate",
        "reconstruction",
        "similarity",
        "diversity",
        "emergence",
        "lattice dynamics",
        "spatial consistency",
        "gradient norm",
        "step time",
    ]
    assert [curve.name for curve in panels[0].curves] == ["train", "train, smoothed", "validation"]
    assert [curve.name for curve in loss_panels(snapshot(), 1)[0].curves] == ["train", "validation"]
    assert [curve.y.tolist() for curve in panels[1].curves] == [[0.7], [0.6, 0.6]]


def test_a_window_shows_the_newest_steps_of_the_same_curves() -> None:
    whole, part = (loss_panels(snapshot(), 5, window) for window in (0, 21))
    for panel, shown in zip(whole, part, strict=True):
        for curve, newest in zip(panel.curves, shown.curves, strict=True):
            kept = curve.x >= 20
            np.testing.assert_array_equal(newest.x, curve.x[kept])
            np.testing.assert_array_equal(newest.y, curve.y[kept])
    assert part[0].curves[0].x.tolist() == list(range(20, 41))
    assert part[1].curves[1].x.tolist() == [20]
    assert not any(len(curve.x) for panel in loss_panels(Snapshot(), 5, 21) for curve in panel.curves[:1])


def test_what_happened_after_one_step_shares_a_mark() -> None:
    changes = [
        ChangeRecord(5, 0.0, "lattice.local_distance_ratio", 0.6, 0.5),
        ChangeRecord(5, 0.0, "training.learning_rate", 2e-3, 1e-3),
        ChangeRecord(9, 0.0, "gate.temperature", 1.0, 2.0),
    ]
    assert [(mark.x, mark.label) for mark in step_marks(changes)] == [
        (5, "Local ratio 0.6 \u2192 0.5, Learning rate 0.002 \u2192 0.001"),
        (9, "Temperature 1 \u2192 2"),
    ]


@pytest.mark.parametrize("coloring", COLORINGS)
@pytest.mark.parametrize("view", VIEWS)
def test_every_coloring_and_view_draws(coloring: Coloring, view: View) -> None:
    scene = cube_film(frame(), coloring, 2, 1, view).scene
    assert scene.geometry.shown == (32 if view == "cut open" else 64)
    assert scene.geometry.spacing == ((0, 0, 1.2) if view == "layers" else (0, 0, 0))
    assert len(scene.colors) == len(scene.geometry.cells)


def test_colors_show_the_right_numbers() -> None:
    shown = frame()
    activity = np.sqrt((shown.states.astype(np.float64) ** 2).mean(axis=-1))
    scene = cube_film(shown, "activity", 1, 0, "whole").scene
    low, high = np.percentile(activity, (1, 99))
    assert (scene.legend.low, scene.legend.high) == pytest.approx((low, high), rel=1e-5)
    expected = np.clip((activity[1] - low) / (high - low), 0, 1)[scene.geometry.cells] * 255
    assert np.abs(scene.colors - expected).max() <= 1
    experts = cube_film(shown, "expert", 2, 0, "whole").scene
    np.testing.assert_array_equal(experts.colors, shown.gate[1].argmax(-1)[experts.geometry.cells])
    channel = cube_film(shown, "channel", 0, 3, "whole").scene.legend
    assert channel.low == -channel.high


def test_status_in_words() -> None:
    now = snapshot()
    facts = status_facts(now)
    assert facts["step"] == "40 of 4,000" or facts["step"].startswith("40 of ")
    assert facts["left"] == "16 min 30 s"
    assert facts["speed"] == "4 steps/s"
    assert facts["memory"] == "812 MB"
    assert gain(now) == pytest.approx(0.1)
    assert gain(Snapshot()) is None
    preparing = Snapshot(phase=Phase.PREPARING, preparation=Preparation("embedding <b>", 500, 2000))
    assert progress_share(preparing) == 0.25
    assert "embedding &lt;b&gt;: 500 of 2,000" in status_markup(preparing)
    assert 'data-state="pausing"' in status_markup(Snapshot(phase=Phase.RUNNING, ordered="pausing"))


def test_steps_slower_than_the_target_are_marked() -> None:
    now = snapshot()  # its steps take 1 / step seconds; the median of the newest 40 lies near 1 / 20.5
    settings = with_changes(preset("quickstart"), {"lattice.target_performance_ms": 40.0})
    slow, quick = replace(now, settings=settings), now
    assert status_facts(quick)["step time"] == "49 ms, target 100 ms"
    assert status_facts(slow)["step time"] == "49 ms, slower than the target of 40 ms"
    assert "lab-slow" in status_markup(slow)
    assert "lab-slow" not in status_markup(quick)
    assert "step time" not in status_facts(Snapshot(run_id="r", settings=settings))


def test_tiers_of_the_seed_preset_say_that_local_is_empty() -> None:
    report = tier_report(preset("seed"))
    assert set(report.empty_tiers) == {"local"}
    assert "0.00 to 0.16" in tier_markup(report)


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (75, "1 min 15 s"), (7260, "2 h 1 min")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
