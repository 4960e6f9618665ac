"""HTML from plain values: names that look like markup stay text, wherever they stand."""

import re
from collections.abc import Callable
from html.parser import HTMLParser

import numpy as np
import pytest
from jinja2 import UndefinedError

from lab.figures import inline
from lab.figures.markup import (
    command_markup,
    facts_line,
    facts_markup,
    link_markup,
    markup,
    named_color,
    note_markup,
    quote_markup,
    table_markup,
)

HOSTILE = """<b onclick="x">'&amp;\"</b><script>"""


class Reader(HTMLParser):
    """Collects the text, the tags and the attributes of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.tags, self.attributes = "", set[str](), list[str]()
        self.feed(str(html))
        self.close()

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [value or "" for _, value in attrs]


@pytest.mark.parametrize(
    "make",
    [
        lambda text: table_markup([text], [[text]]),
        lambda text: facts_markup({text: text}),
        lambda text: facts_line({text: text}),
        lambda text: named_color("#000000", text),
        quote_markup,
        note_markup,
        command_markup,
        lambda text: link_markup(text, f"/runs/{text}", help=text),
        lambda text: inline.bars(np.array([1.0, -1.0]), name=text),
        lambda text: inline.heatmap(np.ones((1, 2)), rows=[text], name=text, row_name=text, limit=1.0),
        lambda text: inline.stacks(np.ones((1, 1)), {text: "#000000"}, rows=[text], row_name=text),
        lambda text: inline.key({text: "#000000"}),
        lambda text: inline.part(text, "", text),
        lambda text: inline.ramp(text, (0, 1), "viridis"),
        lambda text: inline.caption(text, text),
    ],
)
def test_hostile_text_stays_text(make: Callable[[str], str]) -> None:
    read = Reader(make(HOSTILE))
    assert not {"b", "script"} & read.tags
    assert HOSTILE in read.text + "".join(read.attributes)
    assert "onclick" not in re.sub(r"&lt;.*?&gt;", "", make(HOSTILE))


def test_markup_inside_of_markup_is_left_as_it_is() -> None:
    cell = named_color("#ff0000", "a & b")
    assert '<td><i style="background: #ff0000"></i>a &amp; b</td>' in table_markup([], [[cell]])
    assert "<td>&lt;i&gt;</td>" in table_markup([], [["<i>"]])


def test_a_value_that_a_template_lacks_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="'name' is undefined"):
        markup("{{ name }}")
