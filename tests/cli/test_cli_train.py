import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runner import Cli

from cellnet.losses import LOSS_NAMES
from cellnet.runs import RunStore
from cellnet.student.student import CellNet
from cellnet.training.engine import StepEngine, StepResult


def test_training_ends_with_the_figures_of_the_run(cli: Cli) -> None:
    summary = cli.train()
    assert summary["step"] == 4
    assert summary["state"] == "finished"
    for phase in ("train", "validation"):
        assert set(summary["losses"][phase]) == {*LOSS_NAMES, "total"}
        assert all(np.isfinite(list(summary["losses"][phase].values())))
    assert summary["explained_variance"] == pytest.approx(summary["pca_explained_variance"], abs=0.5)
    assert summary["seconds_per_step"] > 0
    with RunStore(cli.runs) as store:
        run = store.get(summary["run"])
        assert run.state == "finished"
        assert run.pid is None
        assert run.summary == summary
        assert [checkpoint.step for checkpoint in store.checkpoints(run.id)] == [2, 4]


def test_slow_steps_and_the_engine_are_among_the_figures(cli: Cli) -> None:
    target = ["--lattice.target_performance_ms", "0.001"]
    code, out, _ = cli(
        "train", *cli.tiny, "--data", cli.data, "--runs", cli.runs, "--max-steps", 4, *target
    )
    assert code == 0
    assert "steps slower than 0.001 ms  100.0%" in out
    assert "engine" in out
    with RunStore(cli.runs) as store:
        summary = store.get("latest").summary
    assert (summary["share_of_slow_steps"], summary["target_ms_per_step"]) == (1.0, 0.001)
    assert summary["engine"] == cli.json("info", *cli.tiny)["engine"] == "eager"
    _, shown, _ = cli("runs", "show", "latest", "--runs", cli.runs)
    for name in ("engine", "share_of_slow_steps", "target_ms_per_step"):
        assert name in shown
    patient = cli.train("--lattice.target_performance_ms", "1000000")
    assert patient["share_of_slow_steps"] == 0.0


def test_an_engine_that_cannot_run_is_refused_before_anything_else(cli: Cli) -> None:
    forced = ["--training.engine", "cuda-graphs"]
    code, _, err = cli("train", *cli.tiny, "--data", cli.data, "--runs", cli.runs, *forced)
    assert code == 2
    assert "training.engine = 'cuda-graphs' cannot run: it needs a CUDA device" in err
    assert cli("info", *cli.tiny, *forced)[0] == 2


def test_validations_are_told_on_stderr(cli: Cli) -> None:
    code, out, err = cli(
        "train", *cli.tiny, "--data", cli.data, "--runs", cli.runs, "--max-steps", 4, "--name", "mine"
    )
    assert code == 0
    assert "step 2: validation loss" in err
    assert "80 rows" in err
    assert "explained variance" in out


def test_a_resumed_run_equals_one_that_was_never_stopped(cli: Cli) -> None:
    whole = cli.train()
    with RunStore(cli.runs) as store:
        store.remove_checkpoint(whole["run"], 4)
    resumed = cli.json("train", "--runs", cli.runs, "--resume", whole["run"][:-1])
    assert resumed["run"] == whole["run"]
    assert resumed["step"] == 4
    assert resumed["losses"] == whole["losses"]
    assert resumed["explained_variance"] == whole["explained_variance"]
    longer = cli.json("train", "--runs", cli.runs, "--resume", "latest", "--max-steps", 6)
    assert (longer["run"], longer["step"]) == (whole["run"], 6)


def test_a_finished_run_is_resumed_only_for_more_steps(cli: Cli) -> None:
    run = cli.train()["run"]
    code, out, err = cli("train", "--runs", cli.runs, "--resume", "latest", "--json")
    assert (code, out) == (2, "")
    assert "--max-steps" in err
    with RunStore(cli.runs) as store:
        assert store.get(run).summary["explained_variance"] is not None


