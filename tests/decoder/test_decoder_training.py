import math

import numpy as np
import pytest
import torch
from decoder_sentences import SENTENCES, WIDTH
from transformers import BertTokenizerFast

from cellnet.decoder import DecoderData, GenerativeDecoder, TextDecoder, Vocabulary, train_decoder
from cellnet.decoder.training import token_loss
from cellnet.decoder.vocabulary import END, UNKNOWN
from cellnet.errors import DataError
from cellnet.settings import Settings, with_changes

CPU = torch.device("cpu")


def train(
    data: DecoderData, vocabulary: Vocabulary, settings: Settings, **changes: object
) -> GenerativeDecoder:
    changed = with_changes(settings, {f"decoder.{name}": value for name, value in changes.items()})
    return train_decoder(data, vocabulary, changed, device=CPU)


def test_it_learns_a_handful_of_sentences_by_heart(
    data: DecoderData, vocabulary: Vocabulary, settings: Settings, embeddings: np.ndarray
) -> None:
    decoder = train(data, vocabulary, settings)
    assert [written.text for written in decoder.write(embeddings, beams=1)] == SENTENCES
    assert [written.text for written in decoder.write(embeddings, beams=4)] == SENTENCES
    assert decoder.facts["training"]["kept_step"] == 120
    generative = settings.decoder.replace(mode="generative")
    bank = TextDecoder(SENTENCES[::-1], embeddings[::-1].copy(), generative, CPU, decoder)
    assert bank.texts(embeddings[2:4]) == SENTENCES[2:4]
    found = TextDecoder(SENTENCES, embeddings, settings.decoder, CPU, decoder)
    assert found.texts(embeddings[2:4] * 2.0) == SENTENCES[2:4]


def test_the_same_seed_gives_the_same_weights(
    data: DecoderData, vocabulary: Vocabulary, settings: Settings
) -> None:
    one, same = (train(data, vocabulary, settings, max_steps=4) for _ in range(2))
    other = train(data, vocabulary, with_changes(settings, {"init.seed": 1}), max_steps=4)
    weights = one.network.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in same.network.state_dict().items())
    assert not all(torch.equal(weights[name], value) for name, value in other.network.state_dict().items())


def test_the_best_weights_on_the_sentences_kept_aside_are_returned(
    data: DecoderData, vocabulary: Vocabulary, settings: Settings
) -> None:
    rows = np.arange(len(data))
    aside, rest = data.part(rows[:2]), data.part(rows[2:])
    seen: list[tuple[int, float]] = []
    decoder = train_decoder(
        rest,
        vocabulary,
        settings,
        device=CPU,
        aside=aside,
        checked=lambda step, loss: seen.append((step, loss)),
    )
    step, lowest = min(seen, key=lambda one: one[1])
    assert len(seen) == 20
    assert decoder.facts["training"]["kept_step"] == step < 120
    assert token_loss(decoder.network, aside, CPU) == pytest.approx(lowest, abs=1e-5)
    assert lowest < seen[-1][1]


def test_what_was_learned_until_a_stop_is_kept(
    data: DecoderData, vocabulary: Vocabulary, settings: Settings
) -> None:
    seen: list[int] = []
    rows = np.arange(len(data))
    decoder = train_decoder(
        data.part(rows[2:]),
        vocabulary,
        settings,
        device=CPU,
        aside=data.part(rows[:2]),
        progress=lambda done, total: seen.append(done),
        should_stop=lambda: len(seen) == 8,
    )
    training = decoder.facts["training"]
    assert seen[-1] == training["steps"] == 9
    assert [check["step"] for check in training["losses"]] == [6, 9]


def test_loss_of_tokens_leaves_out_unknown_ones_and_the_end_of_what_was_cut(
    embeddings: np.ndarray, tokenizer: BertTokenizerFast, settings: Settings
) -> None:
    vocabulary = Vocabulary.of(["a cell step"], tokenizer, 0)
    texts = ["a cell unheard step", "a cell step a cell step"]
    data = DecoderData.of(embeddings[:2], texts, vocabulary, tokenizer, 4)
    assert [len(row) for row in data.tokens] == [4, 4]
    assert data.tokens[0][2] == UNKNOWN
    assert data.ends.tolist() == [True, False]
    assert data.unknown_share == pytest.approx(1 / 8)
    network = train(data, vocabulary, settings, max_steps=2, max_tokens=4).network
    read = torch.tensor(np.array(data.tokens), dtype=torch.int64)
    logs = network(torch.from_numpy(embeddings[:2]), read).log_softmax(dim=2).detach()
    told = [(0, 0), (0, 1), (0, 3), (1, 0), (1, 1), (1, 2), (1, 3)]
    picked = [float(logs[row, place, data.tokens[row][place]]) for row, place in told]
    picked.append(float(logs[0, 4, END]))
    assert token_loss(network, data, CPU, batch_size=1) == pytest.approx(-sum(picked) / 8, rel=1e-5)


def test_a_fresh_decoder_knows_nothing(
    data: DecoderData, vocabulary: Vocabulary, settings: Settings
) -> None:
    network = train(data, vocabulary, settings, max_steps=1, learning_rate=1e-9).network
    assert token_loss(network, data, CPU) == pytest.approx(math.log(len(vocabulary) - 1), rel=0.05)


def test_what_cannot_be_trained_on_or_written_from_is_an_error(
    data: DecoderData,
    vocabulary: Vocabulary,
    settings: Settings,
    tokenizer: BertTokenizerFast,
    embeddings: np.ndarray,
) -> None:
    with pytest.raises(DataError, match="no sentences"):
        train(data.part(np.arange(0)), vocabulary, settings)
    with pytest.raises(DataError, match="5 embeddings cannot go with 6 texts"):
        DecoderData.of(embeddings[:5], SENTENCES, vocabulary, tokenizer, 12)
    decoder = train(data, vocabulary, settings, max_steps=1)
    with pytest.raises(DataError, match=f"width {WIDTH}"):
        decoder.write(embeddings[:, :-1])
    with pytest.raises(DataError, match="not finite"):
        decoder.write(np.full((1, WIDTH), np.nan, dtype=np.float32))
    with pytest.raises(DataError, match=f"reads embeddings of width {WIDTH}"):
        TextDecoder(SENTENCES, embeddings[:, :-1], settings.decoder, CPU, decoder)
    generative = settings.decoder.replace(mode="generative")
    with pytest.raises(DataError, match="cellnet train-decoder"):
        TextDecoder(SENTENCES, embeddings, generative, CPU).texts(embeddings)
