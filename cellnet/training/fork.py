"""What may differ between a run and its fork, which begins with the weights of one of its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cellnet.checkpoints.manifest import SETTINGS_FILE
from cellnet.errors import SettingsError
from cellnet.settings import Settings, differences, flat_fields, load_toml, with_changes

ARCHITECTURE: frozenset[str] = frozenset(
    {
        "lattice.dimensions",
        "model.state_size",
        "local.hidden_size",
        "functional.hidden_size",
        "functional.heads",
        "distant.hidden_size",
        "gate.hidden_size",
        "embedding.teacher",
        "embedding.teacher_width",
        "embedding.pooling",
        "embedding.normalize",
        "embedding.type",
        "embedding.hidden_size",
        "embedding.decoder_hidden_size",
        "embedding.lifting_strategy",
        "embedding.placement_strategy",
        "embedding.extraction_strategy",
    }
)
"""Settings that decide the shape or the meaning of weights; no fork can change them."""

WITHOUT_EFFECT: frozenset[str] = frozenset(
    {"embedding.pca_initialization", "init.init_method", "init.gain"}
)
"""Settings of how weights start, which a fork does not use since it has them already."""

FORKABLE: tuple[str, ...] = tuple(
    name for name, _ in flat_fields() if name not in ARCHITECTURE | WITHOUT_EFFECT
)
"""All settings that a fork can change."""


def checkpoint_settings(folder: Path) -> Settings:
    """Return the settings in a checkpoint's folder, without reading or verifying its tensors.

    Raises:
        SettingsError: if they are missing or damaged.
    """
    return load_toml(folder / SETTINGS_FILE)


def fork_settings(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """Return the settings of a fork: those of the checkpoint with ``{"group.key": value}`` applied.

    Raises:
        SettingsError: if a value is impossible, or would need other weights.
    """
    after = with_changes(settings, changes)
    fixed = {name: old for name, (old, _) in differences(settings, after).items() if name in ARCHITECTURE}
    if fixed:
        raise SettingsError(
            problems={
                name: f"a fork keeps the weights, made for {old!r}; leave it so, or start a new run"
                for name, old in fixed.items()
            }
        )
    return after


def describe_fork(run_id: str, step: int, before: Settings, after: Settings) -> str:
    """Return one line on where a fork comes from and what differs."""
    changed = ", ".join(f"{name} {old} -> {new}" for name, (old, new) in differences(before, after).items())
    return f"Forked from {run_id} at step {step}. Changed: {changed or 'nothing'}."
