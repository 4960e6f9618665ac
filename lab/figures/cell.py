"""One cell in figures: where it is, its state, its history, its gate, and its neighbors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from lab.figures import inline
from lab.figures.colors import EXPERT_COLORS, TIER_COLORS
from lab.figures.cube.fields import Floats, activity
from lab.figures.cube.wiring import Wiring, position_of
from lab.figures.markup import markup, named_color, table_markup
from lab.figures.routing import gate_entropy
from lab.training import CubeFrame

_LISTED = 40


def cell_facts(frame: CubeFrame, at: int, cell: int, depth: int) -> Markup:
    """Return where a cell is and how active, in a line."""
    x, y, z = position_of(cell, frame.dimensions)
    place = f"{depth} below the surface" if depth else "on the surface"
    norm = float(activity(frame.states[at, cell]))
    share = float((activity(frame.states[at]) <= norm).mean())
    return markup(
        '<div class="lab-facts"><b>({{ x }}, {{ y }}, {{ z }})</b> {{ place }}; '
        "activity <b>{{ norm }}</b>, above {{ share }} of the cells</div>",
        x=x,
        y=y,
        z=z,
        place=place,
        norm=f"{norm:.3g}",
        share=f"{share:.0%}",
    )


def cell_panel(frame: CubeFrame, at: int, cell: int) -> Markup:
    """Return state, history over the lattice steps and gate of a cell.

    Args:
        frame: the picture.
        at: lattice step whose state is drawn as bars, 0..T.
        cell: linear index.
    """
    states = frame.states[:, cell]
    gate = frame.gate[:, cell]
    end = float(np.abs(states).max())
    steps = [str(step) for step in range(len(states))]
    return (
        inline.part(
            f"State after step {at}",
            inline.bars(states[at], name="channel", limit=end),
            f"channels 0 to {states.shape[1] - 1}, ±{end:.3g}",
        )
        + inline.part(
            "Over the lattice steps",
            inline.heatmap(
                states,
                rows=steps,
                name="channel",
                row_name="step",
                limit=end,
                marked=at,
                row_height=13,
            ),
            "rows: steps, columns: channels",
        )
        + inline.part(
            "Gate",
            inline.stacks(gate, EXPERT_COLORS, rows=steps[1:], row_name="step", marked=at - 1),
            _entropy(gate, at),
        )
        + inline.key(EXPERT_COLORS)
    )


def neighbor_table(wired: Wiring, frame: CubeFrame, at: int) -> Markup:
    """Return the neighbors of a cell in each tier: how many, how active, how like the cell."""
    states = frame.states[at]
    norms = activity(states)
    rows = []
    for tier, cells in wired.neighbors.items():
        figures = ("0", "", "")
        if len(cells):
            alike = _cosines(states[wired.cell], states[cells])
            figures = (f"{len(cells):,}", f"{norms[cells].mean():.3g}", f"{alike.mean():.2f}")
        rows.append((named_color(TIER_COLORS[tier], tier), *figures))
    return table_markup(("neighbors", "count", "mean activity", "mean cosine"), rows)


def neighbor_list(wired: Wiring, frame: CubeFrame) -> Markup:
    """Return where the neighbors of a cell are, nearest first."""
    return markup(
        '<details class="lab-list"><summary>Which cells</summary>{% for tier, places in lists %}'
        "<p><b>{{ tier }}</b> {{ places }}</p>{% endfor %}</details>",
        lists=[(tier, _list(cells, frame)) for tier, cells in wired.neighbors.items() if len(cells)],
    )


def history_panel(history: Floats, steps: Sequence[int]) -> Markup:
    """Return the final state in the kept pictures of a training, (F, C), and their F steps."""
    end = float(np.abs(history).max())
    height = 13 if len(steps) <= 12 else 7
    rows = [f"{step:,}" for step in steps]
    return inline.part(
        "Over the training",
        inline.heatmap(
            history,
            rows=rows,
            name="channel",
            row_name="step",
            limit=end,
            row_height=height,
        ),
        f"{len(steps)} kept steps, ±{end:.3g}",
    )


def _entropy(gate: Floats, at: int) -> str:
    if at == 0:
        return "one bar per lattice step"
    return f"entropy in step {at}: {float(gate_entropy(gate[at - 1])):.2f} of 1"


def _cosines(own: Floats, others: Floats) -> Floats:
    sizes = np.linalg.norm(own) * np.linalg.norm(others, axis=1)
    cosines: Floats = np.divide(others @ own, sizes, out=np.zeros(len(others), np.float32), where=sizes > 0)
    return cosines


def _list(cells: npt.NDArray[np.int64], frame: CubeFrame) -> str:
    places = [position_of(int(cell), frame.dimensions) for cell in cells[:_LISTED]]
    text = " ".join(f"({x},{y},{z})" for x, y, z in places)
    return text + (f" and {len(cells) - _LISTED:,} more" if len(cells) > _LISTED else "")
