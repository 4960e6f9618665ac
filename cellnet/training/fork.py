"""Settings that may differ between a run and its fork, which begins with the weights of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cellnet.checkpoints.manifest import SETTINGS_FILE
from cellnet.errors import SettingsError
from cellnet.settings import Settings, differences, load_toml, marked, with_changes

FORKABLE: tuple[str, ...] = marked("fork", "free")
"""All settings that a fork can change."""

_REASONS = {
    **dict.fromkeys(marked("fork", "fixed"), "the weights that a fork keeps were made for {old!r}"),
    **dict.fromkeys(
        marked("fork", "unused"), "a fork has weights already, so how they start means nothing"
    ),
}


def checkpoint_settings(folder: Path) -> Settings:
    """Return the settings in a checkpoint's folder, without reading or verifying its tensors.

    Raises:
        SettingsError: if they are missing or damaged.
    """
    return load_toml(folder / SETTINGS_FILE)


def fork_settings(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """Return the settings of a fork: those of the checkpoint with ``{"group.key": value}`` applied.

    Raises:
        SettingsError: if a value is impossible, would need other weights, or would have no effect.
    """
    after = with_changes(settings, changes)
    fixed = {name: old for name, (old, _) in differences(settings, after).items() if name in _REASONS}
    if fixed:
        raise SettingsError(
            problems={
                name: f"{_REASONS[name].format(old=old)}; leave it at {old!r}, or start a new run"
                for name, old in fixed.items()
            }
        )
    return after


def describe_fork(run_id: str, step: int, before: Settings, after: Settings) -> str:
    """Return one line on where a fork comes from and what differs."""
    changed = ", ".join(f"{name} {old} -> {new}" for name, (old, new) in differences(before, after).items())
    return f"Forked from {run_id} at step {step}. Changed: {changed or 'nothing'}."
