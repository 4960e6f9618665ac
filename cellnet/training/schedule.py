"""The learning rate over the steps: warm-up, then cosine."""

from __future__ import annotations

import math

from cellnet.settings import TrainingSettings


def learning_rate(step: int, settings: TrainingSettings) -> float:
    """Return the rate of step ``step`` (the first is 0).

    It rises linearly over the warm-up, then follows half a cosine (Loshchilov and Hutter 2017) down to
    ``min_learning_rate_ratio`` of the peak: once while the codec learns alone, and once after that.
    """
    step, length = _course(step, settings)
    warmup = min(settings.warmup_steps, length // 2)
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    progress = min(1.0, (step - warmup) / max(1, length - warmup))
    low = settings.min_learning_rate_ratio
    return settings.learning_rate * (low + (1.0 - low) * 0.5 * (1.0 + math.cos(math.pi * progress)))


def linear_path_share(step: int, settings: TrainingSettings) -> float:
    """Return the share of the learning rate that the codec's linear path gets in step ``step``."""
    rising = settings.linear_path_warmup * (settings.codec_steps or settings.max_steps)
    return 1.0 if rising == 0 else min(1.0, (step + 1) / rising)


def _course(step: int, settings: TrainingSettings) -> tuple[int, int]:
    """Return where in its course a step is, and how long that course is."""
    alone = min(settings.codec_steps, settings.max_steps)
    return (step, alone) if step < alone else (step - alone, settings.max_steps - alone)
