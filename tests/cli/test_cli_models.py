from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cli_runner import Cli

from cellnet.checkpoints import load_checkpoint, unpack
from cellnet.errors import CheckpointError, RunError
from cellnet.inspection import inspect
from cellnet.runs import RunStore
from cellnet.runs.loading import _changes, load_model
from cellnet.teacher import Teacher


def test_probe_tells_what_happens_to_a_sentence(trained: Cli) -> None:
    text = trained.data.read_text("utf-8").splitlines()[0]
    values = trained.json(
        "probe", "latest", text, "word1 word2", "--runs", trained.runs, "--decoder.top_k", 3
    )
    known, new = values["probes"]
    assert known["text"] == text
    assert known["nearest"]["teacher"][0]["text"] == text
    assert known["nearest"]["teacher"][0]["cosine"] == pytest.approx(1.0)
    for probe in (known, new):
        assert len(probe["cosine_per_step"]) == 3
        assert probe["cosine_per_step"][-1] == pytest.approx(probe["cosine"], abs=1e-5)
        assert len(probe["relative_change_per_step"]) == 2
        assert sum(probe["gate_mass"].values()) == pytest.approx(1.0, abs=1e-5)
        assert np.array(probe["surface"]["in"]["values"]).shape == (5, 5)
        assert len(probe["nearest"]["student"]) == 3
    code, out, _ = trained("probe", "latest", text, "--runs", trained.runs)
    assert code == 0
    assert "nearest to the student" in out


def test_prove_a_run_and_a_fresh_model(trained: Cli) -> None:
    code, out, err = trained("prove", "latest", "--runs", trained.runs)
    assert code == 0, err + out
    assert "all proofs hold" in out
    values = trained.json("prove", *trained.tiny)
    assert values["passed"]
    assert {proof["name"]: proof["passed"] for proof in values["proofs"]}["ablation"] is None


def test_prove_exits_with_1_when_a_proof_fails(trained: Cli, tmp_path: Path) -> None:
    model = load_model("latest", trained.runs).model
    with torch.no_grad():
        model.lattice.local.update[2].weight.zero_()
        model.lattice.local.update[2].bias.zero_()
    model.save_pretrained(tmp_path / "lame")
    code, out, _ = trained("prove", tmp_path / "lame")
    assert code == 1
    assert "NOT PROVEN" in out
    code, _, err = trained("prove", tmp_path / "lame", "--model.steps", 3)
    assert code == 2
    assert "own settings" in err


def test_bench_measures(trained: Cli) -> None:
    values = trained.json("bench", *trained.tiny, "--repeat", 2, "--warmup", 1)
    assert values["batch"] == 8
    assert values["dimensions"] == [5, 5, 5]
    assert 0 < values["fastest_ms"] <= values["median_ms"] <= values["slowest_ms"]
    assert values["error"]["output"] < 1e-4
    assert trained("bench", "--repeat", 0)[0] == 2


def test_an_archive_holds_the_whole_checkpoint(trained: Cli, tmp_path: Path) -> None:
    trained.json("export", "latest", tmp_path / "run.zip", "--archive", "--runs", trained.runs, "--step", 4)
    folder = unpack(tmp_path / "run.zip", tmp_path, "again")
    with RunStore(trained.runs) as store:
        [original] = [item.path for item in store.checkpoints(store.get("latest").id) if item.step == 4]
    for group, tensors in load_checkpoint(original).tensors.items():
        for name, tensor in tensors.items():
            assert torch.equal(load_checkpoint(folder).tensors[group][name], tensor)


def test_a_model_is_found_by_run_checkpoint_and_folder(trained: Cli, tmp_path: Path) -> None:
    with RunStore(trained.runs) as store:
        run = store.get("latest")
        best = [item for item in store.checkpoints(run.id) if item.best][-1]
    by_prefix = load_model(run.id[:-2], trained.runs)
    assert (by_prefix.run, by_prefix.step) == (run.id, best.step)
    by_run_folder = load_model(str(trained.runs / run.id), tmp_path)
    by_checkpoint = load_model(str(best.path), tmp_path)
    by_prefix.model.save_pretrained(tmp_path / "student")
    by_folder = load_model(str(tmp_path / "student"), tmp_path)
    for other in (by_run_folder, by_checkpoint, by_folder):
        assert not other.model.training
        for name, value in by_prefix.model.state_dict().items():
            assert torch.equal(other.model.state_dict()[name], value)


