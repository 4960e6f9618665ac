"""Small charts as plain HTML, for figures that are redrawn while the training goes on: they never flicker.

They fill the width they are given; names and numbers stand beside them as text. Pointing at a mark shows
its value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from lab.figures.colors import color_table
from lab.figures.cube.scenes import quantize
from lab.figures.markup import markup

Floats = npt.NDArray[np.floating]
_POSITIVE: Final = "#0072B2"
_NEGATIVE: Final = "#D55E00"


def bars(values: Floats, *, name: str, height: int = 72, limit: float | None = None) -> Markup:
    """Return values (n,) as bars from a line through zero.

    Args:
        values: finite numbers.
        name: of one bar, such as "channel"; its index follows.
        height: in pixels.
        limit: size at the upper and lower edge; the largest size when left out.
    """
    end = float(np.abs(values).max()) if limit is None else limit
    scale = 50 / end if end > 0 else 0.0
    marks = []
    for value in values.tolist():
        size = min(50.0, abs(value) * scale)
        top = 50 - size if value >= 0 else 50.0
        marks.append((f"{value:.4g}", f"{top:.1f}", f"{size:.1f}", _color(value)))
    return markup(
        '<div class="lab-bars" style="height: {{ height }}px">'
        "{% for text, top, size, color in marks %}"
        '<div title="{{ name }} {{ loop.index0 }}: {{ text }}">'
        '<i style="top: {{ top }}%; height: {{ size }}%; background: {{ color }}"></i></div>'
        "{% endfor %}</div>",
        marks=marks,
        name=name,
        height=height,
    )


def heatmap(
    matrix: Floats,
    *,
    rows: Sequence[str],
    name: str,
    row_name: str,
    limit: float,
    row_height: int = 12,
    marked: int | None = None,
) -> Markup:
    """Return a matrix (R, n), blue above zero and orange below, with the name of each row at its left.

    Args:
        matrix: finite numbers.
        rows: R names.
        name: of a column, such as "channel".
        row_name: of a row, such as "step".
        limit: size that gets the full color.
        row_height: in pixels; below 10 only every third row has its name beside it.
        marked: row to mark.
    """
    codes = quantize(np.abs(matrix), 0.0, limit)
    marks = [
        (
            row,
            [
                (f"{_color(value)}{code:02x}", f"{value:.3g}")
                for code, value in zip(line, values, strict=True)
            ],
        )
        for row, line, values in zip(rows, codes.tolist(), matrix.tolist(), strict=True)
    ]
    every = 1 if row_height >= 10 else 3
    names = [row if place % every == 0 else "" for place, row in enumerate(rows)]
    body = markup(
        '<div class="lab-heat" style="--columns: {{ columns }}">{% for row, line in marks %}'
        "{% for color, text in line %}"
        '<i style="background: {{ color }}" '
        'title="{{ row_name }} {{ row }}, {{ name }} {{ loop.index0 }}: {{ text }}"></i>'
        "{% endfor %}{% endfor %}</div>",
        columns=matrix.shape[1],
        marks=marks,
        name=name,
        row_name=row_name,
    )
    return _rows(names, body, row_height, marked)


def stacks(
    shares: Floats,
    colors: Mapping[str, str],
    *,
    rows: Sequence[str],
    row_name: str,
    row_height: int = 14,
    marked: int | None = None,
) -> Markup:
    """Return rows of shares (R, K) that add up to 1 as stacked bars, with a name left of each row."""
    marks = [
        (
            row,
            [
                (name, color, f"{100 * share:.2f}", f"{share:.1%}")
                for (name, color), share in zip(colors.items(), line, strict=True)
            ],
        )
        for row, line in zip(rows, shares.tolist(), strict=True)
    ]
    body = markup(
        '<div class="lab-stacks">{% for row, line in marks %}<div>'
        "{% for name, color, width, text in line %}"
        '<i style="width: {{ width }}%; background: {{ color }}" '
        'title="{{ row_name }} {{ row }}, {{ name }}: {{ text }}"></i>'
        "{% endfor %}</div>{% endfor %}</div>",
        marks=marks,
        row_name=row_name,
    )
    return _rows(rows, body, row_height, marked)


def key(colors: Mapping[str, str]) -> Markup:
    """Return what colors mean, in one line."""
    return markup(
        '<div class="lab-key">{% for name, color in colors.items() %}'
        '<span><i style="background: {{ color }}"></i>{{ name }}</span>{% endfor %}</div>',
        colors=colors,
    )


STYLE: Final = """
<style>
.lab-rows { display: grid; grid-template-columns: 3.2em 1fr; gap: .5em; font-size: .72rem;
  font-variant-numeric: tabular-nums; }
