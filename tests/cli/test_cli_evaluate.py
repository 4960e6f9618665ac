from pathlib import Path

import pytest
from cli_runner import WORDS, Cli, write_sentences

from cellnet.runs import RunStore

SCORES = {
    "explained_variance",
    "mse",
    "mean_cosine",
    "knn_overlap_10",
    "recall_1",
    "recall_5",
    "recall_10",
}
QUICK = ("--resamples", 40)


def test_evaluate_on_the_validation_part_gives_what_training_measured(trained: Cli) -> None:
    values = trained.json("evaluate", "latest", "--runs", trained.runs, "--step", 6, *QUICK)
    with RunStore(trained.runs) as store:
        summary = store.get("latest").summary
    assert values["step"] == 6
    for who in ("student", "teacher", "pca", "mlp"):
        assert set(values[who]) == {*SCORES, "spearman", "spearman_code"}
        assert values[who]["spearman"] is None
        assert set(values["intervals"][who]) == SCORES
    assert values["student"]["explained_variance"] == pytest.approx(summary["explained_variance"], abs=1e-6)
    assert values["pca"]["explained_variance"] == pytest.approx(summary["pca_explained_variance"], abs=1e-6)
    assert values["teacher"]["explained_variance"] == pytest.approx(1.0)
    assert values["teacher"]["knn_overlap_10"] == 1.0
    gain = values["lattice_gain"]
    assert len(gain["explained_variance"]) == 3
    assert gain["explained_variance"][-1] == pytest.approx(summary["explained_variance"], abs=1e-6)
    for other in ("pca", "mlp"):
        difference = values["student"]["explained_variance"] - values[other]["explained_variance"]
        assert gain[f"over_{other}"][-1] == pytest.approx(difference, abs=1e-9)
        found = values["differences"][f"student_minus_{other}"]["explained_variance"]
        assert found["low"] <= found["value"] <= found["high"]
    assert values["mlp_training"]["steps"] == 6
    assert values["mlp_training"]["schedule_steps"] == 6
    assert values["parameters"]["mlp"] == pytest.approx(values["parameters"]["student"], rel=0.01)
    assert sum(values["gate_mass"].values()) == pytest.approx(1.0, abs=1e-5)
    assert set(values["expert_ablation"]) == {"local", "functional", "distant"}
    assert (values["bank"], values["pairs"], values["pairs_file"]) == (None, None, None)


def test_evaluate_on_a_file_with_pairs_and_a_bank(trained: Cli, tmp_path: Path) -> None:
    bank, pairs = tmp_path / "bank.txt", tmp_path / "pairs.csv"
    lines = trained.data.read_text("utf-8").splitlines()
    bank.write_text("\n".join([*lines[:2], *(f"{word} {word}" for word in WORDS)]), "utf-8")
    rows = [f"{a},{b},{number}" for number, (a, b) in enumerate(zip(lines[:20], lines[5:25], strict=True))]
    pairs.write_text("\n".join(["sentence1,sentence2,score", *rows, "one,two,three"]) + "\n", "utf-8")
    values = trained.json(
        "evaluate",
        "latest",
        *("--runs", trained.runs, "--data", trained.data, "--pairs", pairs, "--bank", bank),
        *("--mlp-steps", 3, *QUICK, "--lattice-sentences", 9),
    )
    assert values["sentences"] == 80
    assert 40 < values["in_training"] < 80
    assert values["bank"] == {"file": str(bank), "added": 60, "evaluated_too": 2}
    assert values["bank_sentences"] == 140
    assert values["pairs"] == 20
    assert values["bad_pairs"] == [{"line": 22, "reason": "score is no number"}]
    for who in ("student", "teacher", "pca", "mlp"):
        assert -1 <= values[who]["spearman"] <= 1
        low, high = values["intervals"][who]["spearman"]
        assert low < high
    assert values["mlp_training"]["steps"] == 3
    assert values["experts"]["sentences"] == 9


def test_what_was_not_asked_for_is_named(trained: Cli) -> None:
    arguments = ("evaluate", "latest", "--runs", trained.runs, "--no-mlp", *QUICK)
    values = trained.json(*arguments)
    assert values["mlp"] is None
    assert values["differences"]["student_minus_mlp"] is None
    code, out, err = trained(*arguments)
    assert code == 0, err
    assert "spearman: not measured; --pairs FILE.csv" in out
    assert "MLP student: left out (--no-mlp)" in out
    assert "--bank FILE adds others" in out
    assert "student - PCA" in out
    assert "student - MLP" not in out
    assert "over PCA" in out


def test_impossible_wishes_are_refused(trained: Cli, tmp_path: Path) -> None:
    write_sentences(tmp_path / "pairs.csv")
    for flags, message in (
        (("--mlp-steps", 0), "give at least 1, or --no-mlp"),
        (("--pairs", tmp_path / "pairs.csv"), "no column 'sentence1'"),
        (("--pairs", tmp_path / "none.csv"), "no data file"),
        (("--data", trained.data, "--bank", trained.data), "no sentence that is not evaluated"),
        (("--resamples", 3, "--no-mlp"), "at least 40"),
    ):
        code, _, err = trained("evaluate", "latest", "--runs", trained.runs, *flags)
        assert code == 2
        assert message in err


def test_an_exported_folder_is_evaluated_where_its_training_data_is(trained: Cli, tmp_path: Path) -> None:
    trained.json("export", "latest", tmp_path / "student", "--runs", trained.runs)
    moved = tmp_path / "elsewhere.txt"
    arguments = ("evaluate", tmp_path / "student", *QUICK)
    code, _, err = trained(*arguments, "--data.cache_dir", tmp_path / "cache")
    assert code == 0, err
    trained.data.rename(moved)
    try:
        code, _, err = trained(*arguments)
        assert code == 2
        assert "--training-data" in err
        code, _, err = trained(*arguments, "--training-data", moved)
        assert code == 0, err
    finally:
        moved.rename(trained.data)


def test_evaluate_can_refine_the_codes_of_all_students(trained: Cli) -> None:
    plain = trained.json("evaluate", "latest", "--runs", trained.runs, *QUICK)
    flag = ("--embedding.refinement_steps", 5)
    refined = trained.json("evaluate", "latest", "--runs", trained.runs, *QUICK, *flag)
    assert (plain["refinement_steps"], refined["refinement_steps"]) == (0, 5)
    for who in ("student", "mlp"):
        assert refined[who]["explained_variance"] > plain[who]["explained_variance"]
    for who in ("teacher", "pca"):
        assert refined[who] == plain[who]
    gain = refined["lattice_gain"]["explained_variance"]
    assert gain[-1] == pytest.approx(refined["student"]["explained_variance"], abs=1e-6)
