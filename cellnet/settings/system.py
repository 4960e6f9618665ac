"""Settings of the machine: devices, memory, measurements and logs."""

from __future__ import annotations

from typing import Literal

from cellnet.settings.base import SettingsGroup, setting


class AdaptiveChunkerSettings(SettingsGroup):
    """The split of work into parts that fit in memory."""

    max_history: int = setting(100, label="History", help="Measured chunks remembered.", ge=1, le=100000)
    optimal_batch_size: int = setting(
        64,
        label="First block size",
        help="Cells per block before anything has been measured.",
        unit="cells",
        ge=8,
        le=8192,
    )
    calibrate: bool = setting(
        False,
        label="Calibrate",
        help="Time block sizes before training and keep the fastest; only last digits of results change.",
    )
    preferred_device: Literal["same", "cpu"] = setting(
        "same",
        label="Index device",
        help="Where neighbor lists are computed: on the model's device or on the CPU.",
    )


class UnifiedOptimizerSettings(SettingsGroup):
    """Measurements while training."""

    performance_monitoring_enabled: bool = setting(
        True, label="Monitor", help="Measure the time of each stage of a step."
    )
    cache_statistics: bool = setting(
        True, label="Count cache use", help="Count hits and misses of the caches."
    )


class MemorySettings(SettingsGroup):
    """Bounds on memory."""

    chunk_budget_mb: int = setting(
        2048,
        label="Chunk budget",
        help="Memory that the gathered neighbors of one chunk may take.",
        unit="MB",
        ge=1,
        le=10**6,
    )
    activation_checkpointing: bool = setting(
        False,
        label="Recompute steps",
        help="Recompute each lattice step in the backward pass: less memory, about a third more time.",
    )
    pool_budget_mb: int = setting(
        256, label="Buffer pool", help="Memory kept for reused buffers.", unit="MB", ge=0, le=10**6
    )


class DeviceSettings(SettingsGroup):
    """The device of the work. The choice is explicit: a missing device is an error."""

    device: str = setting(
        "cpu", label="Device", help="cpu, cuda or cuda:N.", pattern=r"^(cpu|cuda(:\d+)?)$"
    )
    threads: int = setting(
        0, label="CPU threads", help="Threads of the CPU work; 0 keeps PyTorch's choice.", ge=0, le=1024
    )


class LoggingSettings(SettingsGroup):
    """Logs and stored metrics."""

    level: Literal["debug", "info", "warning", "error"] = setting(
        "info", label="Level", help="Least severity that is logged."
    )
    metrics_every: int = setting(
        1, label="Metrics every", help="Steps between stored metrics.", unit="steps", ge=1, le=10**6
    )
