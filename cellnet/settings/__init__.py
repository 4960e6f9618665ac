"""Settings: one frozen, validated tree for Python, the command line and the browser."""

from cellnet.settings.base import SettingsGroup
from cellnet.settings.data import DataSettings
from cellnet.settings.decoder import DecoderSettings
from cellnet.settings.embedding import EmbeddingSettings
from cellnet.settings.files import from_toml, load_toml, save_toml, to_toml
from cellnet.settings.lattice import DistanceThresholds, LatticeSettings, NeighborSettings
from cellnet.settings.loss import LOSS_NAMES, LOSSES, LossSettings
from cellnet.settings.presets import PRESET_NAMES, preset
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
from cellnet.settings.tree import (
    LIVE_SETTINGS,
    Settings,
    describe,
    differences,
    flat_fields,
    get_value,
    marked,
    with_changes,
)

__all__ = [
    "LIVE_SETTINGS",
    "LOSSES",
    "LOSS_NAMES",
    "PRESET_NAMES",
    "AdaptiveChunkerSettings",
    "DataSettings",
    "DecoderSettings",
    "DeviceSettings",
    "DistanceThresholds",
    "DistantExpertSettings",
    "EmbeddingSettings",
    "FunctionalExpertSettings",
    "GateSettings",
    "InitSettings",
    "LatticeSettings",
    "LocalExpertSettings",
    "LoggingSettings",
    "LossSettings",
    "MemorySettings",
    "ModelSettings",
    "NeighborSettings",
    "Settings",
    "SettingsGroup",
    "TrainingSettings",
    "UnifiedOptimizerSettings",
    "describe",
    "differences",
    "flat_fields",
    "from_toml",
    "get_value",
    "load_toml",
    "marked",
    "preset",
    "save_toml",
    "to_toml",
    "with_changes",
]
