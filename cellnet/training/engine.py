"""One optimizer step: forward, losses, backward, clip, update; eager or replayed as CUDA graphs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from cellnet.losses import LOSS_NAMES, LossInput, make_losses, total_loss
from cellnet.settings import Settings
from cellnet.student.codec import EmbeddingTransformer
from cellnet.student.student import CellNet, StudentOutput
from cellnet.training.monitor import PerformanceMonitor

_BETAS = (0.9, 0.95)
_WARMUP_BEFORE_CAPTURE = 3


def make_optimizer(model: nn.Module, settings: Settings, device: torch.device) -> torch.optim.AdamW:
    """Make AdamW (Loshchilov and Hutter 2019) for a model with a ``codec``.

    The matrices of layers decay, except the linear path, which decay would pull away from the principal
    components it starts from; its group carries ``linear_path`` and has its own rate. On CUDA rates are
    tensors, so that a captured graph sees their changes.
    """
    codec = model.codec
    assert isinstance(codec, EmbeddingTransformer)
    linear_path = [codec.to_surface, codec.from_surface]
    linear = [parameter for layer in linear_path for parameter in layer.parameters()]
    decaying: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for module in model.modules():
        if module in linear_path:
            continue
        for name, parameter in module.named_parameters(recurse=False):
            is_matrix = isinstance(module, nn.Linear | nn.Conv2d) and name == "weight"
            (decaying if is_matrix else others).append(parameter)
    rate = settings.training.learning_rate
    groups: list[dict[str, Any]] = [
        {"params": decaying, "weight_decay": settings.training.weight_decay, "linear_path": False},
        {"params": others, "weight_decay": 0.0, "linear_path": False},
        {"params": linear, "weight_decay": 0.0, "linear_path": True},
    ]
    if device.type == "cuda":
        for group in groups:
            group["lr"] = torch.tensor(rate, device=device)
    return torch.optim.AdamW(groups, lr=rate, betas=_BETAS, fused=True)


def set_rates(optimizer: torch.optim.AdamW, rate: float, linear_path_share: float) -> None:
    """Set the learning rate of the next step, and the share of it that the linear path gets."""
    for group in optimizer.param_groups:
        group_rate = rate * linear_path_share if group["linear_path"] else rate
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(group_rate)
        else:
            group["lr"] = group_rate


@dataclass(frozen=True)
class StepResult:
    """What one step measured; all on the host."""

    losses: dict[str, float]
    total: float
    gradient_norm: float

    @property
    def is_finite(self) -> bool:
        """Whether the step could be applied."""
        return all(map(math.isfinite, (*self.losses.values(), self.total, self.gradient_norm)))


class StepEngine:
    """Make optimizer steps of one model.

    A step whose loss or gradient is not finite is not applied: the weights stay as they were.

    Args:
        model: the student, on ``device``.
        optimizer: from `make_optimizer`.
        settings: precision, clipping, accumulation and whether CUDA graphs are used.
        device: where the work runs.
        monitor: measures the stages.
    """

    def __init__(
        self,
        model: CellNet,
        optimizer: torch.optim.AdamW,
        settings: Settings,
        device: torch.device,
        monitor: PerformanceMonitor,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.settings = settings
        self.device = device
        self.monitor = monitor
        self.losses = make_losses(settings.loss)
        self.parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self.weights = torch.zeros(len(LOSS_NAMES), device=device)
        self.lattice_steps: int | None = None
        self._graph: torch.cuda.CUDAGraph | None = None
        self._static_batch = torch.empty(0)
        self._static_values = torch.empty(0)

    @property
    def uses_graphs(self) -> bool:
        """Whether forward and backward are replayed as one CUDA graph."""
        return self.device.type == "cuda" and self.settings.device.cuda_graphs

    def forget_graph(self) -> None:
        """Capture anew at the next step; needed after anything but a value in a tensor changed."""
        self._graph = None

    def let_rest(self, rests: bool) -> None:
        """Say whether the cube rests: makes no steps at all, rather than those of the settings."""
        steps = 0 if rests else None
        if steps != self.lattice_steps:
            self.lattice_steps = steps
            self.forget_graph()

    def compute(self, batch: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Return the raw losses and their weighted sum for teacher embeddings (B, D)."""
        mixed = self.settings.training.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=mixed):
            output = self.model(batch, refine=False, steps=self.lattice_steps, stop_early=False)
        raw = self.losses_of(batch, output)
        return raw, total_loss(raw, self.weights)

    def losses_of(self, batch: Tensor, output: StudentOutput) -> dict[str, Tensor]:
        """Return the raw losses of what the student made of teacher embeddings (B, D)."""
        seen = LossInput(batch, output, self.model.interior, self.settings.lattice.dimensions)
        return {name: loss(seen) for name, loss in self.losses.items()}

    def _forward_backward(self, batch: Tensor) -> Tensor:
        """Accumulate gradients of one batch; return the six raw losses and the total, (7,)."""
        with self.monitor.stage("forward"):
            raw, total = self.compute(batch)
        with self.monitor.stage("backward"):
            (total / self.settings.training.accumulation_steps).backward()
        return torch.stack([*(value.detach().float() for value in raw.values()), total.detach().float()])

    def _replay(self, batch: Tensor) -> Tensor:
        if self._graph is None:
            self._capture(batch)
        assert self._graph is not None
        self._static_batch.copy_(batch)
        with self.monitor.stage("forward and backward"):
            self._graph.replay()
        return self._static_values

    def _capture(self, batch: Tensor) -> None:
        """Record forward and backward; gradients accumulate in place, so they must exist before."""
        self._static_batch = batch.clone()
        enabled, self.monitor.enabled = self.monitor.enabled, False
        stream = torch.cuda.Stream(self.device)
        stream.wait_stream(torch.cuda.current_stream(self.device))
        kept = [None if p.grad is None else p.grad.clone() for p in self.parameters]
        with torch.cuda.stream(stream):
            for _ in range(_WARMUP_BEFORE_CAPTURE):
                self._forward_backward(self._static_batch)
        torch.cuda.current_stream(self.device).wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._static_values = self._forward_backward(self._static_batch)
        for parameter, gradient in zip(self.parameters, kept, strict=True):
            if parameter.grad is not None:
                parameter.grad.zero_() if gradient is None else parameter.grad.copy_(gradient)
        self.monitor.enabled = enabled

    def step(self, batches: list[Tensor], rate: float, linear_path_share: float = 1.0) -> StepResult:
        """Make one optimizer step from the gradients of all ``batches``, each (B, D) on the device.

        Args:
            batches: as many as ``training.accumulation_steps``.
            rate: learning rate.
            linear_path_share: share of it that the codec's linear path gets.
        """
        self.optimizer.zero_grad(set_to_none=not self.uses_graphs)
        run = self._replay if self.uses_graphs else self._forward_backward
        values = torch.stack([run(batch).clone() for batch in batches]).mean(dim=0)
        with self.monitor.stage("clip"):
            norm = nn.utils.clip_grad_norm_(self.parameters, self.settings.training.clip_norm, foreach=True)
            *losses, total, gradient_norm = torch.cat([values, norm.float().view(1)]).tolist()
        result = StepResult(dict(zip(LOSS_NAMES, losses, strict=True)), total, gradient_norm)
        if result.is_finite:
            with self.monitor.stage("optimizer"):
                set_rates(self.optimizer, rate, linear_path_share)
                self.optimizer.step()
        return result