.lab-rows > div:first-child > div { height: var(--row); line-height: var(--row); text-align: right;
  opacity: .75; white-space: nowrap; }
.lab-rows > div:first-child > .lab-marked { opacity: 1; font-weight: 700; }
.lab-heat { display: grid; grid-template-columns: repeat(var(--columns), 1fr); grid-auto-rows: var(--row);
  border-radius: 2px; overflow: hidden; }
.lab-stacks > div { display: flex; gap: 1px; height: var(--row); padding: 1px 0; }
.lab-bars { display: flex; position: relative; padding-left: calc(3.2em * .8 + .4em); }
.lab-bars > div { position: relative; flex: 1; background: center / 100% 1px no-repeat
  linear-gradient(rgba(128, 140, 152, .6), rgba(128, 140, 152, .6)); }
.lab-bars i { position: absolute; left: 0; right: 1px; }
.lab-key { display: flex; flex-wrap: wrap; gap: .1rem .9rem; font-size: .78rem; }
.lab-key i { display: inline-block; width: .7em; height: .7em; border-radius: 2px; margin-right: .4em; }
.lab-ramp { display: flex; gap: .6em; align-items: center; font-size: .8rem; }
.lab-ramp i { flex: 1; max-width: 200px; height: 10px; border-radius: 2px; }
.lab-ramp span:first-child { font-weight: 600; }
.lab-caption { display: flex; gap: 1em; font-size: .85rem; white-space: nowrap; }
.lab-caption q { font-style: italic; overflow: hidden; text-overflow: ellipsis; flex: 1; }
.lab-caption span { font-variant-numeric: tabular-nums; opacity: .8; }
.lab-facts { font-size: .9rem; }
.lab-list { font-size: .76rem; opacity: .85; }
.lab-list p { margin: .2rem 0; line-height: 1.35; }
.lab-part { margin: .55rem 0 .2rem; font-size: .8rem; font-weight: 600; display: flex; gap: .6em;
  justify-content: space-between; align-items: baseline; }
.lab-part span { font-weight: 400; opacity: .72; font-variant-numeric: tabular-nums; }
</style>
"""


def part(title: str, body: str, remark: str = "") -> Markup:
    """Return a titled part of a panel; its body is markup."""
    return markup(
        '<div class="lab-part">{{ title }}<span>{{ remark }}</span></div>{{ body }}',
        title=title,
        body=body,
        remark=remark,
    )


def ramp(label: str, limits: tuple[float, float], colormap: str) -> Markup:
    """Return a ramp with its ends."""
    table = color_table(colormap)
    return markup(
        '<div class="lab-ramp"><span>{{ label }}</span><span>{{ low }}</span>'
        '<i style="background: linear-gradient(to right, {{ stops }})"></i><span>{{ high }}</span></div>',
        label=label,
        low=f"{limits[0]:.4g}",
        high=f"{limits[1]:.4g}",
        stops=", ".join("#" + bytes(table[place]).hex() for place in np.linspace(0, 255, 17).astype(int)),
    )


def caption(sentence: str, remark: str) -> Markup:
    """Return a sentence, cut to one line, and what there is to say of it."""
    return markup(
        '<div class="lab-caption"><q title="{{ sentence }}">{{ sentence }}</q>'
        "<span>{{ remark }}</span></div>",
        sentence=sentence,
        remark=remark,
    )


def _color(value: float) -> str:
    return _POSITIVE if value >= 0 else _NEGATIVE


def _rows(names: Sequence[str], body: Markup, height: int, marked: int | None) -> Markup:
    """Rows of ``height`` pixels with their names at the left."""
    return markup(
        '<div class="lab-rows" style="--row: {{ height }}px"><div>{% for name in names %}'
        """<div class="{{ 'lab-marked' if loop.index0 == marked else '' }}">{{ name }}</div>"""
        "{% endfor %}</div>{{ body }}</div>",
        names=names,
        body=body,
        height=height,
        marked=marked,
    )
