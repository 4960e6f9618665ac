"""A chart that waits until the page stands, and then changes in place: one Plotly figure per key.

Streamlit draws its charts while it builds the page, which shows nothing before all of them are there, and
draws each anew whenever its data change.
"""

import json
import time
from typing import Final

import streamlit as st
from plotly.utils import PlotlyJSONEncoder

from lab.assets import loader
from lab.components.payload import pack
from lab.components.reports import NOTHING, REPORTS
from lab.figures.layout import Figure

_CHOOSING: Final = ("lasso", "select")
"""Ways of dragging that choose points of a chart."""

_component: Final = st.components.v2.component(
    "cellnet_chart", js=loader("chart.js", "plotly.js"), isolate_styles=False
)


def chart(figure: Figure, *, key: str, label: str, tools: bool = False) -> tuple[str, ...]:
    """Show a figure, as wide as its place, in the font and the colors of the page where it names no others.

    Args:
        figure: with its ``height``. Where one pans it by dragging, the wheel zooms. Points that have
            ``ids`` can be chosen as its ``dragmode`` and ``clickmode`` say; they stay so while its
            ``uirevision`` stays.
        key: identity of the chart; one key is one mounted figure.
        label: what it shows, for its description.
        tools: whether it offers buttons to zoom and to save it while the pointer is over it.

    Returns:
        The ids of the points that have just been chosen, in the one run of the fragment that this caused.
    """
    chooses = figure["layout"].get("dragmode") in _CHOOSING
    header = {
        "figure": json.dumps(figure, cls=PlotlyJSONEncoder),
        "height": figure["layout"]["height"],
        "label": label,
        "tools": tools,
        "seq": 0,
        "sent": time.time() * 1000.0,
        "report": REPORTS.expect(key, {"chosen": _are_ids}) if chooses else None,
    }
    _component(key=key, data=pack(header, {}))
    chosen = REPORTS.take(key, "chosen")
    return () if chosen is NOTHING else tuple(chosen)


def _are_ids(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)
