"""The settings tree: one frozen, validated object that drives Python, the command line and forms."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import model_validator
from pydantic.fields import FieldInfo

from cellnet.errors import SettingsError
from cellnet.settings.base import SettingsGroup, shown
from cellnet.settings.data import DataSettings
from cellnet.settings.decoder import DecoderSettings
from cellnet.settings.embedding import EmbeddingSettings
from cellnet.settings.lattice import LatticeSettings, NeighborSettings
from cellnet.settings.loss import LossSettings
from cellnet.settings.student import (
    DistantExpertSettings,
    FunctionalExpertSettings,
    GateSettings,
    InitSettings,
    LocalExpertSettings,
    ModelSettings,
)
from cellnet.settings.system import (
    AdaptiveChunkerSettings,
    DeviceSettings,
    LoggingSettings,
    MemorySettings,
    UnifiedOptimizerSettings,
)
from cellnet.settings.training import TrainingSettings


class Settings(SettingsGroup):
    """The whole tree."""

    lattice: LatticeSettings = LatticeSettings()
    neighbors: NeighborSettings = NeighborSettings()
    model: ModelSettings = ModelSettings()
    local: LocalExpertSettings = LocalExpertSettings()
    functional: FunctionalExpertSettings = FunctionalExpertSettings()
    distant: DistantExpertSettings = DistantExpertSettings()
    gate: GateSettings = GateSettings()
    embedding: EmbeddingSettings = EmbeddingSettings()
    loss: LossSettings = LossSettings()
    training: TrainingSettings = TrainingSettings()
    init: InitSettings = InitSettings()
    chunker: AdaptiveChunkerSettings = AdaptiveChunkerSettings()
    optimizer: UnifiedOptimizerSettings = UnifiedOptimizerSettings()
    memory: MemorySettings = MemorySettings()
    device: DeviceSettings = DeviceSettings()
    logging: LoggingSettings = LoggingSettings()
    data: DataSettings = DataSettings()
    decoder: DecoderSettings = DecoderSettings()

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        if self.model.state_size % self.functional.heads:
            raise ValueError(
                f"functional.heads = {self.functional.heads} must divide "
                f"model.state_size = {self.model.state_size}"
            )
        if self.training.precision == "bfloat16" and self.device.device == "cpu":
            raise ValueError(
                "training.precision = 'bfloat16' needs a CUDA device; "
                "set device.device = 'cuda' or training.precision = 'float32'"
            )
        if self.data.source != "docstrings":
            suffix = Path(self.data.source).suffix.lower()
            if not re.fullmatch(r"\.(txt|csv|jsonl|parquet)", suffix):
                raise ValueError(
                    f"data.source = {self.data.source!r} must be 'docstrings' or a "
                    ".txt, .csv, .jsonl or .parquet file"
                )
        return self


def with_changes(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """Return settings with ``{"group.key": value}`` applied and everything validated again.

    Raises:
        SettingsError: on unknown keys, wrong types or impossible values.
    """
    tree: dict[str, Any] = settings.model_dump()
    problems: dict[str, str] = {}
    for name, value in changes.items():
        group, dot, key = name.partition(".")
        if group not in tree:
            problems[name] = f"unknown setting (value {shown(value)}); known groups: {', '.join(tree)}"
        elif not (dot and key):
            problems[name] = f"{shown(value)} is not possible for a group; set one of its keys, {group}.KEY"
        else:
            tree[group][key] = value
    if problems:
        raise SettingsError(problems=problems)
    return Settings(**tree)


def flat_fields() -> Iterator[tuple[str, FieldInfo]]:
    """Yield every setting of the tree as (``group.key``, its field)."""
    for group, group_field in Settings.model_fields.items():
        kind = group_field.annotation
        assert isinstance(kind, type)
        assert issubclass(kind, SettingsGroup)
        for key, field in kind.model_fields.items():
            yield f"{group}.{key}", field


def marked(mark: str, value: object) -> tuple[str, ...]:
    """Return the settings whose mark (an argument of `setting`, such as ``live``) has a value."""
    return tuple(name for name, field in flat_fields() if _marks(field)[mark] == value)


def describe(field: FieldInfo) -> str:
    """Return what a setting does and what its marks mean, in sentences."""
    marks = _marks(field)
    live = "It can change while a training runs." if marks["live"] else ""
    return " ".join(filter(None, (field.description, live, _IN_FORKS[str(marks["fork"])])))


_IN_FORKS = {
    "free": "",
    "fixed": "A fork of a run cannot change it.",
    "unused": "A fork of a run does not use it.",
}


def _marks(field: FieldInfo) -> dict[str, Any]:
    marks = field.json_schema_extra
    assert isinstance(marks, dict)
    return marks


LIVE_SETTINGS: frozenset[str] = frozenset(marked("live", True))


def differences(before: Settings, after: Settings) -> dict[str, tuple[Any, Any]]:
    """Return ``{"group.key": (before, after)}`` for every setting that differs."""
    return {
        name: (old, new)
        for name, _ in flat_fields()
        if (old := get_value(before, name)) != (new := get_value(after, name))
    }


def get_value(settings: Settings, name: str) -> Any:
    """Return the value of ``group.key``."""
    group, _, key = name.partition(".")
    return getattr(getattr(settings, group), key)
