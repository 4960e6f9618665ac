"""The settings tree refuses what is wrong, with key, value and remedy, and describes every field."""

from typing import Any

import pytest
from pydantic import ValidationError

from cellnet.errors import SettingsError
from cellnet.settings import (
    LIVE_SETTINGS,
    PRESET_NAMES,
    LatticeSettings,
    NeighborSettings,
    Settings,
    differences,
    flat_fields,
    get_value,
    preset,
    with_changes,
)


@pytest.mark.parametrize("name", PRESET_NAMES)
def test_presets_are_valid(name: str) -> None:
    assert Settings(**preset(name).model_dump()) == preset(name)


def test_presets_hold_what_they_promise() -> None:
    assert PRESET_NAMES == ("quickstart", "seed", "balanced", "large", "corpus")
    assert preset("seed").lattice.dimensions == (8, 8, 8)
    assert preset("large").lattice.dimensions == (37, 37, 37)
    assert preset("quickstart").embedding.teacher == "minilm"
    assert preset("quickstart").embedding.teacher_width == 384
    corpus = preset("corpus")
    assert corpus.embedding.type == "autoencoder"
    assert 0 < corpus.training.codec_steps < corpus.training.max_steps
    balanced = preset("balanced").lattice
    assert balanced.replace(adaptive_radius_ratio=0.28) == preset("quickstart").lattice
    assert (balanced.adaptive_radius_ratio, balanced.local_distance_ratio) == (0.22, 0.6)
    assert (balanced.functional_distance_ratio, balanced.distant_distance_ratio) == (0.85, 1.0)


def test_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="'huge'; known: quickstart, seed, balanced, large, corpus"):
        preset("huge")


def test_thresholds_are_computed_from_the_ratios_alone() -> None:
    lattice = LatticeSettings(
        dimensions=(4, 10, 6),
        adaptive_radius_ratio=0.5,
        local_distance_ratio=0.3,
        functional_distance_ratio=0.7,
        distant_distance_ratio=0.9,
    )
    assert lattice.cell_count == 240
    assert lattice.max_radius == pytest.approx(5.0)
    assert NeighborSettings().get_distance_thresholds(lattice) == pytest.approx((1.5, 3.5, 4.5))
    assert not {name for name in LatticeSettings.model_fields if "threshold" in name}
    assert not {name for name in NeighborSettings.model_fields if "distance" in name or "threshold" in name}


@pytest.mark.parametrize(
    ("key", "value", "parts"),
    [
        ("model.stepz", 3, ["unknown", "3", "steps"]),
        ("modell.steps", 3, ["unknown", "3", "model"]),
        ("model.steps", "5", ["'5'", "integer"]),
        ("model.steps", True, ["True", "integer"]),
        ("model.steps", 2.5, ["2.5", "integer"]),
        ("model.steps", 0, ["0", "greater than or equal to 1"]),
        ("model.steps", None, ["None", "integer"]),
        ("training.learning_rate", "fast", ["'fast'", "number"]),
        ("training.learning_rate", float("nan"), ["nan", "finite"]),
        ("training.clip_norm", float("inf"), ["inf", "finite"]),
        ("training.batch_size", 3, ["3", "greater than or equal to 4"]),
        ("embedding.type", "quantum", ["'quantum'", "'linear'", "'hierarchical'"]),
        ("optimizer.cache_statistics", "yes", ["'yes'", "boolean"]),
        ("device.device", "gpu", ["'gpu'", "pattern"]),
        ("lattice.dimensions", (2, 8, 8), ["[2, 8, 8]", "between 3 and 128"]),
        ("lattice.boundary", 3, ["3", "'open' or 'toroidal'"]),
    ],
)
def test_wrong_values_are_refused_with_key_value_and_remedy(key: str, value: Any, parts: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        with_changes(Settings(), {key: value})
    assert list(caught.value.problems) == [key]
    for part in parts:
        assert part in caught.value.problems[key]
    assert str(caught.value).startswith(f"{key}: ")


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        with_changes(Settings(), {"model.steps": 0, "loss.similarity": -1.0, "gate.temperature": 0.0})
    assert set(caught.value.problems) == {"model.steps", "loss.similarity", "gate.temperature"}


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"lattice.local_distance_ratio": 0.9}, "must not decrease"),
        ({"model.state_size": 32, "functional.heads": 5}, "functional.heads = 5 must divide"),
        ({"training.precision": "bfloat16"}, "needs a CUDA device"),
        ({"data.min_characters": 10, "data.max_characters": 5}, "min_characters 10 exceeds"),
        ({"data.source": "sentences.doc"}, r"\.txt, \.csv, \.jsonl or \.parquet"),
    ],
)
def test_settings_that_do_not_fit_each_other(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(SettingsError, match=match):
        with_changes(Settings(), changes)


def test_the_tree_is_frozen() -> None:
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.model.steps = 7
    with pytest.raises(ValidationError):
        settings.model = settings.model


def test_with_changes_applies_and_leaves_the_rest() -> None:
    before = Settings()
    after = with_changes(before, {"model.steps": 7, "lattice.dimensions": [4, 5, 6]})
    assert differences(before, after) == {
        "model.steps": (5, 7),
        "lattice.dimensions": ((8, 8, 8), (4, 5, 6)),
    }
    assert before == Settings()
    assert get_value(after, "model.steps") == 7
    assert with_changes(before, {}) == before


@pytest.mark.parametrize("name", ["lattice", "lattice.", "nothing", "", "."])
def test_with_changes_refuses_what_is_no_setting(name: str) -> None:
    for value in (3, {"dimensions": [4, 4, 4]}):
        with pytest.raises(SettingsError) as caught:
            with_changes(Settings(), {name: value})
        assert list(caught.value.problems) == [name]


def test_every_field_describes_itself() -> None:
    for name, field in flat_fields():
        assert field.title, name
        assert field.description, name
        assert field.description.endswith("."), name
        extra = field.json_schema_extra
        assert isinstance(extra, dict), name
        assert set(extra) == {"unit", "live", "fork"}, name


def test_every_number_has_a_range() -> None:
    for name, field in flat_fields():
        if field.annotation in (int, float):
            bounds = {type(limit).__name__ for limit in field.metadata}
            assert bounds & {"Ge", "Gt"}, f"{name} has no lower bound"


def test_live_settings_are_the_ones_a_running_training_can_take() -> None:
    losses = [
        "reconstruction",
        "similarity",
        "diversity",
        "emergence",
        "lattice_dynamics",
        "spatial_consistency",
    ]
    ratios = (
        "adaptive_radius_ratio",
        *(f"{tier}_distance_ratio" for tier in ("local", "functional", "distant")),
    )
    assert {
        *(f"loss.{name}" for name in losses),
        *(f"lattice.{name}" for name in ratios),
        "training.learning_rate",
        "gate.temperature",
    } <= LIVE_SETTINGS
    assert "lattice.dimensions" not in LIVE_SETTINGS
    assert "model.state_size" not in LIVE_SETTINGS
