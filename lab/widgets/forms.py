"""Widgets made from the settings tree: label, help, range and unit come from the field itself."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args, get_origin

import annotated_types
import streamlit as st
from pydantic.fields import FieldInfo
from streamlit.delta_generator import DeltaGenerator

from cellnet.errors import SettingsError
from cellnet.settings import Settings, describe, flat_fields, get_value, with_changes

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
    """Return the help of a setting: its meaning, range, and name in a settings file."""
    field = FIELDS[name]
    range_text = field_bounds(field).text.replace(f"{_LEAST:g}", "just above 0")
    allowed = f" Range: {range_text}." if range_text else ""
    return f"{describe(field)}{allowed} In files: `{name}`."


class Form:
    """The widgets of some settings, as one run of a page draws them.

    A widget starts with the value of its setting and is never given another: Streamlit tells the browser of
    a value that the program writes in one run only, and where the next run overtakes that one, the browser
    goes on to show the old value and sends it back. A setting that should show another value gets another
    widget instead, with a key of its own.
    """

    def __init__(self, key: str, settings: Settings, *, follows: bool = False) -> None:
        """Begin to draw.

        Args:
            key: identity of the form; widgets are keyed ``key.generation.group.name``.
            settings: what the widgets start with.
            follows: whether to show it when someone else changes the settings, such as another tab. What
                `checked` returns must then become the settings of the next run, else it is taken for that.
        """
        self.settings = settings
        self.values: dict[str, Any] = {}
        self.problems: dict[str, str] = {}
        self._key = key
        self._follows = follows
        self._places: dict[str, DeltaGenerator] = {}
        self._widgets = _widgets(key)

    def fields(self, names: Iterable[str]) -> None:
        """Draw widgets below each other, and below each a place for what is wrong with it."""
        for name in names:
            value = get_value(self.settings, name)
            widget = self._widgets.setdefault(name, _Widget(value))
            if widget.value is _NOTHING or (self._follows and widget.value != value):
                widget.value = value
                widget.generation += 1
            self.values[name] = _field(name, value, f"{self._key}.{widget.generation}.{name}")
            self._places[name] = st.empty()

    def checked(self, others: Mapping[str, Any] | None = None) -> Settings:
        """The settings with what the widgets are set to, or as they were; says what is wrong at its field.

        Args:
            others: further ``{"group.key": value}`` to apply.
        """
        try:
            settings = with_changes(self.settings, {**(others or {}), **self.values})
        except SettingsError as error:
            settings, self.problems = self.settings, error.problems
        self._show_problems()
        if self._follows:
            for name in self.values:
                self._widgets[name].value = get_value(settings, name)
        return settings

    def _show_problems(self) -> None:
        """Each at its own field, and what belongs to no field of these below them."""
        for name, text in self.problems.items():
            if name in self._places:
                self._places[name].error(text)
            else:
                st.error(f"{group_label(name)}: {text}" if name else text)


def renew(key: str) -> None:
    """Let the form under ``key`` show its settings, whatever was typed into it."""
    for widget in _widgets(key).values():
        widget.value = _NOTHING


def typed(key: str) -> dict[str, Any]:
    """Return the values set in widgets under ``key`` since they were drawn, ``{"group.key": value}``.

    A callback runs before its page is drawn again, and may need to know it.
    """
    values = {}
    for name, widget in _widgets(key).items():
        if widget.value is not _NOTHING:
            value = _state(f"{key}.{widget.generation}.{name}", widget.value)
            if value != widget.value:
                values[name] = value
    return values


def _state(key: str, value: Any) -> Any:
    """Return the state of a widget, or else the value; a tuple has a widget for each number."""
    if isinstance(value, tuple):
        return tuple(
            st.session_state.get(f"{key}.{axis}", number) for axis, number in zip("xyz", value, strict=True)
        )
    return st.session_state.get(key, value)


@dataclass
class _Widget:
    """The newest widget of a setting: the value that it shows unless what was typed is impossible."""

    value: Any
    generation: int = 0


_NOTHING: Final = object()


def _widgets(key: str) -> dict[str, _Widget]:
    """The widgets of a form in this session."""
    widgets: dict[str, _Widget] = st.session_state.setdefault(f"{key}.widgets", {})
    return widgets


def _field(name: str, value: Any, key: str) -> Any:
    """Draw the widget that suits ``group.key`` and return what it is set to."""
    field = FIELDS[name]
    kind = field.annotation
    label, words = field_label(name), field_help(name)
    if get_origin(kind) is Literal:
        options = list(get_args(kind))
        return st.selectbox(label, options, index=options.index(value), key=key, help=words)
    if get_origin(kind) is tuple:
        return _numbers(name, value, key)
    if kind is bool:
        return st.checkbox(label, value, key=key, help=words)
    if kind is str:
        return st.text_input(label, value, key=key, help=words)
    if kind is float and _is_share(field):
        return st.slider(label, 0.0, 1.0, value, step=_SHARE_STEP, format="%.3f", key=key, help=words)
    return _number(name, value, key)


def _unit(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    return str(extra["unit"]) if isinstance(extra, dict) else ""


def _is_share(field: FieldInfo) -> bool:
    """Whether a slider from 0 to 1 suits the field: a share, and not one of thousandths."""
    bounds = field_bounds(field)
    inside = bounds.low is not None and bounds.high is not None and bounds.low >= 0 and bounds.high <= 1
    return inside and field.default >= _LEAST_SHARE


def _number(name: str, value: float, key: str) -> float | int:
    field = FIELDS[name]
    label, words, bounds = field_label(name), field_help(name), field_bounds(field)
    if field.annotation is int:
        least, most = (None if end is None else int(end) for end in (bounds.low, bounds.high))
        return int(st.number_input(label, least, most, int(value), step=1, key=key, help=words))
    step = 10.0 ** math.floor(math.log10(value)) if value > 0 else 0.1
    number: float = st.number_input(
        label,
        None if bounds.low is None else float(bounds.low),
        None if bounds.high is None else float(bounds.high),
        float(value),
        step=min(step, 0.1),
        format="%.6g",
        key=key,
        help=words,
    )
    return number


def _numbers(name: str, value: tuple[int, ...], key: str) -> tuple[int, ...]:
    title, words = FIELDS[name].title, field_help(name)
    return tuple(
        column.number_input(f"{title} {axis}", value=number, step=1, key=f"{key}.{axis}", help=words)
        for axis, column, number in zip("xyz", st.columns(3), value, strict=True)
    )
