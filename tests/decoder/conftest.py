import numpy as np
import pytest
from decoder_sentences import SENTENCES, WIDTH, WORDS
from transformers import BertTokenizerFast

from cellnet.decoder import DecoderData, Vocabulary
from cellnet.settings import Settings, with_changes


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> BertTokenizerFast:
    path = tmp_path_factory.mktemp("tokenizer") / "vocab.txt"
    path.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]), "utf-8")
    return BertTokenizerFast(str(path), model_max_length=64)


@pytest.fixture
def settings() -> Settings:
    return with_changes(
        Settings(),
        {
            "embedding.teacher_width": WIDTH,
            "decoder.width": 32,
            "decoder.layers": 2,
            "decoder.heads": 2,
            "decoder.max_tokens": 12,
            "decoder.batch_size": 6,
            "decoder.max_steps": 120,
            "decoder.learning_rate": 1e-2,
        },
    )


@pytest.fixture
def vocabulary(tokenizer: BertTokenizerFast) -> Vocabulary:
    return Vocabulary.of(SENTENCES, tokenizer, 0)


@pytest.fixture
def embeddings() -> np.ndarray:
    """One for each sentence, away from the origin and of no particular length."""
    return 3.0 + np.random.default_rng(5).normal(size=(len(SENTENCES), WIDTH)).astype(np.float32)


@pytest.fixture
def data(
    embeddings: np.ndarray, vocabulary: Vocabulary, tokenizer: BertTokenizerFast, settings: Settings
) -> DecoderData:
    return DecoderData.of(embeddings, SENTENCES, vocabulary, tokenizer, settings.decoder.max_tokens)
