"""The transformer is causal, keeps sentences apart, and gives the same step by step as at once."""

import pytest
import torch

from cellnet.decoder.network import CausalTransformer
from cellnet.decoder.vocabulary import UNKNOWN
from cellnet.settings import DecoderSettings
from cellnet.student.layers import seeded

PLACES, WIDTH, LENGTH = 9, 6, 7


@pytest.fixture
def network() -> CausalTransformer:
    settings = DecoderSettings(width=16, layers=3, heads=4, max_tokens=LENGTH)
    with seeded(1):
        network = CausalTransformer(settings, WIDTH, PLACES).eval()
        for parameter in network.parameters():  # far from the small start, so that every path matters
            torch.nn.init.normal_(parameter, std=0.5)
    return network


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return (
        torch.randn(4, WIDTH, generator=generator),
        torch.randint(UNKNOWN + 1, PLACES, (4, LENGTH), generator=generator),
    )


@pytest.mark.parametrize("place", range(LENGTH))
def test_a_later_token_never_changes_an_earlier_logit(
    network: CausalTransformer, batch: tuple[torch.Tensor, torch.Tensor], place: int
) -> None:
    embeddings, tokens = batch
    other = tokens.clone()
    other[:, place:] = (tokens[:, place:] - 1) % (PLACES - 2) + 2
    assert not (other[:, place:] == tokens[:, place:]).any()
    before, after = network(embeddings, tokens), network(embeddings, other)
    assert torch.equal(before[:, : place + 1], after[:, : place + 1])
    seen = before != after
    assert all(seen[row, later].any() for row in range(4) for later in range(place + 1, LENGTH + 1))


def test_no_gradient_flows_back_from_a_later_token(
    network: CausalTransformer, batch: tuple[torch.Tensor, torch.Tensor]
) -> None:
    embeddings, tokens = batch
    for place in range(LENGTH + 1):
        network.zero_grad()
        network(embeddings, tokens)[:, place, 2:].square().sum().backward()
        gradient = network.positions.grad
        assert gradient is not None
        assert (gradient[: place + 1].abs().sum(dim=1) > 0).all()
        assert (gradient[place + 1 :] == 0).all()


def test_sentences_do_not_mix_and_each_hears_of_its_embedding_everywhere(
    network: CausalTransformer, batch: tuple[torch.Tensor, torch.Tensor]
) -> None:
    embeddings, tokens = batch
    other = embeddings.clone()
    other[2] += 1.0
    before, after = network(embeddings, tokens), network(other, tokens)
    same = (before == after).all(dim=2)
    assert same[[0, 1, 3]].all()
    assert not same[2].any()


def test_step_by_step_equals_all_at_once(
    network: CausalTransformer, batch: tuple[torch.Tensor, torch.Tensor]
) -> None:
    embeddings, tokens = batch
    whole = network(embeddings, tokens)
    told, past = network.read(embeddings), None
    for place in range(LENGTH + 1):
        logits, past = network.step(told, tokens[:, place - 1] if place else None, past)
        torch.testing.assert_close(logits, whole[:, place])


def test_the_unknown_is_never_written(
    network: CausalTransformer, batch: tuple[torch.Tensor, torch.Tensor]
) -> None:
    assert (network(*batch)[..., UNKNOWN] == float("-inf")).all()
    assert network(*batch)[..., UNKNOWN + 1 :].isfinite().all()


def test_embeddings_are_read_centered_and_scaled(network: CausalTransformer) -> None:
    embeddings = torch.randn(5, WIDTH)
    plain = network.read(embeddings)
    network.fit_scaling(torch.full((WIDTH,), 7.0), 3.0)
    torch.testing.assert_close(network.read(embeddings * 3.0 + 7.0), plain, atol=1e-5, rtol=1e-4)
