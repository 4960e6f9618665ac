"""Experts and gate: attention against a dense softmax in float64, zero start, mixture weights."""

from itertools import pairwise

import pytest
import torch
from jaxtyping import TypeCheckError
from torch import Tensor

from cellnet.lattice.chunker import AdaptiveChunker
from cellnet.lattice.connections import ConnectionIndex, TierConnections
from cellnet.settings import (
    AdaptiveChunkerSettings,
    DistantExpertSettings,
    FunctionalExpertSettings,
    GateSettings,
    InitSettings,
    LatticeSettings,
    LocalExpertSettings,
    MemorySettings,
    NeighborSettings,
)
from cellnet.student.experts import (
    DistantExpert,
    FunctionalExpert,
    GatingNetwork,
    LocalExpert,
    TierNeighborhood,
)
from cellnet.student.experts.attention import NeighborAttention
from cellnet.student.layers import initialize

LATTICE = LatticeSettings(
    dimensions=(4, 5, 3), adaptive_radius_ratio=0.3, local_distance_ratio=0.7, functional_distance_ratio=1.0
)


def chunker(megabytes: int = 100) -> AdaptiveChunker:
    return AdaptiveChunker(AdaptiveChunkerSettings(), MemorySettings(chunk_budget_mb=megabytes))


def functional_tier(block_cells: int, lattice: LatticeSettings = LATTICE) -> TierConnections:
    return ConnectionIndex(lattice, NeighborSettings(), block_cells=block_cells).tiers["functional"]


def matrix_of(connections: TierConnections) -> Tensor:
    starts = connections.lists.starts.tolist()
    matrix = torch.zeros(len(starts) - 1, len(starts) - 1, dtype=torch.bool)
    for cell, (start, end) in enumerate(pairwise(starts)):
        matrix[cell, connections.lists.rows[start:end].long()] = True
    return matrix


def dense_attention(q: Tensor, k: Tensor, v: Tensor, heads: int, matrix: Tensor) -> Tensor:
    """Loop over samples, heads and cells; softmax over the neighbors of one cell at a time."""
    width = q.shape[-1] // heads
    answer = torch.zeros_like(q)
    for sample in range(q.shape[1]):
        for head in range(heads):
            part = slice(head * width, (head + 1) * width)
            for cell in range(len(q)):
                seen = matrix[cell].nonzero().flatten()
                if len(seen):
                    scores = k[seen, sample, part] @ q[cell, sample, part] / width**0.5
                    weights = (scores - scores.max()).exp()
                    answer[cell, sample, part] = (weights / weights.sum()) @ v[seen, sample, part]
    return answer


@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("block_cells", [1, 7, 16, 60])
def test_attention_equals_a_dense_softmax(heads: int, block_cells: int) -> None:
    connections = functional_tier(block_cells)
    query, key_and_value = 2.0 * torch.randn(60, 2, 6).double(), 2.0 * torch.randn(60, 2, 12).double()
    key, value = key_and_value.chunk(2, dim=-1)
    expected = dense_attention(query, key, value, heads, matrix_of(connections))
    found = NeighborAttention(heads)(query, key_and_value, connections, chunker())
    torch.testing.assert_close(found, expected)


def test_attention_in_chunks_equals_attention_at_once() -> None:
    connections = functional_tier(4)
    attention = NeighborAttention(2)
    given = torch.randn(60, 40, 64), torch.randn(60, 40, 128)
    few = chunker(1)
    assert few.blocks_at_once(2 * connections.blocks.keys.shape[1] * 40 * 64 * 4) < len(
        connections.blocks.keys
    )
    torch.testing.assert_close(
        attention(*given, connections, few), attention(*given, connections, chunker())
    )


def test_attention_gradient() -> None:
    lattice = LatticeSettings(
        dimensions=(3, 3, 3), adaptive_radius_ratio=0.4, functional_distance_ratio=1.0
    )
    connections = functional_tier(4, lattice)
    attention = NeighborAttention(1)
    given = tuple(torch.randn(27, 1, size, dtype=torch.float64, requires_grad=True) for size in (2, 4))
    assert torch.autograd.gradcheck(lambda q, kv: attention(q, kv, connections, chunker()), given)


def test_a_cell_without_neighbors_receives_zero() -> None:
    # Only displacements of length 2 along the long axis of 5 exist between these bounds.
    lattice = LatticeSettings(
        dimensions=(3, 3, 5),
        adaptive_radius_ratio=0.61,
        local_distance_ratio=0.95,
        functional_distance_ratio=1.0,
    )
    connections = functional_tier(8, lattice)
    lonely = connections.counts == 0
    assert 0 < int(lonely.sum()) < 45
    answer = NeighborAttention(1)(torch.randn(45, 2, 4), torch.randn(45, 2, 8), connections, chunker())
    assert torch.equal(answer[lonely], torch.zeros_like(answer[lonely]))
    assert answer[~lonely].abs().min() > 0.0


def test_an_empty_tier_gives_zero_context() -> None:
    connections = functional_tier(8, LatticeSettings(dimensions=(4, 4, 4)))
    query, key_and_value = torch.randn(64, 2, 4), torch.randn(64, 2, 8)
    context = NeighborAttention(1)(query, key_and_value, connections, chunker())
    assert torch.equal(context, torch.zeros_like(query))


def experts(gain: float = 0.3) -> tuple[LocalExpert, FunctionalExpert, DistantExpert]:
    made = (
        LocalExpert(6, LocalExpertSettings(hidden_size=5)),
        FunctionalExpert(6, FunctionalExpertSettings(hidden_size=5)),
        DistantExpert(6, DistantExpertSettings(hidden_size=5)),
    )
    for expert in made:
        initialize(expert, InitSettings(expert_gain=gain))
    return made


