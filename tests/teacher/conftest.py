from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import BertTokenizerFast, DistilBertConfig, DistilBertModel

from cellnet.settings import EmbeddingSettings
from cellnet.teacher import Teacher

WORDS = [
    "the",
    "a",
    "cell",
    "cube",
    "looks",
    "at",
    "many",
    "near",
    "and",
    "far",
    "neighbors",
    "in",
    "each",
    "step",
]


def make_tiny_model(folder: Path, seed: int = 0) -> Path:
    """Save a random DistilBERT of width 32 with a small vocabulary."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), "utf-8")
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=64).save_pretrained(folder)
    torch.manual_seed(seed)
    config = DistilBertConfig(
        vocab_size=len(vocabulary), dim=32, n_layers=2, n_heads=4, hidden_dim=64, max_position_embeddings=64
    )
    DistilBertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def tiny_settings(tiny_folder: Path) -> EmbeddingSettings:
    return EmbeddingSettings(
        teacher=str(tiny_folder), teacher_width=32, max_tokens=16, teacher_batch_size=4
    )


@pytest.fixture
def load() -> Callable[[EmbeddingSettings], Teacher]:
    return lambda settings: Teacher.load(settings, torch.device("cpu"))


@pytest.fixture
def sentences() -> list[str]:
    return [" ".join(WORDS[index % 7 : index % 7 + 1 + index % 9]) + f" {index}" for index in range(23)]
