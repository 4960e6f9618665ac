"""Named starting points of the settings tree."""

from __future__ import annotations

from typing import Any

from cellnet.errors import SettingsError
from cellnet.settings.tree import Settings

_BALANCED_RATIOS = {
    "adaptive_radius_ratio": 0.22,
    "local_distance_ratio": 0.6,
    "functional_distance_ratio": 0.85,
    "distant_distance_ratio": 1.0,
}

_WIDE_RATIOS = _BALANCED_RATIOS | {"adaptive_radius_ratio": 0.28}
"""A little wider than balanced, so that nearly every pair of surface values meets in some cell."""

_MINILM = {"teacher": "minilm", "teacher_width": 384, "normalize": True}

_PRESETS: dict[str, dict[str, Any]] = {
    "quickstart": {
        "lattice": _WIDE_RATIOS,
        # On one face all 64 numbers meet within a few steps as well, and without the weights that each cell
        # of the other five would have, the student has a third fewer.
        "embedding": _MINILM
        | {
            "placement_strategy": "face",
            "lifting_strategy": "whole_surface",
            "extraction_strategy": "weighted_surface",
        },
        # Two CPU cores see too few samples: narrower experts and single integration steps see more than
        # twice as many in the same time, which is worth more than what they lose.
        "local": {"hidden_size": 16},
        "functional": {"hidden_size": 16, "integration_steps": 1},
        "distant": {"hidden_size": 16, "integration_steps": 1},
        "gate": {"hidden_size": 16},
        # Measured on two CPU cores: a high rate for few small batches, and much weight decay against
        # learning some thousand sentences by heart.
        "training": {
            "batch_size": 16,
            "learning_rate": 4e-3,
            "weight_decay": 0.3,
            "warmup_steps": 50,
            "max_steps": 1200,
            "validate_every": 50,
        },
    },
    "seed": {},
    "balanced": {"lattice": _BALANCED_RATIOS},
    "large": {
        "lattice": {"dimensions": (37, 37, 37)},
        "training": {"batch_size": 8},
    },
    # Many sentences and a GPU: a wide codec that learns alone at first, on variants of the sentences and on
    # places between them, without which it would learn its sentences by heart; then the cube, each of whose
    # placed cells is given a mixture of the whole surface.
    "corpus": {
        "lattice": _WIDE_RATIOS,
        "model": {"state_size": 16},
        "embedding": _MINILM
        | {
            "type": "autoencoder",
            "hidden_size": 4096,
            "decoder_hidden_size": 1024,
            "lifting_strategy": "whole_surface",
            "extraction_strategy": "volume_projection",
            "refinement_steps": 6,
        },
        "local": {"hidden_size": 32},
        "functional": {"hidden_size": 32, "integration_steps": 1},
        "distant": {"hidden_size": 32, "integration_steps": 1},
        "init": {"gain": 0.5},
        "data": {"variants": 4, "validation_fraction": 0.02},
        "training": {
            "batch_size": 512,
            "weight_decay": 0.1,
            "interpolation": 0.5,
            "warmup_steps": 200,
            "codec_steps": 2000,
            "max_steps": 20_000,
            "validate_every": 500,
            "checkpoint_every": 4000,
        },
    },
}

PRESET_NAMES: tuple[str, ...] = tuple(_PRESETS)


def preset(name: str) -> Settings:
    """Return the settings called ``name``.

    Raises:
        SettingsError: if there is no such preset.
    """
    if name not in _PRESETS:
        raise SettingsError(f"unknown preset {name!r}; known: {', '.join(PRESET_NAMES)}")
    return Settings(**_PRESETS[name])