@pytest.mark.parametrize(("gain", "size"), [(0.0, (0.0, 0.0)), (0.3, (0.01, 1.0)), (3.0, (0.1, 10.0))])
def test_untrained_experts_propose_changes_of_all_channels_but_channel_0(
    gain: float, size: tuple[float, float]
) -> None:
    own = torch.randn(60, 3, 6)
    neighborhood = TierNeighborhood(own, functional_tier(16), chunker())
    for expert in experts(gain):
        change = expert(own, neighborhood)
        assert change.shape == own.shape
        assert not change[..., 0].any()
        assert size[0] <= change[..., 1:].square().mean().sqrt() <= size[1]


def test_functional_expert_mixes_its_two_parts_by_the_sigmoid() -> None:
    _, expert, _ = experts()
    expert.double()
    for layer in expert.modules():
        if isinstance(layer, torch.nn.Linear):
            torch.nn.init.normal_(layer.weight, std=0.3)
    own, connections = torch.randn(60, 2, 6, dtype=torch.float64), functional_tier(16)
    with torch.no_grad():
        query, key, value, own_update, own_mix = (
            own @ weight.T for weight in expert.from_own.weight.split((6, 6, 6, 5, 6))
        )
        context = dense_attention(query, key, value, 1, matrix_of(connections))
        update, drive, mix = (
            context @ weight.T + bias
            for weight, bias in zip(
                expert.from_context.weight.split((5, 5, 6)),
                expert.from_context.bias.split((5, 5, 6)),
                strict=True,
            )
        )
        z = own_update + update
        discrete = (z / (1 + (-z).exp())) @ expert.to_change.weight.T + expert.to_change.bias
        state, field = own, expert.field
        for _ in range(3):
            z = field.from_state(state) + drive
            state = state + (z / (1 + (-z).exp()) @ field.to_change.weight.T + field.to_change.bias) / 3
        share = 1 / (1 + (-(own_mix + mix)).exp())
        expected = share * discrete + (1 - share) * (state - own)
        torch.testing.assert_close(expert(own, TierNeighborhood(own, connections, chunker())), expected)


def test_a_neighborhood_offers_the_sum_and_the_mean_of_its_tier() -> None:
    own, connections = torch.randn(60, 2, 6, dtype=torch.float64), functional_tier(16)
    matrix = matrix_of(connections).double()
    neighborhood = TierNeighborhood(own, connections, chunker())
    expected = torch.einsum("nm,mbc->nbc", matrix, own)
    counts = matrix.sum(dim=1).clamp_min(1.0).view(-1, 1, 1)
    assert not neighborhood.is_empty
    torch.testing.assert_close(neighborhood.sum, expected)
    torch.testing.assert_close(neighborhood.mean, expected / counts)


def test_a_neighborhood_sums_its_tier_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    whole = TierConnections.sum
    monkeypatch.setattr(TierConnections, "sum", lambda self, own: calls.append(1) or whole(self, own))
    neighborhood = TierNeighborhood(torch.randn(60, 2, 6), functional_tier(16), chunker())
    assert calls == []
    assert neighborhood.mean.shape == neighborhood.sum.shape == (60, 2, 6)
    assert calls == [1]


def test_gate_is_a_softmax_with_temperature() -> None:
    gate = GatingNetwork(6, GateSettings(temperature=0.5), experts=3).double()
    own, activity = torch.randn(2, 10, 3, 6, dtype=torch.float64).unbind()
    with torch.no_grad():
        first, _, last = gate.score
        z = torch.cat([own, activity], dim=-1) @ first.weight.T + first.bias
        scores = (z / (1 + (-z).exp())) @ last.weight.T + last.bias
        expected = (scores / 0.5).exp() / (scores / 0.5).exp().sum(dim=-1, keepdim=True)
        found = gate(own, activity)
        torch.testing.assert_close(found, expected)
        gate.temperature.fill_(1e6)
        torch.testing.assert_close(gate(own, activity), torch.full_like(found, 1 / 3), rtol=1e-4, atol=0)


def test_gate_temperature_is_no_parameter_and_not_saved() -> None:
    gate = GatingNetwork(6, GateSettings(), experts=3)
    assert "temperature" not in dict(gate.named_parameters())
    assert "temperature" not in gate.state_dict()


def test_wrong_shapes_are_refused_while_tests_run() -> None:
    local, _, _ = experts()
    with pytest.raises(TypeCheckError):
        local(torch.randn(60, 6), TierNeighborhood(torch.randn(60, 1, 6), functional_tier(16), chunker()))


def test_attention_in_parts_is_the_same_with_the_same_gradient() -> None:
    attention = NeighborAttention(heads=2)
    tier = functional_tier(4)
    torch.manual_seed(0)
    projected = torch.randn(60, 40, 3 * 64)
    direction = torch.randn(60, 40, 64)
    results = []
    for megabytes in (100, 1):
        given = projected.clone().requires_grad_(True)
        answer = attention(*given.split((64, 128), dim=-1), tier, chunker(megabytes))
        (answer * direction).sum().backward()
        results.append([answer.detach(), given.grad.clone()])
    assert len(tier.parts(100)) == 1
    assert len(tier.parts(2)) == 8
    for whole, parts in zip(*results, strict=True):
        torch.testing.assert_close(whole, parts, rtol=1e-4, atol=1e-4)