@pytest.mark.parametrize("extra", [["--preset", "seed"], ["--config", "some.toml"]])
def test_resume_refuses_other_starting_points(cli: Cli, extra: list[str]) -> None:
    code, _, err = cli("train", "--runs", cli.runs, "--resume", "latest", *extra)
    assert code == 2
    assert "--resume" in err


def test_missing_data_and_teacher_are_told(cli: Cli) -> None:
    code, out, err = cli("train", *cli.tiny, "--data", "nowhere.txt", "--runs", cli.runs, "--json")
    assert (code, out) == (2, "")
    assert "nowhere.txt" in err
    code, _, err = cli(
        "train", *cli.tiny, "--data", cli.data, "--runs", cli.runs, "--embedding.teacher=/no/such"
    )
    assert code == 2
    assert "minilm" in err
    with RunStore(cli.runs) as store:
        assert store.list() == []


def test_a_loss_that_is_not_finite_stops_with_a_checkpoint_and_code_1(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_step = StepEngine.step
    calls = []

    def step(self: StepEngine, *arguments: Any) -> StepResult:
        calls.append(arguments)
        if len(calls) == 3:
            return StepResult(dict.fromkeys(LOSS_NAMES, float("nan")), float("nan"), 1.0)
        return make_step(self, *arguments)

    monkeypatch.setattr(StepEngine, "step", step)
    code, out, err = cli(
        "train", *cli.tiny, "--data", cli.data, "--runs", cli.runs, "--max-steps", 6, "--json"
    )
    assert code == 1
    assert json.loads(out)["step"] == 2
    assert "not finite" in err
    with RunStore(cli.runs) as store:
        run = store.get("latest")
        assert run.state == "failed"
        assert "not finite" in run.error
        assert [checkpoint.step for checkpoint in store.checkpoints(run.id)] == [2]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_stops_with_a_checkpoint_and_code_130(
    cli: Cli, name: str, request: pytest.FixtureRequest
) -> None:
    number = getattr(signal, name)
    # The tests may themselves be run by something that ignores it, such as nohup.
    before = signal.signal(number, signal.SIG_DFL)
    request.addfinalizer(lambda: signal.signal(number, before))
    command = [sys.executable, "-m", "cellnet", "train", *cli.tiny, "--data", str(cli.data)]
    flags = [
        "--runs",
        str(cli.runs),
        "--max-steps",
        "100000",
        "--training.checkpoint_every=100000",
        "--json",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [*command, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stderr is not None
        while not process.stderr.readline().startswith("step 2:"):
            assert process.poll() is None
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    summary = json.loads(out)
    assert summary["state"] == "stopped"
    assert 2 <= summary["step"] < 100000
    with RunStore(cli.runs) as store:
        run = store.get(summary["run"])
        assert run.state == "stopped"
        assert [checkpoint.step for checkpoint in store.checkpoints(run.id)] == [summary["step"]]


def test_a_killed_training_is_found_interrupted_and_can_be_resumed(cli: Cli) -> None:
    command = [sys.executable, "-m", "cellnet", "train", *cli.tiny, "--data", str(cli.data)]
    with subprocess.Popen(
        [*command, "--runs", str(cli.runs), "--max-steps", "100000"], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        while not process.stderr.readline().startswith("step 4:"):
            assert process.poll() is None
        process.kill()
        process.communicate(timeout=60)
    time.sleep(0.05)
    [run] = cli.json("runs", "--runs", cli.runs)["runs"]
    assert run["state"] == "interrupted"
    resumed = cli.json("train", "--runs", cli.runs, "--resume", "latest", "--max-steps", run["step"] + 8)
    assert resumed["run"] == run["id"]
    assert resumed["step"] == run["step"] + 8


def test_export_gives_the_weights_of_the_checkpoint(trained: Cli, tmp_path: Path) -> None:
    out = tmp_path / "student"
    values = trained.json("export", "latest", out, "--runs", trained.runs, "--step", 6)
    assert values["step"] == 6
    model = CellNet.from_pretrained(out)
    assert sum(p.numel() for p in model.parameters()) > 0
    code, _, err = trained("export", "latest", out, "--runs", trained.runs)
    assert code == 2
    assert "exists already" in err
