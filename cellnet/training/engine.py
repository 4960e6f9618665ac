"""One optimizer step: forward, losses, backward, clip, update; and the engines that can make it.

The eager step is the reference: every other engine gives its results. `choose_engine` is the one place
where an engine is chosen; a further one is a subclass of `StepEngine` and one line in `ENGINES`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from cellnet.errors import DeviceError
from cellnet.losses import LossInput, loss_weights, make_losses, total_loss
from cellnet.settings import LossSettings, Settings
from cellnet.student.base import Reconstruction, Student
from cellnet.training.monitor import PerformanceMonitor

_BETAS = (0.9, 0.95)
_WARMUP_BEFORE_CAPTURE = 3


def make_optimizer(model: Student, settings: Settings, device: torch.device) -> torch.optim.AdamW:
    """Make AdamW (Loshchilov and Hutter 2019) for a student.

    The matrices of layers decay, except the linear path, which decay would pull away from the principal
    components it starts from; its group carries ``linear_path`` and has its own rate. On CUDA rates are
    tensors, so that a captured graph sees their changes.
    """
    linear_path = [model.codec.to_surface, model.codec.from_surface]
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
    """The measures of one step; all on the host."""

    losses: dict[str, float]
    total: float
    gradient_norm: float

    @property
    def is_finite(self) -> bool:
        """Whether the step could be applied."""
        return all(map(math.isfinite, (*self.losses.values(), self.total, self.gradient_norm)))


class StepEngine:
    """Make optimizer steps of one student, operation by operation.

    A step whose loss or gradient is not finite is not applied: the weights stay as they were.

    Args:
        model: the student, on ``device``.
        optimizer: from `make_optimizer`.
        settings: weights of the losses, precision, clipping and accumulation.
        device: where the work runs.
        monitor: measures the stages.

    Attributes:
        name: of this engine, as ``training.engine`` has it.
        losses: those that the student has something to measure for, by name.
        weights: of these losses, (n,).
        body_rests: whether the codec learns alone.
    """

    name: ClassVar[str] = "eager"

    def __init__(
        self,
        model: Student,
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
        self.losses = make_losses(settings.loss, lattice=model.has_lattice)
        self.parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self.weights = torch.zeros(len(self.losses), device=device)
        self.set_weights(settings.loss)
        self.body_rests = False

    @classmethod
    def obstacle(cls, device: torch.device) -> str:
        """Return why this engine cannot run on a device; empty if it can."""
        return ""

    def set_weights(self, settings: LossSettings) -> None:
        """Use other weights of the losses from the next step on."""
        weights = loss_weights(settings)
        self.weights.copy_(torch.tensor([weights[name] for name in self.losses]))

    def let_rest(self, rests: bool) -> None:
        """Say whether the body rests, so that the codec learns alone."""
        if rests != self.body_rests:
            self.body_rests = rests
            self.invalidate()

    def invalidate(self) -> None:
        """Forget what was prepared for the next step; needed when more than a value in a tensor changed.

        The eager engine prepares nothing.
        """

    def compute(self, batch: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Return the raw losses and their weighted sum for teacher embeddings (B, D)."""
        mixed = self.settings.training.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=mixed):
            output = self.model.learn(batch, body_rests=self.body_rests)
        raw = self.losses_of(batch, output)
        return raw, total_loss(raw, self.weights)

    def losses_of(self, batch: Tensor, output: Reconstruction) -> dict[str, Tensor]:
        """Return the raw losses of what the student made of teacher embeddings (B, D)."""
        given = LossInput(batch, output, self.model.interior, self.settings.lattice.dimensions)
        return {name: loss(given) for name, loss in self.losses.items()}

    def step(self, batches: list[Tensor], rate: float, linear_path_share: float = 1.0) -> StepResult:
        """Make one optimizer step from the gradients of all ``batches``, each (B, D) on the device.

        Args:
            batches: as many as ``training.accumulation_steps``.
            rate: learning rate.
            linear_path_share: share of it that the codec's linear path gets.
        """
        self._clear_gradients()
        values = torch.stack([self._accumulate(batch).clone() for batch in batches]).mean(dim=0)
        with self.monitor.stage("clip"):
            norm = nn.utils.clip_grad_norm_(self.parameters, self.settings.training.clip_norm, foreach=True)
            *losses, total, gradient_norm = torch.cat([values, norm.float().view(1)]).tolist()
        result = StepResult(dict(zip(self.losses, losses, strict=True)), total, gradient_norm)
        if result.is_finite:
            with self.monitor.stage("optimizer"):
                set_rates(self.optimizer, rate, linear_path_share)
                self.optimizer.step()
        return result

    def _clear_gradients(self) -> None:
        self.optimizer.zero_grad()

    def _accumulate(self, batch: Tensor) -> Tensor:
        """Add the gradients of one batch; return its n raw losses and their total, (n + 1,)."""
        with self.monitor.stage("forward"):
            raw, total = self.compute(batch)
        with self.monitor.stage("backward"):
            (total / self.settings.training.accumulation_steps).backward()
        return torch.stack([*(value.detach().float() for value in raw.values()), total.detach().float()])


class GraphEngine(StepEngine):
    """Record forward and backward once as a CUDA graph, and replay it for each batch."""

    name = "cuda-graphs"
    _graph: torch.cuda.CUDAGraph | None = None
    _static_batch: Tensor
    _static_values: Tensor

    @classmethod
    def obstacle(cls, device: torch.device) -> str:
        return "" if device.type == "cuda" else f"it needs a CUDA device, and the device is {device}"

    def invalidate(self) -> None:
        self._graph = None

    def _clear_gradients(self) -> None:
        self.optimizer.zero_grad(set_to_none=False)  # the graph adds to these very tensors

    def _accumulate(self, batch: Tensor) -> Tensor:
        if self._graph is None:
            self._graph = self._capture(batch)
        self._static_batch.copy_(batch)
        with self.monitor.stage("forward and backward"):
            self._graph.replay()
        return self._static_values

    def _capture(self, batch: Tensor) -> torch.cuda.CUDAGraph:
        """Record forward and backward; gradients accumulate in place, so they must exist before."""
        self._static_batch = batch.clone()
        enabled, self.monitor.enabled = self.monitor.enabled, False
        stream = torch.cuda.Stream(self.device)
        stream.wait_stream(torch.cuda.current_stream(self.device))
        kept = [None if p.grad is None else p.grad.clone() for p in self.parameters]
        with torch.cuda.stream(stream):
            for _ in range(_WARMUP_BEFORE_CAPTURE):
                super()._accumulate(self._static_batch)
        torch.cuda.current_stream(self.device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._static_values = super()._accumulate(self._static_batch)
        for parameter, gradient in zip(self.parameters, kept, strict=True):
            if parameter.grad is not None:
                parameter.grad.zero_() if gradient is None else parameter.grad.copy_(gradient)
        self.monitor.enabled = enabled
        return graph


ENGINES: dict[str, type[StepEngine]] = {
    "cuda-graphs": GraphEngine,
    "eager": StepEngine,
}
"""All engines by name, the preferred one first."""


def choose_engine(settings: Settings, device: torch.device) -> str:
    """Return the name of the engine for a device: the one of ``training.engine``, or the preferred one.

    Raises:
        DeviceError: if the engine that the settings name cannot run.
    """
    requested = settings.training.engine
    if requested == "auto":
        return next(name for name, engine in ENGINES.items() if not engine.obstacle(device))
    if reason := ENGINES[requested].obstacle(device):
        raise DeviceError(
            f"training.engine = {requested!r} cannot run: {reason}; set it to 'auto', or change the device"
        )
    return requested
