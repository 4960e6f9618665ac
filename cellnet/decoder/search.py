"""Greedy and beam search for the sentence that a transformer finds most probable."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cellnet.decoder.network import CausalTransformer, KeysValues
from cellnet.decoder.vocabulary import END

MEMORY_BYTES = 2**28
"""About how much one part of a batch may take while it is searched for."""


@dataclass(frozen=True, slots=True)
class Found:
    """A sentence: its tokens without the end, and its log probability over length ** penalty."""

    tokens: tuple[int, ...]
    score: float


@torch.inference_mode()
def search(
    network: CausalTransformer, embeddings: Tensor, *, beams: int, length_penalty: float
) -> list[Found]:
    """Return the best sentence found for each of B embeddings (B, D); none influences another.

    One beam is greedy search. More beams also try the greedy sentence, so that they never do worse. The
    length counts the end; after ``network.max_tokens`` tokens a sentence must end.
    """
    found: list[Found] = []
    if not len(embeddings):
        return found
    for part in embeddings.split(_rows_at_once(network, beams)):
        best = _search(network, part, 1, length_penalty)
        if beams > 1:
            rivals = zip(best, _search(network, part, beams, length_penalty), strict=True)
            best = [max(pair, key=lambda one: one.score) for pair in rivals]
        found += best
    return found


@torch.inference_mode()
def sample(
    network: CausalTransformer, embeddings: Tensor, *, temperature: float, generator: torch.Generator
) -> list[tuple[int, ...]]:
    """Draw one sentence for each of B embeddings (B, D), token by token; returns tokens without the end.

    Args:
        network: the transformer.
        embeddings: what to write about.
        temperature: divides the logits; the lower, the nearer to greedy search.
        generator: on the device of the embeddings.
    """
    written: list[tuple[int, ...]] = []
    for part in embeddings.split(_rows_at_once(network, 1)):
        rows, longest = len(part), network.max_tokens
        told, past, last = network.read(part), None, None
        tokens = torch.full((rows, longest), END, device=part.device)
        ended = torch.zeros(rows, dtype=torch.bool, device=part.device)
        for position in range(longest):
            logits, past = network.step(told, last, past)
            if position == 0:
                logits[:, END] = float("-inf")  # an empty sentence says nothing
            # Gumbel noise makes the largest logit a draw from their softmax.
            uniform = torch.rand(logits.shape, generator=generator, device=logits.device).clamp_min(1e-20)
            last = (logits.float() / temperature - (-uniform.log()).log()).argmax(dim=1)
            last = last.masked_fill(ended, END)
            tokens[:, position] = last
            ended |= last == END
            if bool(ended.all()):
                break
        written += [tuple(token for token in row if token != END) for row in tokens.tolist()]
    return written


def _rows_at_once(network: CausalTransformer, beams: int) -> int:
    vocabulary, width = network.tokens.weight.shape
    memory = 4 * len(network.blocks) * (network.max_tokens + 1) * width
    return max(1, MEMORY_BYTES // (4 * beams * (memory + 4 * vocabulary)))


def _search(network: CausalTransformer, embeddings: Tensor, beams: int, penalty: float) -> list[Found]:
    rows, longest, device = len(embeddings), network.max_tokens, embeddings.device
    best_scores = torch.full((rows,), float("-inf"), device=device)
    best_tokens = torch.full((rows, longest), END, device=device)
    active = torch.arange(rows, device=device)
    memory = network.read(embeddings).repeat_interleave(beams, dim=0)
    scores = torch.full((rows, beams), float("-inf"), device=device)
    scores[:, 0] = 0.0
    tokens = torch.empty((rows, beams, 0), dtype=torch.int64, device=device)
    past: list[KeysValues] | None = None
    for position in range(longest + 1):
        last = tokens[:, :, -1].flatten() if position else None
        logits, past = network.step(memory, last, past)
        total = scores.unsqueeze(2) + logits.float().log_softmax(dim=1).view(len(active), beams, -1)
        if position == 0:
            total[..., END] = float("-inf")  # an empty sentence says nothing
        if position == longest:
            total[..., END + 1 :] = float("-inf")
        vocabulary = total.shape[2]
        # Each beam has one end, so that of twice as many candidates enough go on.
        candidates, places = total.flatten(1).topk(2 * beams, dim=1)
        origin, token = places // vocabulary, places % vocabulary
        ends = token == END
        ended, which = candidates[:, :beams].masked_fill(~ends[:, :beams], float("-inf")).max(dim=1)
        ended = ended / (position + 1) ** penalty
        better = ended > best_scores[active]
        winner = origin.gather(1, which.unsqueeze(1)).squeeze(1)[better]
        best_scores[active[better]] = ended[better]
        best_tokens[active[better]] = END
        best_tokens[active[better], :position] = tokens[better, winner]
        goes_on = ends.to(torch.int8).argsort(dim=1, stable=True)[:, :beams]
        scores, origin, token = (values.gather(1, goes_on) for values in (candidates, origin, token))
        if beams == 1:
            done = best_scores[active] > float("-inf")
        else:
            done = scores[:, 0] / (longest + 1) ** penalty <= best_scores[active]
        kept = (~done).nonzero().flatten()
        if position == longest or not len(kept):
            break
        flat = (kept.unsqueeze(1) * beams + origin[kept]).flatten()
        past = [(keys[flat], values[flat]) for keys, values in past]
        memory, active, scores = memory[flat], active[kept], scores[kept]
        earlier = tokens.flatten(0, 1)[flat].view(len(kept), beams, position)
        tokens = torch.cat([earlier, token[kept].unsqueeze(2)], dim=2)
    return [
        Found(tuple(token for token in row if token != END), score)
        for row, score in zip(best_tokens.tolist(), best_scores.tolist(), strict=True)
    ]
