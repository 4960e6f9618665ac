"""The README and docs/: their length, links and commands, and the example, which runs."""

import os
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from cellnet.cli.main import COMMANDS, Parser

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
MOST_BYTES = 8192


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M)


def commands() -> list[tuple[str, str]]:
    """Every line of a shell block that calls cellnet, with the page that it stands on."""
    lines = [
        (page.name, line)
        for page in PAGES
        for block in blocks(page, "sh")
        for line in block.splitlines()
        if line.startswith("cellnet ")
    ]
    assert len(lines) > 10
    return lines


def test_the_readme_is_short() -> None:
    assert README.stat().st_size <= MOST_BYTES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_and_picture_is_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    gone = [
        link
        for link in links
        if not link.startswith(("http://", "https://")) and not (page.parent / link).is_file()
    ]
    assert gone == []


@pytest.mark.parametrize(("page", "line"), commands())
def test_every_command_and_flag_exists(page: str, line: str) -> None:
    name, *words = shlex.split(line, comments=True)[1:]
    assert name in COMMANDS, page
    parser = Parser(prog=f"cellnet {name}", allow_abbrev=False)
    parser.add_argument("--json", action="store_true")
    import_module(f"cellnet.cli.{name.replace('-', '_')}").add_arguments(parser)
    parser.parse(words)


def test_the_commands_that_set_up_everything_are_those_that_work() -> None:
    lab, tests = (line for block in blocks(README, "sh") for line in block.splitlines() if "venv" in line)
    assert "streamlit run streamlit_app.py" in lab
    assert '-m pytest -n 2 -m "not slow"' in tests
    for line in (lab, tests):
        assert "-c constraints.txt" in line
    assert "grep --max-count=1 --fixed-strings 'pytest -n 2 -m \"not slow\"' README.md" in (
        ROOT / ".ci" / "run"
    ).read_text(encoding="utf-8")


def test_the_example_runs_offline(tmp_path: Path) -> None:
    [example] = blocks(README, "python")
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "PYTHONPATH": os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", ""))),
    }
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:cellnet", "-c", example],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "(2, 64)" in done.stdout
    assert (tmp_path / "out" / "model.safetensors").is_file()
