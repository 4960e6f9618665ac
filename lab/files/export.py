"""A film as one HTML file that opens without a server: the lab's own 3D view and what it is to draw."""

from __future__ import annotations

import json
from base64 import b64encode
from html import escape
from string import Template

from lab.assets import FILES
from lab.components.cube import cube_message
from lab.figures.cube.films import Film

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>$title</title>
<style>
:root { color-scheme: light dark; --st-background-color: #fff; --st-text-color: #17212b;
  --st-border-color: #dbe2e8; --st-border-color-light: #dbe2e8; --st-primary-color: #0b6e99;
  --st-font: system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { :root { --st-background-color: #0e141a; --st-text-color: #e4ebf1;
  --st-border-color: #2b3843; --st-border-color-light: #2b3843; --st-primary-color: #4fb3d9; } }
body { margin: 0; padding: 12px 16px; background: var(--st-background-color); color: var(--st-text-color);
  font: 15px/1.4 var(--st-font); }
h1 { font-size: 1.05rem; margin: 0; } p { margin: 2px 0 8px; opacity: .85; }
.cellnet-cube { height: calc(100vh - 90px) !important; }
</style></head><body>
<h1>$title</h1><p>$caption</p><div id="view"></div>
<script type="module">
const source = $source;
const built = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
const data = Uint8Array.from(atob($message), (letter) => letter.charCodeAt(0));
built.default()({ data, parentElement: document.getElementById("view"), setStateValue: () => {} });
</script></body></html>
"""


def film_html(film: Film, *, title: str, caption: str, start: str | None = None) -> str:
    """A page with a view that can be turned and played.

    Nothing in it asks another machine for anything.

    Args:
        film: what to show.
        title, caption: plain text.
        start: where the camera stands, see `lab.components.cube.cube`.
    """
    message = cube_message(
        film,
        seq=0,
        stream="export",
        height=600,
        label=title,
        selected=None,
        camera="export",
        start=start,
        reports=False,
        empty="",
    )
    values = {
        "title": escape(title),
        "caption": escape(caption),
        "message": _script(b64encode(message).decode()),
        "source": _script(FILES["cube.js"].read_text(encoding="utf-8")),
    }
    return Template(_PAGE).substitute(values)


def _script(value: object) -> str:
    """A value as JavaScript that cannot end the script it stands in."""
    return json.dumps(value).replace("<", "\\u003c")
