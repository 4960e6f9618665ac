"""The report of a run: one file that loads nothing, with what the run has."""

import re
from pathlib import Path

import numpy as np
import pytest
from training_data import WIDTH, made_up_data, small_settings

from cellnet.errors import RunError
from cellnet.runs import RunStore
from cellnet.training import TrainingSession
from lab.files.report import html_report, main
from lab.training import Probe

NAME = """<b>bold</b> "quoted' & {{ 1 + 1 }}"""


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder with one run of 10 steps, changed before the first."""
    root = tmp_path / "runs"
    settings = small_settings(max_steps=10)
    data = made_up_data(settings, progress=lambda *_: None, should_stop=lambda: False)
    with RunStore(root) as store:
        with TrainingSession.start(store, settings, data, name=NAME) as session:
            session.trainer.apply({"loss.diversity": 0.25})
            session.trainer.train()
        store.update(session.run_id, note="1 < 2", tags=["<i>kept"])
    return root


def test_a_report_holds_the_run_and_asks_for_nothing(runs: Path) -> None:
    embedding = np.random.default_rng(1).normal(size=(1, WIDTH)).astype(np.float32)
    with RunStore(runs) as store:
        report = html_report(store, "latest", Probe("A sentence.", embedding))
        explained = store.get("latest").summary["explained_variance"]
    assert "default-src 'none'" in report
    outside = re.sub(r"<script[^>]*>.*?</script>", "", report, flags=re.DOTALL)
    assert not re.search(r"https?://", outside)
    assert re.findall(r"(?:src|href)\s*=\s*[\"']?(.{10})", outside) == ["data:image"]
    assert not re.search(r"<script[^>]+src|<link|<iframe|@import|url\(", outside)
    assert report.count("plotly.js v") == 1
    assert "&lt;b&gt;bold" in outside
    assert "<b>bold" not in report
    assert "{{ 1 + 1 }}" in outside
    assert "1 &lt; 2" in outside
    assert "&lt;i&gt;kept" in outside
    assert not re.search(r"<i>|<b>", outside)
    assert f"{explained:.3f}" in outside
    assert re.search(r"loss\.diversity</td><td>0</td><td>0\.1</td><td>0\.25", outside)
    assert "<li>after step 0: Diversity 0.1 \u2192 0.25</li>" in outside
    assert "data:image/png;base64," in outside
    assert "A sentence." in outside
    for tier in ("local", "functional", "distant"):
        assert f"></i>{tier}</td>" in outside


def test_without_a_sentence_there_is_no_picture_and_without_a_run_no_report(runs: Path) -> None:
    with RunStore(runs) as store:
        assert "<h2>The cube" not in html_report(store, "latest")
        with pytest.raises(RunError, match="no run 'other'"):
            html_report(store, "other")


def test_a_run_that_never_logged_has_a_report(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        run = store.create(small_settings())
        assert "Nothing was logged" in html_report(store, run.id)


def test_the_command_line(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "report.html"
    assert main(["latest", "--runs", str(runs), "-o", str(target), "--no-cube"]) == 0
    assert target.read_text().startswith("<!DOCTYPE html>")
    assert main(["other", "--runs", str(runs)]) == 1
    assert "no run 'other'" in capsys.readouterr().err
    assert main(["latest", "--runs", str(tmp_path / "absent")]) == 1
