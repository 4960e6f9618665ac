"""Widgets made from the settings tree: label, help, range and unit come from the field itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args, get_origin

import annotated_types
import streamlit as st
from pydantic.fields import FieldInfo

from cellnet.errors import SettingsError
from cellnet.settings import Settings, flat_fields, get_value, with_changes

FIELDS: Final[dict[str, FieldInfo]] = dict(flat_fields())
GROUPS: Final = tuple(dict.fromkeys(name.partition(".")[0] for name in FIELDS))
_SHARE_STEP: Final = 0.005
_LEAST_SHARE: Final = 0.05
_LEAST: Final = 1e-9


@dataclass(frozen=True)
class Bounds:
    """Smallest and largest value of a number; None where there is no limit."""

    low: float | None
    high: float | None

    @property
    def text(self) -> str:
        """For people; empty without limits."""
        if self.low is None and self.high is None:
            return ""
        if self.low is None or self.high is None:
            return f"at least {self.low:g}" if self.high is None else f"at most {self.high:g}"
        return f"{self.low:g} to {self.high:g}"


def field_bounds(field: FieldInfo) -> Bounds:
    """The limits that the field declares; an open limit is moved in by the least step that matters."""
    low = high = None
    step = 1 if field.annotation is int else _LEAST
    for limit in field.metadata:
        match limit:
            case annotated_types.Ge(ge):
                low = ge
            case annotated_types.Gt(gt):
                low = gt + step  # type: ignore[operator]
            case annotated_types.Le(le):
                high = le
            case annotated_types.Lt(lt):
                high = lt - step  # type: ignore[operator]
    return Bounds(low, high)  # type: ignore[arg-type]


def group_label(group: str) -> str:
    """``lattice`` as ``Lattice``."""
    return group.replace("_", " ").capitalize()


def field_label(name: str) -> str:
    """Label and unit of ``group.key``."""
    field = FIELDS[name]
    unit = _unit(field)
    return f"{field.title} ({unit})" if unit and unit != str(field.title).lower() else str(field.title)


def field_help(name: str) -> str:
    """What the setting does, its range, and its name in a settings file."""
    field = FIELDS[name]
    range_text = field_bounds(field).text.replace(f"{_LEAST:g}", "just above 0")
    allowed = f" Range: {range_text}." if range_text else ""
    return f"{field.description}{allowed} In files: `{name}`."


def field_widget(name: str, value: Any, *, key: str, disabled: bool = False) -> Any:
    """Draw the widget that suits ``group.key`` and return what it is set to.

    Args:
        value: what it shows at first; once the session has a value under ``key``, that one counts.
        key: identity of the widget.
    """
    field = FIELDS[name]
    kind = field.annotation
    shared: dict[str, Any] = {"help": field_help(name), "disabled": disabled}
    if get_origin(kind) is Literal:
        options = list(get_args(kind))
        _begin(key, value)
        return st.selectbox(field_label(name), options, index=options.index(value), key=key, **shared)
    if get_origin(kind) is tuple:
        return _numbers(name, value, key, disabled)
    _begin(key, value)
    if kind is bool:
        return st.checkbox(field_label(name), value, key=key, **shared)
    if kind is str:
        return st.text_input(field_label(name), value, key=key, **shared)
    if kind is float and _is_share(field):
        return st.slider(
            field_label(name), 0.0, 1.0, value, step=_SHARE_STEP, format="%.3f", key=key, **shared
        )
    return _number(name, value, key, shared)


def field_column(
    names: Sequence[str], settings: Settings, *, key: str, disabled: bool = False
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Draw widgets below each other.

    Returns:
        What they are set to, and below each widget an empty place for a message.
    """
    values, places = {}, {}
    for name in names:
        values[name] = field_widget(name, get_value(settings, name), key=f"{key}.{name}", disabled=disabled)
        places[name] = st.empty()
    return values, places


def checked(settings: Settings, values: Mapping[str, Any]) -> tuple[Settings, dict[str, str]]:
    """Settings with ``{"group.key": value}`` applied, or as they were, with what is wrong and where."""
    try:
        return with_changes(settings, values), {}
    except SettingsError as error:
        return settings, error.problems


def show_problems(problems: Mapping[str, str], places: Mapping[str, Any]) -> None:
    """Say what is wrong, each at its own field, and what belongs to no field of these below them."""
    for name, text in problems.items():
        if name in places:
            places[name].error(text)
        else:
            st.error(f"{group_label(name)}: {text}" if name else text)


def set_widgets(settings: Settings, key: str) -> None:
    """Let widgets that were drawn under ``key`` show these settings; before they are drawn again."""
    for name in FIELDS:
        value = get_value(settings, name)
        if f"{key}.{name}" in st.session_state:
            st.session_state[f"{key}.{name}"] = value
        for place, axis in enumerate("xyz"):
            if f"{key}.{name}.{axis}" in st.session_state:
                st.session_state[f"{key}.{name}.{axis}"] = value[place]


def _begin(key: str, value: Any) -> None:
    """A widget's first value goes through the session, from where it can be changed later.

    Every widget is given the value as its default too: a run that is cut short by the next one may not
    reach the browser, which would then show the default, 0, and send it back.
    """
    if key not in st.session_state:
        st.session_state[key] = value


def _unit(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    return str(extra["unit"]) if isinstance(extra, dict) else ""


def _is_share(field: FieldInfo) -> bool:
    """Whether a slider from 0 to 1 suits the field: a share, and not one of thousandths."""
    bounds = field_bounds(field)
    inside = bounds.low is not None and bounds.high is not None and bounds.low >= 0 and bounds.high <= 1
    return inside and field.default >= _LEAST_SHARE


def _number(name: str, value: float, key: str, shared: dict[str, Any]) -> float | int:
    bounds = field_bounds(FIELDS[name])
    if FIELDS[name].annotation is int:
        low, high = (None if end is None else int(end) for end in (bounds.low, bounds.high))
        count: int = st.number_input(
            field_label(name), min_value=low, max_value=high, value=int(value), step=1, key=key, **shared
        )
        return count
    step = 10.0 ** math.floor(math.log10(value)) if value > 0 else 0.1
    number: float = st.number_input(
        field_label(name),
        min_value=None if bounds.low is None else float(bounds.low),
        max_value=None if bounds.high is None else float(bounds.high),
        value=float(value),
        step=min(step, 0.1),
        format="%.6g",
        key=key,
        **shared,
    )
    return number


def _numbers(name: str, value: tuple[int, ...], key: str, disabled: bool) -> tuple[int, ...]:
    chosen = []
    for axis, column, number in zip("xyz", st.columns(3), value, strict=True):
        _begin(f"{key}.{axis}", number)
        label = f"{FIELDS[name].title} {axis}"
        with column:
            chosen.append(
                st.number_input(
                    label,
                    value=number,
                    step=1,
                    key=f"{key}.{axis}",
                    help=field_help(name),
                    disabled=disabled,
                )
            )
    return tuple(chosen)
