"""Searches are compared with enumeration of all sentences, computed without memory of earlier steps."""

from itertools import product

import pytest
import torch

from cellnet.decoder import search as searching
from cellnet.decoder.network import CausalTransformer
from cellnet.decoder.search import sample, search
from cellnet.decoder.vocabulary import END
from cellnet.settings import DecoderSettings
from cellnet.student.layers import seeded

PLACES, WIDTH, LONGEST = 6, 5, 4
WRITABLE = range(2, PLACES)


def make(seed: int, spread: float = 0.6) -> CausalTransformer:
    settings = DecoderSettings(width=8, layers=1, heads=2, max_tokens=LONGEST)
    with seeded(seed):
        network = CausalTransformer(settings, WIDTH, PLACES).eval()
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=spread)
    return network


def some(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def next_logs(network: CausalTransformer, embedding: torch.Tensor, tokens: tuple[int, ...]) -> torch.Tensor:
    """Log probabilities of what follows; an end may not come first and must come after the longest."""
    read = torch.tensor([tokens], dtype=torch.int64)
    logs = network(embedding.unsqueeze(0), read)[0, -1].log_softmax(dim=0)
    if not tokens:
        logs[END] = float("-inf")
    if len(tokens) == LONGEST:
        logs[END + 1 :] = float("-inf")
    return logs


def score(
    network: CausalTransformer, embedding: torch.Tensor, tokens: tuple[int, ...], penalty: float
) -> float:
    whole = (*tokens, END)
    logs = [
        float(next_logs(network, embedding, whole[:place])[whole[place]]) for place in range(len(whole))
    ]
    return sum(logs) / len(whole) ** penalty


@torch.no_grad()
def best_of_length(
    network: CausalTransformer, embedding: torch.Tensor, length: int, penalty: float
) -> float:
    """The best score of all sentences of a length, each looked at as a whole."""
    tokens = torch.tensor(list(product(WRITABLE, repeat=length)))
    logs = network(embedding.expand(len(tokens), -1), tokens).log_softmax(dim=2)
    told = torch.cat([tokens, torch.full((len(tokens), 1), END)], dim=1)
    sums = logs.gather(2, told.unsqueeze(2)).sum(dim=(1, 2))
    return float(sums.max()) / (length + 1) ** penalty


@pytest.mark.parametrize("penalty", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_enough_beams_find_the_best_of_all_sentences(seed: int, penalty: float) -> None:
    network, embeddings = make(seed), some(3, seed)
    found = search(network, embeddings, beams=len(WRITABLE) ** LONGEST, length_penalty=penalty)
    for embedding, one in zip(embeddings, found, strict=True):
        best = max(best_of_length(network, embedding, length, penalty) for length in range(1, LONGEST + 1))
        assert one.score == pytest.approx(best, abs=1e-5)
        assert one.score == pytest.approx(score(network, embedding, one.tokens, penalty), abs=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_greedy_takes_the_most_probable_token_each_time(seed: int) -> None:
    network, embeddings = make(seed), some(5, seed)
    for embedding, one in zip(
        embeddings, search(network, embeddings, beams=1, length_penalty=1.0), strict=True
    ):
        tokens: tuple[int, ...] = ()
        while (token := int(next_logs(network, embedding, tokens).argmax())) != END:
            tokens = (*tokens, token)
        assert one.tokens == tokens
        assert one.score == pytest.approx(score(network, embedding, tokens, 1.0), abs=1e-5)


@pytest.mark.parametrize("penalty", [0.0, 0.7, 1.0, 2.0])
@pytest.mark.parametrize("beams", [2, 3, 5])
def test_beams_never_do_worse_than_greedy(beams: int, penalty: float) -> None:
    better = 0
    for seed in range(6):
        network, embeddings = make(seed), some(20, seed)
        greedy = search(network, embeddings, beams=1, length_penalty=penalty)
        wide = search(network, embeddings, beams=beams, length_penalty=penalty)
        assert all(one.score >= other.score for one, other in zip(wide, greedy, strict=True))
        better += sum(one.score > other.score for one, other in zip(wide, greedy, strict=True))
        for embedding, one in zip(embeddings[:3], wide, strict=False):
            assert one.score == pytest.approx(score(network, embedding, one.tokens, penalty), abs=1e-5)
    assert better > 0


@pytest.mark.parametrize("beams", [1, 3])
def test_sentences_of_a_batch_do_not_mix(beams: int, monkeypatch: pytest.MonkeyPatch) -> None:
    network, embeddings = make(1), some(24)
    together = search(network, embeddings, beams=beams, length_penalty=1.0)
    assert len({len(one.tokens) for one in together}) > 1
    alone = [
        search(network, embedding.unsqueeze(0), beams=beams, length_penalty=1.0)[0]
        for embedding in embeddings
    ]
    order = torch.randperm(24, generator=torch.Generator().manual_seed(3))
    shuffled = search(network, embeddings[order], beams=beams, length_penalty=1.0)
    monkeypatch.setattr(searching, "MEMORY_BYTES", 1)
    in_parts = search(network, embeddings, beams=beams, length_penalty=1.0)
    for others in (alone, in_parts):
        assert [one.tokens for one in others] == [one.tokens for one in together]
    assert [one.tokens for one in shuffled] == [together[row].tokens for row in order.tolist()]
    assert [one.score for one in alone] == pytest.approx([one.score for one in together], abs=1e-5)


def test_a_sentence_has_at_least_one_token_and_at_most_the_longest() -> None:
    network = make(0)
    for bias in (20.0, -20.0):
        with torch.no_grad():
            network.bias[END] = bias
        for beams in (1, 3):
            lengths = {len(one.tokens) for one in search(network, some(8), beams=beams, length_penalty=0.0)}
            assert lengths == ({1} if bias > 0 else {LONGEST})


def test_nothing_is_written_of_nothing() -> None:
    assert search(make(0), some(0), beams=2, length_penalty=1.0) == []


def test_sentences_are_drawn_as_often_as_they_are_probable() -> None:
    network, embedding = make(3), some(1)
    count = 4000
    drawn = sample(
        network,
        embedding.expand(count, -1),
        temperature=1.0,
        generator=torch.Generator().manual_seed(0),
    )
    assert all(1 <= len(tokens) <= LONGEST and END not in tokens for tokens in drawn)
    first = torch.tensor([tokens[0] for tokens in drawn]).bincount(minlength=PLACES) / count
    wanted = next_logs(network, embedding[0], ()).softmax(dim=0)
    assert (first - wanted).abs().max() < 0.03
    cold = sample(network, some(5), temperature=1e-6, generator=torch.Generator().manual_seed(0))
    assert cold == [one.tokens for one in search(network, some(5), beams=1, length_penalty=0.0)]
