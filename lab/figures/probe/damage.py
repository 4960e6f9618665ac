"""A damaged cube beside the intact one, and what each damage costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from cellnet.inspection import Inspection
from cellnet.inspection.repair import Repair
from lab.figures.layout import Figure, trace
from lab.figures.probe.panels import GRAY, STUDENT_COLOR, TEACHER_COLOR, Wide, grid, side_by_side
from lab.figures.series import Curve, Panel

_INTACT_COLOR: Final = TEACHER_COLOR
_DAMAGED_COLOR: Final = STUDENT_COLOR
_PART_COLORS: Final = {"lesion": "#CC79A7", "near": "#E69F00", "far": "#56B4E9"}
"""Parts of the cube that are compared with the intact run; the colors go with Okabe and Ito's palette."""


def damage_panels(intact: Inspection, damaged: Inspection, repair: Repair, row: int) -> list[Panel]:
    """Cosine after each lattice step with and without damage, and how far the two runs are apart."""
    steps = np.arange(intact.cosine.shape[1])
    apart = [Curve("whole cube", steps, repair.total[row], GRAY, dots=True, width=2.4)]
    for name, color in _PART_COLORS.items():
        part: Wide | None = getattr(repair, name)
        if part is not None:
            label = {"lesion": "the lesion", "near": "next to it", "far": "all other cells"}[name]
            apart.append(Curve(label, steps, part[row], color, dots=True, width=1.6))
    return [
        Panel(
            "cosine with the teacher",
            [
                Curve("damaged", steps, damaged.cosine[row], _DAMAGED_COLOR, dots=True, width=3.0),
                Curve("intact", steps, intact.cosine[row], _INTACT_COLOR, dash="dash", width=1.8),
            ],
        ),
        Panel("distance to the intact run", apart),
    ]


def costs_figure(costs: Mapping[str, float], colors: Mapping[str, str], height: int = 330) -> Figure:
    """Lost explained variance of each damage as bars.

    Args:
        costs: by the name of the damage.
        colors: of the bars, by the last word of the name; gray for all others.
    """
    names = list(costs)[::-1]
    bars = trace(
        "bar",
        x=[costs[name] for name in names],
        y=names,
        orientation="h",
        marker={"color": [colors.get(name.split()[-1], GRAY) for name in names]},
        text=[f"{costs[name]:+.3f}" for name in names],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{x:.4f}<extra></extra>",
    )
    layout = grid(
        [""],
        x={"title": {"text": "explained variance lost"}, "zeroline": True, "rangemode": "tozero"},
        y={"ticksuffix": "  "},
    )
    return side_by_side([bars], layout, height, right=60)
