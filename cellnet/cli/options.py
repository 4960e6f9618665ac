"""Flags that several commands share: every setting as a flag, made from the settings tree itself."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from cellnet.settings import PRESET_NAMES, Settings, describe, flat_fields, load_toml, preset, with_changes

DEFAULT_PRESET = "quickstart"
DEFAULT_RUNS = Path("runs")

_SHORTCUTS = {"data.source": "--data", "training.max_steps": "--max-steps", "device.device": "--device"}
_PREFIX = "setting:"


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add ``--preset``, ``--config`` and every setting as ``--group.key VALUE``."""
    group = parser.add_argument_group("settings", "later ones win: the preset, the file, the flags")
    group.add_argument(
        "--preset",
        choices=PRESET_NAMES,
        help=f"where the settings start; {DEFAULT_PRESET} unless given, which needs no network",
    )
    group.add_argument("--config", type=Path, metavar="FILE.toml", help="what differs from the preset")
    add_setting_flags(parser)


def add_setting_flags(parser: argparse.ArgumentParser, *only: str) -> None:
    """Add settings as flags, all of them or those that are named (``group.key``)."""
    groups: dict[str, Any] = {}
    for name, field in flat_fields():
        if only and name not in only:
            continue
        group_name = name.partition(".")[0]
        if group_name not in groups:
            title = Settings.model_fields[group_name].annotation
            groups[group_name] = parser.add_argument_group(f"settings of {group_name}", title.__doc__)
        flags = [f"--{name}", *([_SHORTCUTS[name]] if name in _SHORTCUTS else [])]
        convert, metavar = _kind(field)
        groups[group_name].add_argument(
            *flags,
            dest=_PREFIX + name,
            type=convert,
            metavar=metavar,
            default=argparse.SUPPRESS,
            help=_help(field).replace("%", "%%"),
        )


def changes_from(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that were given as flags, ``{"group.key": value}``."""
    return {
        name.removeprefix(_PREFIX): value
        for name, value in vars(arguments).items()
        if name.startswith(_PREFIX)
    }


def settings_from(arguments: argparse.Namespace) -> Settings:
    """Return the settings of preset, file and flags, with the teacher's width where they leave it open.

    Raises:
        SettingsError: naming the setting, the value and what would be right.
        TeacherError: if the teacher that is to tell its width is not there.
    """
    from cellnet.teacher import resolve_teacher  # imports torch, which takes a second

    settings = preset(arguments.preset or DEFAULT_PRESET)
    if arguments.config is not None:
        settings = load_toml(arguments.config, settings)
    return resolve_teacher(with_changes(settings, changes_from(arguments)))


def add_runs_folder(parser: argparse.ArgumentParser) -> None:
    """Add ``--runs DIR``."""
    parser.add_argument(
        "--runs", type=Path, default=DEFAULT_RUNS, metavar="DIR", help="folder of the runs (%(default)s)"
    )


def add_model_source(parser: argparse.ArgumentParser, **options: Any) -> None:
    """Add the argument that names a model, and what goes with it."""
    parser.add_argument(
        "model",
        metavar="RUN",
        help="a run (its id, the start of it, or 'latest'), the folder of a checkpoint, or a folder that "
        "export wrote",
        **options,
    )
    add_runs_folder(parser)
    parser.add_argument(
        "--step", type=int, help="step of the run's checkpoint; by default the best, else the newest"
    )


def _kind(field: FieldInfo) -> tuple[Any, str]:
    kind = field.annotation
    if get_origin(kind) is Literal:
        return str, "{" + ",".join(map(str, get_args(kind))) + "}"
    if kind is bool:
        return _truth, "true|false"
    if get_origin(kind) is tuple:
        return _integers, ",".join("XYZ")
    assert kind in (int, float, str)
    return kind, {"int": "N", "float": "X", "str": "TEXT"}[kind.__name__]


def _truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text == "true"


def _integers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of whole numbers such as 8,8,8") from None


def _help(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    unit = str(extra["unit"]) if isinstance(extra, dict) else ""
    return describe(field) + (f" Unit: {unit}." if unit else "")
