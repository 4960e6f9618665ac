"""The base of every settings group: frozen, strict, and able to describe its own fields."""

from __future__ import annotations

from reprlib import Repr
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.config import JsonDict

from cellnet.errors import SettingsError

_SHORTENED = Repr()
_SHORTENED.maxstring = _SHORTENED.maxother = _SHORTENED.maxlong = 200
_SHORTENED.maxlevel = 3


def shown(value: object) -> str:
    """Return a value as an error message shows it: huge and deeply nested ones are shortened."""
    return _SHORTENED.repr(value)


Fork = Literal["free", "fixed", "unused"]
"""What a fork, which begins with the weights of another run, may do with a setting: change it, not change
it since the shape or the meaning of weights depends on it, or not use it since it only says how weights
start."""


def setting(
    default: Any,
    *,
    label: str,
    help: str,
    unit: str = "",
    live: bool = False,
    fork: Fork = "free",
    **limits: Any,
) -> Any:
    """Declare one setting.

    Args:
        default: the value when nothing is given.
        label: a short name for forms.
        help: one or two sentences on what the setting does.
        unit: the unit of the value, empty for a plain number.
        live: whether the setting may change while a training runs.
        fork: what a fork of a run may do with the setting.
        limits: pydantic constraints (``ge``, ``le``, ``gt``, ``lt``, ``min_length`` ...), from
            which forms take their range.
    """
    extra: JsonDict = {"unit": unit, "live": live, "fork": fork}
    return Field(default, title=label, description=help, json_schema_extra=extra, **limits)


class SettingsGroup(BaseModel):
    """A frozen group of settings. Unknown keys, wrong types and impossible values raise `SettingsError`."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, strict=True, allow_inf_nan=False
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SettingsError(problems=find_problems(error, type(self))) from None

    def replace(self, **changes: Any) -> Any:
        """Return a validated copy with some top-level fields changed."""
        return type(self)(**{**self.model_dump(), **changes})


def find_problems(error: ValidationError, group: type[BaseModel]) -> dict[str, str]:
    """Turn a pydantic error into ``{key: what is wrong and what would be right}``."""
    problems: dict[str, str] = {}
    for item in error.errors(include_url=False):
        key = ".".join(str(part) for part in item["loc"])
        cause = item.get("ctx", {}).get("error")
        if isinstance(cause, SettingsError):
            for below, text in cause.problems.items():
                problems[f"{key}.{below}" if below else key] = text
        elif item["type"] == "extra_forbidden":
            known = ", ".join(group.model_fields)
            problems[key] = f"unknown setting (value {shown(item['input'])}); known here: {known}"
        elif item["type"] == "value_error":
            problems[key] = str(cause)
        else:
            problems[key] = f"{shown(item['input'])} is not possible: {item['msg']}"
    return problems
