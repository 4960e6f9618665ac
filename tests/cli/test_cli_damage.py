"""Damage by the command line, against the same damage in Python."""

import re

import numpy as np
import pytest
import torch
from cli_runner import Cli
from echo_expert import echo_expert

from cellnet.cli.damage import parse_lesion
from cellnet.inspection import inspect
from cellnet.lattice.regions import random_cells
from cellnet.runs.loading import load_model
from cellnet.student.damage import Intervention
from cellnet.teacher import Teacher

DIMENSIONS = (4, 3, 5)


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("box:1,0-1,3-4", {(1, 0, 3), (1, 0, 4), (1, 1, 3), (1, 1, 4)}),
        ("layer:x=2", {(2, y, z) for y in range(3) for z in range(5)}),
        ("layer:z=0", {(x, y, 0) for x in range(4) for y in range(3)}),
    ],
)
def test_lesions_are_named_by_their_place(text: str, cells: set[tuple[int, int, int]]) -> None:
    assert set(parse_lesion(text, DIMENSIONS)) == {(x * 3 + y) * 5 + z for x, y, z in cells}


def test_a_random_lesion_follows_the_seed() -> None:
    assert parse_lesion("random:.1", DIMENSIONS, 5) == random_cells(DIMENSIONS, 0.1, 5)


@pytest.mark.parametrize("text", ["", "box:1,2", "layer:w=1", "random:x", "all", "layer:z=9", "random:2"])
def test_what_names_no_cells_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"names no cells|there are no cells|share of"):
        parse_lesion(text, DIMENSIONS)


def test_probe_with_damage_tells_what_it_did_and_what_healed(trained: Cli) -> None:
    text = trained.data.read_text("utf-8").splitlines()[0]
    flags = ["--runs", trained.runs, "--lesion", "box:0-1,0-4,0-4", "--silence", "distant", "--noise", 0.3]
    values = trained.json("probe", "latest", text, *flags, "--to-step", 0, "--damage-seed", 4)
    loaded = load_model("latest", trained.runs)
    taught = Teacher.load(loaded.settings.embedding, torch.device("cpu")).encode([text])
    what = Intervention(
        lesioned=tuple(range(50)), silenced={"distant"}, noise=0.3, seed=4, from_step=0, to_step=0
    )
    intact, damaged = inspect(loaded.model, taught), inspect(loaded.model, taught, what)
    found = values["probes"][0]["damage"]
    assert found["cells"] == 50
    np.testing.assert_allclose(found["cosine_per_step"], damaged.cosine[0], rtol=1e-5)
    np.testing.assert_allclose(found["intact_cosine_per_step"], intact.cosine[0], rtol=1e-5)
    a, b = intact.states[0].astype(np.float64), damaged.states[0].astype(np.float64)
    total = [np.linalg.norm(y - x) / np.linalg.norm(x) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(found["distance_per_step"]["total"], total, rtol=1e-5)
    assert found["healed"] == pytest.approx(1 - total[-1] / max(total))
    assert set(found["distance_per_step"]) == {"total", "lesion", "near", "far"}
    assert len(values["probes"][0]["nearest"]["damaged student"]) == len(
        values["probes"][0]["nearest"]["student"]
    )
    code, out, err = trained("probe", "latest", text, *flags)
    assert code == 0, err
    assert "50 cells lesioned" in out
    assert "nearest to the damaged student" in out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--lesion", "layer:z=7"], "there are no cells 7 to 7 along z"),
        (["--cut", "local", "--from-step", 2], "the run has the steps 0 to 1"),
        (["--noise", -1], "noise is -1"),
    ],
)
def test_impossible_damage_is_an_error(trained: Cli, flags: list[object], message: str) -> None:
    code, _, err = trained("probe", "latest", "word1", "--runs", trained.runs, *flags)
    assert code == 2
    assert message in err


def test_without_damage_nothing_is_added(trained: Cli) -> None:
    values = trained.json("probe", "latest", "word1 word2", "--runs", trained.runs)
    assert "damage" not in values["probes"][0]
    assert set(values["probes"][0]["nearest"]) == {"student", "teacher"}


def test_a_fourth_expert_has_its_flags_columns_and_weights(cli: Cli) -> None:
    with echo_expert():
        cli.train()
        text = cli.data.read_text("utf-8").splitlines()[0]
        code, out, err = cli("probe", "latest", text, "--runs", cli.runs, "--silence", "echo")
        assert code == 0, err
        assert re.search(r"gate local \d.*, functional .*, distant .*, echo \d", out)
        code, out, err = cli("evaluate", "latest", "--runs", cli.runs, "--resamples", 40)
        assert code == 0, err
        assert "CKA echo" in out
        assert re.search(r"^echo +\d", out, flags=re.MULTILINE)
        code, out, err = cli("prove", "latest", "--runs", cli.runs)
        assert code == 0, err
        code, out, _ = cli("info", *cli.tiny)
        assert "lattice.echo" in out
    code, _, err = cli("probe", "latest", text, "--runs", cli.runs, "--silence", "echo")
    assert code == 2
    assert "echo" in err
