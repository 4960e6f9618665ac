"""Train a decoder with teacher forcing on the reconstructions of a student."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from cellnet.decoder.generative import GenerativeDecoder
from cellnet.decoder.network import CausalTransformer
from cellnet.decoder.vocabulary import END, UNKNOWN, Vocabulary
from cellnet.errors import DataError, TrainingError
from cellnet.measures import Embeddings, parts, rows_to_tensor
from cellnet.settings import DecoderSettings, Settings, TrainingSettings
from cellnet.student.layers import seeded
from cellnet.student.student import CellNet
from cellnet.training.schedule import learning_rate

WEIGHT_DECAY = 0.05
CLIP_NORM = 1.0
CHECKS = 20
"""How often, over a training, the loss of the sentences kept aside is measured."""
SORTED_BATCHES = 16
_NO_TARGET = -100
_SCALING_ROWS = 100_000

Rows = npt.NDArray[np.int64]


@torch.inference_mode()
def reconstructions(
    model: CellNet,
    embeddings: Embeddings,
    *,
    device: torch.device,
    batch_size: int = 256,
    progress: Callable[[int, int], None] | None = None,
) -> Embeddings:
    """Return what a student makes of teacher embeddings (n, D), with all its steps, (n, D)."""
    given = np.empty(embeddings.shape, dtype=np.float32)
    for rows in parts(len(embeddings), model.sentences_at_once(batch_size)):
        answer = model(rows_to_tensor(embeddings, rows, device), stop_early=False).embeddings
        given[rows] = answer.float().cpu().numpy()
        if progress is not None:
            progress(rows.stop, len(embeddings))
    return given


@dataclass(frozen=True)
class DecoderData:
    """Sentences as a decoder sees them.

    Attributes:
        embeddings: reconstructions of the student, (n, D).
        tokens: places of the vocabulary, at most ``decoder.max_tokens`` per sentence.
        ends: for each sentence whether it ends there, or was cut.
    """

    embeddings: Embeddings
    tokens: tuple[npt.NDArray[np.int32], ...]
    ends: npt.NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        embeddings: Embeddings,
        texts: Sequence[str],
        vocabulary: Vocabulary,
        tokenizer: Any,
        max_tokens: int,
    ) -> DecoderData:
        """Make it of n reconstructions (n, D) and their texts.

        Raises:
            DataError: if there are not as many of both.
        """
        if len(embeddings) != len(texts):
            raise DataError(
                f"{len(embeddings)} embeddings cannot go with {len(texts)} texts; give both of each"
            )
        rows = vocabulary.encode(texts, tokenizer)
        return cls(
            embeddings,
            tuple(np.array(row[:max_tokens], dtype=np.int32) for row in rows),
            np.array([len(row) <= max_tokens for row in rows], dtype=bool),
        )

    def __len__(self) -> int:
        """Number of sentences."""
        return len(self.tokens)

    @property
    def unknown_share(self) -> float:
        """Share of the tokens that the vocabulary lacks."""
        total = sum(map(len, self.tokens))
        return sum(int((row == UNKNOWN).sum()) for row in self.tokens) / total if total else 0.0

    def followed_by(self, other: DecoderData) -> DecoderData:
        """Return these sentences, then those of another."""
        return DecoderData(
            np.concatenate([self.embeddings, other.embeddings]),
            self.tokens + other.tokens,
            np.concatenate([self.ends, other.ends]),
        )

    def part(self, rows: Rows) -> DecoderData:
        """Return some of the sentences."""
        return DecoderData(self.embeddings[rows], tuple(self.tokens[row] for row in rows), self.ends[rows])


def train_decoder(
    data: DecoderData,
    vocabulary: Vocabulary,
    settings: Settings,
    *,
    device: torch.device,
    aside: DecoderData | None = None,
    progress: Callable[[int, int], None] | None = None,
    checked: Callable[[int, float], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> GenerativeDecoder:
    """Train a decoder; the same on the same device and data, since all that is drawn has a seed.

    Args:
        data: to train on.
        vocabulary: what can be written.
        settings: the groups decoder, embedding and init, and ``training.precision``.
        device: where the work runs.
        aside: sentences kept from the training; the weights with the lowest loss there are returned, in
            place of the last ones. ``facts["training"]`` tells what happened.
        progress: told how many steps are done, and how many there are.
        checked: told the step and the loss of the sentences kept aside, whenever it is measured.
        should_stop: asked after each step; what was learned until then is returned.

    Raises:
        DataError: if there are no sentences.
        TrainingError: if a gradient is not finite.
    """
    if not len(data):
        raise DataError("there are no sentences to train the decoder on; give at least one")
    wanted, seed = settings.decoder, settings.init.seed
    with seeded(seed):
        network = CausalTransformer(wanted, data.embeddings.shape[1], len(vocabulary))
    sample = np.array(data.embeddings[:_SCALING_ROWS], dtype=np.float64)
    mean = sample.mean(axis=0)
    spread = float(np.sqrt(((sample - mean) ** 2).mean()))
    network.fit_scaling(torch.from_numpy(mean).float(), spread if spread > 0 else 1.0)
    network.to(device).train()
    optimizer = _optimizer(network)
    schedule = TrainingSettings(
        max_steps=wanted.max_steps,
        learning_rate=wanted.learning_rate,
        warmup_steps=min(200, wanted.max_steps // 10),
    )
    hiding = torch.Generator().manual_seed(seed)
    mixed = settings.training.precision == "bfloat16"
    every = max(1, wanted.max_steps // CHECKS)
    best, kept, losses = math.inf, None, []
    done = 0
    with seeded(seed):  # what is dropped
        for step, rows in zip(
            range(wanted.max_steps), _batches(data, wanted.batch_size, seed), strict=False
        ):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, schedule)
            batch = _Batch.of(data, rows, device)
            read = _hide(batch.read, wanted, hiding)
            with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
                loss = _loss(network, batch, read, "mean")
            optimizer.zero_grad()
            loss.backward()
            norm = float(torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM))
            if not math.isfinite(norm):
                raise TrainingError(
                    f"the gradient of step {step + 1} of the decoder is not finite; "
                    "lower decoder.learning_rate"
                )
            optimizer.step()
            done = step + 1
            stopped = should_stop is not None and should_stop()
            if progress is not None:
                progress(done, wanted.max_steps)
            if aside is not None and (done % every == 0 or done == wanted.max_steps or stopped):
                validation = token_loss(network, aside, device)
                losses.append({"step": done, "loss": validation, "training_loss": float(loss.detach())})
                if checked is not None:
                    checked(done, validation)
                if validation < best:
                    best = validation
                    kept = {
                        name: value.detach().cpu().clone() for name, value in network.state_dict().items()
                    }
            if stopped:
                break
    if kept is not None:
        network.load_state_dict(kept)
    training = {
        "steps": done,
        "sentences": len(data),
        "kept_aside": 0 if aside is None else len(aside),
        "kept_step": min(losses, key=lambda one: one["loss"])["step"] if losses else done,
        "losses": losses,
        "vocabulary": len(vocabulary.tokens),
        "unknown_share": data.unknown_share,
        "cut": int((~data.ends).sum()),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
    }
    return GenerativeDecoder(network, vocabulary, settings, {"training": training})


@torch.inference_mode()
def token_loss(
    network: CausalTransformer, data: DecoderData, device: torch.device, batch_size: int = 64
) -> float:
    """Return the mean negative log probability of a token, ends included and unknown ones not, in nats."""
    training = network.training
    network.eval()
    total = count = 0.0
    order = np.argsort([len(row) for row in data.tokens], kind="stable")
    for part in parts(len(data), batch_size):
        batch = _Batch.of(data, order[part], device)
        total += float(_loss(network, batch, batch.read, "sum"))
        count += int((batch.targets != _NO_TARGET).sum())
    network.train(training)
    return total / count if count else math.nan


@dataclass(frozen=True)
class _Batch:
    """Embeddings (B, D), tokens that are read (B, L) and those to tell (B, L + 1)."""

    embeddings: Tensor
    read: Tensor
    targets: Tensor

    @classmethod
    def of(cls, data: DecoderData, rows: Rows, device: torch.device) -> _Batch:
        longest = max(len(data.tokens[row]) for row in rows)
        read = np.full((len(rows), longest), END, dtype=np.int64)
        targets = np.full((len(rows), longest + 1), _NO_TARGET, dtype=np.int64)
        for place, row in enumerate(rows):
            tokens = data.tokens[row]
            read[place, : len(tokens)] = tokens
            targets[place, : len(tokens)] = np.where(tokens == UNKNOWN, _NO_TARGET, tokens)
            if data.ends[row]:
                targets[place, len(tokens)] = END
        embeddings = np.array(data.embeddings[rows], dtype=np.float32)
        return cls(*(torch.from_numpy(array).to(device) for array in (embeddings, read, targets)))


def _loss(network: CausalTransformer, batch: _Batch, read: Tensor, reduction: str) -> Tensor:
    """Cross entropy of the tokens to tell; logits are computed for these alone."""
    known = batch.targets != _NO_TARGET
    logits = network.logits(network.hidden(batch.embeddings, read)[known])
    return F.cross_entropy(logits, batch.targets[known], reduction=reduction)


def _hide(read: Tensor, settings: DecoderSettings, generator: torch.Generator) -> Tensor:
    """Hide some of the words read (Bowman et al. 2016); the draw is the same on every device."""
    if settings.word_dropout == 0.0:
        return read
    hidden = torch.rand(read.shape, generator=generator) < settings.word_dropout
    return read.masked_fill(hidden.to(read.device), UNKNOWN)


def _batches(data: DecoderData, size: int, seed: int) -> Iterator[Rows]:
    """Yield the rows of batches without end: of nearly the same length, in random order."""
    lengths = np.array([len(row) for row in data.tokens])
    size = min(size, len(data))
    generator = np.random.default_rng(seed)
    while True:
        order = generator.permutation(len(data))
        for start in range(0, len(order), size * SORTED_BATCHES):
            window = order[start : start + size * SORTED_BATCHES]
            window = window[np.argsort(lengths[window], kind="stable")]
            pieces = list(parts(len(window), size))
            for piece in generator.permutation(len(pieces)):
                yield window[pieces[piece]]


def _optimizer(network: CausalTransformer) -> torch.optim.Optimizer:
    matrices = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)