def test_what_is_no_model_is_told(trained: Cli, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no checkpoint of step 99"):
        load_model("latest", trained.runs, step=99)
    with pytest.raises(RunError, match="no run 'nope'"):
        load_model("nope", trained.runs)
    with pytest.raises(RunError, match="no runs in"):
        load_model("latest", tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()
    with pytest.raises(CheckpointError, match="neither a checkpoint"):
        load_model(str(tmp_path), trained.runs)


def test_runs_are_listed_described_deleted_and_restored(cli: Cli) -> None:
    assert cli("runs", "--runs", cli.runs)[0] == 2
    run = cli.train("--name", "first")["run"]
    cli.json("runs", "note", run, "a", "good", "one", "--runs", cli.runs)
    cli.json("runs", "tag", "latest", "linear", "tiny", "--runs", cli.runs)
    shown = cli.json("runs", "show", run[:-1], "--runs", cli.runs)
    assert shown["note"] == "a good one"
    assert shown["tags"] == ["linear", "tiny"]
    assert shown["name"] == "first"
    assert [item["step"] for item in shown["checkpoints"]] == [2, 4]
    assert shown["settings"]["lattice"]["dimensions"] == [5, 5, 5]
    code, out, _ = cli("runs", "--runs", cli.runs)
    assert code == 0
    assert run in out
    assert "first" in out
    cli.json("runs", "delete", run, "--runs", cli.runs)
    assert cli.json("runs", "--runs", cli.runs)["runs"] == []
    assert [item["id"] for item in cli.json("runs", "--deleted", "--runs", cli.runs)["runs"]] == [run]
    cli.json("runs", "restore", run, "--runs", cli.runs)
    assert [item["id"] for item in cli.json("runs", "list", "--runs", cli.runs)["runs"]] == [run]
    code, _, err = cli("runs", "show", "--runs", cli.runs)
    assert code == 2
    assert "which run" in err


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([{"step": 3, "key": "training.learning_rate", "old": 1.0}], "cannot be read"),
        ([{"step": 3, "key": "a", "old": 1, "new": 2, "more": 3}], "cannot be read"),
        ([7], "cannot be read"),
        ([{"step": "3", "key": "a", "old": 1, "new": 2}], "name no steps"),
    ],
)
def test_live_changes_of_another_form_are_refused(changes: list[Any], said: str) -> None:
    with pytest.raises(CheckpointError, match=said):
        _changes({"changes": changes}, Path("somewhere"))


def test_probe_can_refine_the_code(trained: Cli) -> None:
    plain, refined = (
        trained.json(
            "probe",
            "latest",
            "A red dog runs.",
            "--runs",
            trained.runs,
            "--embedding.refinement_steps",
            steps,
        )["probes"][0]
        for steps in (0, 5)
    )
    assert refined["cosine_per_step"][-1] == pytest.approx(refined["cosine"], abs=1e-6)
    assert refined["surface"] != plain["surface"]


def test_probe_shows_the_cube_that_an_inspection_shows(trained: Cli) -> None:
    text, flag = "A red dog runs.", ("--embedding.refinement_steps", 3)
    probe = trained.json("probe", "latest", text, "--runs", trained.runs, *flag)["probes"][0]
    loaded = load_model("latest", trained.runs)
    taught = Teacher.load(loaded.settings.embedding, torch.device("cpu")).encode([text])
    inside = inspect(loaded.model.refining(3), taught)
    np.testing.assert_array_equal(probe["surface"]["in"]["values"], inside.surface_in[0])
    np.testing.assert_array_equal(probe["surface"]["out"]["values"], inside.surface_out[0, ..., 0])
    np.testing.assert_array_equal(probe["cosine_per_step"], inside.cosine[0])
    np.testing.assert_array_equal(probe["relative_change_per_step"], inside.relative_change[0])
    masses = inside.gate[0].mean(axis=(0, 1))
    np.testing.assert_array_equal([*probe["gate_mass"].values()], masses)
