"""Settings as TOML text and files."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tomli_w

from cellnet.errors import SettingsError
from cellnet.settings.tree import Settings, with_changes

MAX_TOML_BYTES = 65_536


def to_toml(settings: Settings) -> str:
    """Return the whole tree as TOML."""
    return tomli_w.dumps(settings.model_dump(mode="json"))


def from_toml(text: str, base: Settings | None = None) -> Settings:
    """Read settings from TOML text; keys that are absent keep the value they have in ``base``.

    Raises:
        SettingsError: on malformed TOML, unknown keys or impossible values.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"the settings are not valid TOML: {error}") from None
    except RecursionError:
        raise SettingsError(
            "the settings are nested too deeply; a settings file holds [group] and, below it, key = value"
        ) from None
    return with_changes(base or Settings(), dict(_flatten(values)))


def load_toml(path: Path, base: Settings | None = None) -> Settings:
    """Read settings from a TOML file (see `from_toml`)."""
    if not path.is_file():
        raise SettingsError(f"no settings file at {path}")
    if path.stat().st_size > MAX_TOML_BYTES:
        raise SettingsError(f"{path} is larger than {MAX_TOML_BYTES} bytes, so it is no settings file")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is no settings file, since it is not UTF-8 text: {error}") from None
    return from_toml(text, base)


def save_toml(settings: Settings, path: Path) -> None:
    """Write the whole tree to a TOML file."""
    path.write_text(to_toml(settings), encoding="utf-8")


def _flatten(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and (value or key in Settings.model_fields):
            yield from ((f"{key}.{below}", item) for below, item in value.items())
        else:
            yield key, value
