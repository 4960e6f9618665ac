"""HTML from plain values, by Jinja2: all text is escaped, and what is markup already is left as it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from cellnet.lattice.geometry import GeometryReport
from lab.figures.colors import EXPERT_COLORS

_ENVIRONMENT: Final = Environment(
    autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


def markup(template: str, **values: Any) -> Markup:
    """Fill a Jinja2 template, given as its text."""
    return Markup(_compiled(template).render(values))  # noqa: S704


@cache
def _compiled(template: str) -> Template:
    return _ENVIRONMENT.from_string(template)


def table_markup(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Markup:
    """Return a table; its cells are text or markup."""
    return markup(
        '<table class="lab-table"><thead><tr>'
        "{% for cell in head %}<th>{{ cell }}</th>{% endfor %}</tr></thead><tbody>"
        "{% for row in rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>{% endfor %}"
        "</tbody></table>",
        head=head,
        rows=rows,
    )


def facts_markup(facts: Mapping[str, str]) -> Markup:
    """Return names and values as a table without a head."""
    return table_markup([], facts.items())


def facts_line(facts: Mapping[str, str]) -> Markup:
    """Return names and values in one line."""
    return markup(
        '<div class="lab-line">{% for name, value in facts.items() %}'
        '<span class="lab-fact"><small>{{ name }}</small>{{ value }}</span>{% endfor %}</div>',
        facts=facts,
    )


def named_color(color: str, name: str) -> Markup:
    """Return a name with a square of its color."""
    return markup('<i style="background: {{ color }}"></i>{{ name }}', color=color, name=name)


def quote_markup(text: str) -> Markup:
    """Return a sentence as a quotation."""
    return markup('<div class="lab-said"><q>{{ text }}</q></div>', text=text)


def note_markup(text: str) -> Markup:
    """Return a sentence in small letters."""
    return markup('<p class="lab-note">{{ text }}</p>', text=text)


def command_markup(text: str) -> Markup:
    """Return a line for a terminal, which a click selects."""
    return markup('<pre class="lab-command">{{ text }}</pre>', text=text)


def link_markup(text: str, address: str, *, help: str) -> Markup:
    """Return a link to a file, which looks like a button."""
    return markup(
        '<a class="lab-link" href="{{ address }}" title="{{ help }}" download>{{ text }}</a>',
        text=text,
        address=address,
        help=help,
    )


def tier_markup(report: GeometryReport) -> Markup:
    """Return the population of each tier as a table."""
    rows, inner = [], 0.0
    for tier, outer in zip(report.tiers, report.thresholds, strict=True):
        people = report.tiers[tier]
        rows.append(
            [
                named_color(EXPERT_COLORS[tier], tier),
                f"{inner:.2f} to {outer:.2f}",
                f"{people.mean:.1f}",
                f"{people.min} to {people.max}",
                f"{people.edges:,}",
            ]
        )
        inner = outer
    return table_markup(["tier", "distance (cells)", "neighbors, mean", "min to max", "connections"], rows)
