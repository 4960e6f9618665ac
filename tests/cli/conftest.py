from pathlib import Path

import pytest
import torch
from cli_runner import WORDS, Cli, write_sentences
from transformers import BertTokenizerFast, DistilBertConfig, DistilBertModel

from cellnet.cli.main import main


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
