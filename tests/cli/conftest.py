from pathlib import Path

import pytest
from cli_runner import WORDS, Cli, write_sentences
from tiny_teacher import save_tiny_teacher

from cellnet.cli.main import main


@pytest.fixture(scope="session")
def tiny_teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_teacher(tmp_path_factory.mktemp("teacher"), WORDS)


@pytest.fixture
def cli(tmp_path: Path, tiny_teacher: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    write_sentences(tmp_path / "sentences.txt")
    return Cli(tmp_path, tiny_teacher, capsys)


@pytest.fixture(scope="session")
def trained_folder(tmp_path_factory: pytest.TempPathFactory, tiny_teacher: Path) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    write_sentences(folder / "sentences.txt")
    cli = Cli(folder, tiny_teacher, None)
    flags = [*cli.tiny, "--data", str(cli.data), "--runs", str(cli.runs), "--max-steps", "6"]
    assert main(["train", *flags, "--name", "shared"]) == 0
    return folder


@pytest.fixture
def trained(trained_folder: Path, tiny_teacher: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    """A command line beside one trained run, which no test may change."""
    return Cli(trained_folder, tiny_teacher, capsys)
