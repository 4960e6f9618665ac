from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from tiny_teacher import save_tiny_teacher

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
    return save_tiny_teacher(folder, WORDS, seed=seed, layers=2, heads=4, hidden=64)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def dense_folder(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Saved by sentence-transformers: a prompt, two poolings side by side, a dense layer, unit length."""
    torch.manual_seed(1)
    transformer = Transformer(str(tiny_folder))
    pooling = Pooling(32, ("cls", "mean"))
    dense = Dense(64, 12, activation_function=torch.nn.GELU())
    model = SentenceTransformer(
        modules=[transformer, pooling, dense, Normalize()],
        device="cpu",
        prompts={"document": "the far cell "},
        default_prompt_name="document",
    )
    model.max_seq_length = 20
    folder = tmp_path_factory.mktemp("models") / "dense"
    model.save(str(folder), create_model_card=False)
    return folder


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
