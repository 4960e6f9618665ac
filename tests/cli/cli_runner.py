"""Runs commands in the process of the tests, on a tiny cube, teacher and data."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from cellnet.cli.main import main

WORDS = [f"word{number}" for number in range(60)]


class Cli:
    """A command line with its own folder of runs, data and cache."""

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
            "--data.validation_fraction=0.3",
            f"--data.cache_dir={folder / 'cache'}",
        ]

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        """Return exit code, stdout and stderr."""
        assert self.capsys is not None
        self.capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = int(end.code or 0)
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


def write_sentences(path: Path, count: int = 80) -> None:
    """Write different sentences of known words."""
    generator = torch.Generator().manual_seed(1)
    rows = torch.randint(len(WORDS), (count, 6), generator=generator).tolist()
    path.write_text("".join(" ".join(WORDS[word] for word in row) + "\n" for row in rows), "utf-8")
