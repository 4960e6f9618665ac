import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertTokenizerFast, DistilBertConfig, DistilBertModel

from cellnet.cli.main import main

WORDS = "the a cell cube looks at many near and far neighbors in each step".split()


class Cli:
    """Runs commands in this process, on a tiny cube, teacher and data."""

    def __init__(self, folder: Path, teacher: Path, capsys: pytest.CaptureFixture[str] | None) -> None:
        self.folder = folder
        self.capsys = capsys
        self.data = folder / "sentences.txt"
        self.runs = folder / "runs"
        self.tiny = [
            "--lattice.dimensions=5,5,5",
            "--lattice.adaptive_radius_ratio=0.35",
            "--model.state_size=8",
            "--model.steps=2",
            "--training.batch_size=8",
            "--training.validate_every=2",
            "--training.checkpoint_every=2",
            f"--embedding.teacher={teacher}",
            "--embedding.teacher_width=32",
            "--embedding.max_tokens=16",
            f"--data.cache_dir={folder / 'cache'}",
        ]

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        """Return exit code, stdout and stderr."""
        assert self.capsys is not None
        self.capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:
            assert isinstance(end.code, int)
            code = end.code
        captured = self.capsys.readouterr()
        return code, captured.out, captured.err

    def json(self, *arguments: object) -> dict[str, Any]:
        """Return the JSON of a command that must succeed and print exactly one line."""
        code, out, err = self(*arguments, "--json")
        assert code == 0, err
        assert out.count("\n") == 1
        assert out.endswith("\n")
        values: dict[str, Any] = json.loads(out)
        return values

    def train(self, *arguments: object) -> dict[str, Any]:
        return self.json(
            "train", *self.tiny, "--data", self.data, "--runs", self.runs, "--max-steps", 4, *arguments
        )


@pytest.fixture(scope="session")
def tiny_teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), "utf-8")
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=64).save_pretrained(folder)
    torch.manual_seed(0)
    config = DistilBertConfig(
        vocab_size=len(vocabulary), dim=32, n_layers=1, n_heads=2, hidden_dim=32, max_position_embeddings=64
    )
    DistilBertModel(config).save_pretrained(folder)
    return folder


def write_sentences(path: Path, count: int = 60) -> None:
    """Write different sentences of known words."""
    generator = torch.Generator().manual_seed(1)
    rows = torch.randint(len(WORDS), (count, 6), generator=generator).tolist()
    path.write_text("".join(" ".join(WORDS[word] for word in row) + "\n" for row in rows), "utf-8")


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
