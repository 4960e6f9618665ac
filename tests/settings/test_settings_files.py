"""Settings as TOML: a round trip loses nothing, and malformed files are refused as settings errors."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellnet.errors import SettingsError
from cellnet.settings import (
    PRESET_NAMES,
    Settings,
    from_toml,
    load_toml,
    preset,
    save_toml,
    to_toml,
    with_changes,
)


@pytest.mark.parametrize("name", PRESET_NAMES)
def test_round_trip_of_presets(name: str, tmp_path: Path) -> None:
    settings = preset(name)
    assert from_toml(to_toml(settings)) == settings
    save_toml(settings, tmp_path / "a.toml")
    assert load_toml(tmp_path / "a.toml") == settings


@given(
    ratios=st.lists(st.floats(0.0, 1.0), min_size=3, max_size=3).map(sorted),
    dimensions=st.tuples(*[st.integers(3, 128)] * 3),
    rate=st.floats(1e-9, 1.0),
    steps=st.integers(1, 100),
    text=st.text(min_size=1, max_size=20),
)
def test_round_trip_of_any_values(
    ratios: list[float], dimensions: tuple[int, int, int], rate: float, steps: int, text: str
) -> None:
    local, functional, distant = ratios
    settings = with_changes(
        Settings(),
        {
            "lattice.local_distance_ratio": local,
            "lattice.functional_distance_ratio": functional,
            "lattice.distant_distance_ratio": distant,
            "lattice.dimensions": dimensions,
            "training.learning_rate": rate,
            "model.steps": steps,
            "embedding.teacher": text,
        },
    )
    assert from_toml(to_toml(settings)) == settings


def test_absent_keys_keep_the_value_of_the_base() -> None:
    base = preset("quickstart")
    settings = from_toml("[model]\nsteps = 9\n", base)
    assert settings == with_changes(base, {"model.steps": 9})
    assert from_toml("", base) == base
    assert from_toml("[model]\n", base) == base


@pytest.mark.parametrize(
    "text",
    [
        'lattice = 3\n"lattice.x" = 1',
        "lattice = 3",
        "[[lattice]]\nx = 1",
        "[nothing]\nx = 1",
        "[nothing]",
        "nothing = 1",
        "[lattice.dimensions]\nx = 1",
        "[lattice]\ndimensions = [8, 8]",
        "[lattice]\ndimensions = [8, 8, 8.5]",
        "[model]\nsteps = '5'",
        "[model]\nsteps = true",
        "[model]\nsteps = 1979-05-27",
        "[training]\nlearning_rate = nan",
        "[training]\nclip_norm = inf",
        "[model\nsteps = 5",
        "[model]\nsteps = 5\nsteps = 6",
        "a = " + "[" * 5000 + "]" * 5000,
        "a = " + "{a=" * 5000 + "1" + "}" * 5000,
        "a." * 3000 + "b = 1",
        "lattice.dimensions." + "x." * 800 + "b = 1",
        "[lattice]\ndimensions = " + "[" * 400 + "]" * 400,
    ],
)
def test_malformed_toml_is_a_short_settings_error(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        from_toml(text)
    assert len(str(caught.value)) < 2000


def test_missing_huge_and_binary_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    with pytest.raises(SettingsError, match="no settings file at"):
        load_toml(path)
    path.write_bytes(b"#" * 65_537)
    with pytest.raises(SettingsError, match="larger than 65536 bytes"):
        load_toml(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="not UTF-8"):
        load_toml(path)
