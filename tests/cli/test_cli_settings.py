import json
import subprocess
import sys
from pathlib import Path

import pytest
from cli_runner import Cli

import cellnet
from cellnet.cli.output import table, to_json
from cellnet.settings import PRESET_NAMES, flat_fields


def test_info_of_the_seed_preset_has_the_figures_of_the_geometry(cli: Cli) -> None:
    info = cli.json("info", "--preset", "seed")
    assert info["thresholds"] == pytest.approx({"local": 0.16, "functional": 1.04, "distant": 1.6})
    assert info["tiers"]["local"] == {"offsets": 0, "mean": 0.0, "min": 0, "max": 0, "edges": 0}
    # An 8^3 cube has 3 * 7 * 8 * 8 pairs of face neighbors, each counted from both sides.
    assert info["tiers"]["functional"]["edges"] == 2 * 3 * 7 * 64
    assert info["tiers"]["functional"]["min"] == 3
    assert info["tiers"]["distant"]["offsets"] == 12
    assert list(info["empty_tiers"]) == ["local"]
    assert "0.625" in info["empty_tiers"]["local"]
    assert info["reach"]["total"] == pytest.approx(5 * 2**0.5)
    assert info["parameters"]["total"] == sum(info["parameters"]["by_module"].values())
    assert info["surface"] == {"size": 8, "code_width": 64, "placement": "faces"}
    assert info["teacher"] == {"name": "distilbert-base-uncased", "width": 768}
    assert info["device"].startswith("cpu")


@pytest.mark.parametrize("name", PRESET_NAMES)
def test_info_reads_well_for_every_preset(cli: Cli, name: str) -> None:
    code, out, err = cli("info", "--preset", name)
    assert (code, err) == (0, "")
    assert "reach" in out
    assert ("local tier is empty" in out) == (name in ("seed", "large"))


def test_preset_then_file_then_flags(cli: Cli) -> None:
    file = cli.folder / "mine.toml"
    file.write_text("[lattice]\ndimensions = [6, 6, 6]\n[model]\nsteps = 3\n", "utf-8")
    info = cli.json("info", "--preset", "seed", "--config", file, "--model.steps", 7)
    assert info["teacher"]["width"] == 768
    assert info["dimensions"] == [6, 6, 6]
    assert info["steps"] == 7


def test_every_setting_is_a_flag_with_its_help(cli: Cli) -> None:
    code, out, _ = cli("info", "--help")
    assert code == 0
    for name, _field in flat_fields():
        assert f"--{name}" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["info", "--lattice.dimension=5,5,5"], "did you mean --lattice.dimensions?"),
        (["info", "--lattice.dimensions=5,x,5"], "--lattice.dimensions"),
        (["info", "--lattice.dimensions=2,5,5"], "lattice.dimensions"),
        (["info", "--model.steps=many"], "--model.steps"),
        (["info", "--model.steps=0"], "model.steps"),
        (["info", "--embedding.normalize=yes"], "neither true nor false"),
        (["info", "--lattice.boundary=round"], "lattice.boundary"),
        (["info", "--preset=huge"], "quickstart"),
        (["info", "--config=nowhere.toml"], "nowhere.toml"),
        (["info", "--device=tpu"], "device.device"),
        (["info", "--device=cuda:99"], "cuda:99"),
        (["info", "extra"], "unknown argument extra"),
        (["trian"], "did you mean train?"),
    ],
)
def test_wrong_arguments_are_one_clear_message_and_code_2(
    cli: Cli, arguments: list[str], message: str
) -> None:
    code, out, err = cli(*arguments)
    assert code == 2
    assert out == ""
    assert message in err
    assert "Traceback" not in err
    assert err.count("\n") <= 3


def test_without_a_command_the_commands_are_listed(cli: Cli) -> None:
    code, out, _ = cli()
    assert code == 0
    for command in ("info", "train", "evaluate", "probe", "export", "runs", "prove", "bench"):
        assert f"  {command} " in out


def test_python_m_cellnet(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cellnet", "info", "--json"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["cells"] == 512


def test_importing_cellnet_alone_imports_no_torch() -> None:
    code = "import sys, cellnet; cellnet.Settings; cellnet.preset; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_every_public_name_can_be_imported() -> None:
    for name in cellnet.__all__:
        assert getattr(cellnet, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = cellnet.nothing


def test_json_has_null_for_what_it_cannot_say() -> None:
    text = to_json({"a": float("nan"), "b": (1, float("inf")), "c": {1: "x"}})
    assert json.loads(text) == {"a": None, "b": [1, None], "c": {"1": "x"}}


def test_a_table_aligns_words_left_and_numbers_right() -> None:
    assert table([("a", 1.5), ("long", 20), ("b", None)], ("what", "n")) == (
        "what    n\na     1.5\nlong   20\nb       -"
    )
