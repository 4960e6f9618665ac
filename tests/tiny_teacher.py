"""A random teacher that is small enough for tests."""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import BertTokenizerFast, DistilBertConfig, DistilBertModel


def save_tiny_teacher(
    folder: Path, words: Sequence[str], *, seed: int = 0, layers: int = 1, heads: int = 2, hidden: int = 32
) -> Path:
    """Save a random DistilBERT of width 32 that knows these words; return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), "utf-8")
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=64).save_pretrained(folder)
    torch.manual_seed(seed)
    config = DistilBertConfig(
        vocab_size=len(vocabulary),
        dim=32,
        n_layers=layers,
        n_heads=heads,
        hidden_dim=hidden,
        max_position_embeddings=64,
    )
    DistilBertModel(config).save_pretrained(folder)
    return folder
