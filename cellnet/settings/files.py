"""Settings as TOML text and as flat ``group.key`` pairs."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tomli_w
from pydantic.fields import FieldInfo

from cellnet.errors import SettingsError
from cellnet.settings.base import SettingsGroup, shown
from cellnet.settings.groups import Settings

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


def is_live(field: FieldInfo) -> bool:
    """Whether the setting may change while a training runs."""
    extra = field.json_schema_extra
    return isinstance(extra, dict) and bool(extra["live"])


LIVE_SETTINGS: frozenset[str] = frozenset(name for name, field in flat_fields() if is_live(field))


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
