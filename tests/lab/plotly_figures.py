"""What Plotly itself thinks of the charts, which are plain dictionaries."""

import base64
import math
from typing import Any

import numpy as np
import plotly.graph_objects as go

from lab.figures.layout import Figure


def validated(figure: Figure) -> go.Figure:
    """The chart as Plotly's own; fails where plotly.js would not understand it as it stands.

    Plotly's classes accept more than plotly.js does, such as a plain string for a title, and write it out.
    """
    own = go.Figure(figure)
    written = own.to_plotly_json()
    del written["layout"]["template"]  # Plotly's own, which the charts do not use
    assert _plain(written) == _plain(figure)
    return own


def _plain(value: Any) -> Any:
    match value:
        case {"dtype": str(dtype), "bdata": str(data), **shape}:
            array = np.frombuffer(base64.b64decode(data), dtype)
            return _plain(array.reshape([int(n) for n in str(shape.get("shape", -1)).split(",")]))
        case dict():
            plain = {name: _plain(each) for name, each in value.items()}
            # What is empty says nothing, and Plotly leaves it out.
            return {name: each for name, each in plain.items() if each not in (None, [])}
        case np.ndarray():
            return _plain(value.tolist())
        case list() | tuple():
            return [_plain(each) for each in value]
        case np.generic():
            return _plain(value.item())
        case float() if math.isnan(value):
            return None
        case _:
            return value
