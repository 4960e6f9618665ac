"""Scenes as one HTML file that opens without a server: the lab's own 3D view and what it is to draw."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from html import escape
from string import Template

from lab.assets import FILES
from lab.components.cube import cube_message
from lab.scenes import Scene

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
.cellnet-cube { height: calc(100vh - 130px) !important; }
form { display: flex; gap: 12px; align-items: center; margin-top: 8px; }
form input[type=range] { flex: 1; max-width: 420px; accent-color: var(--st-primary-color); }
</style></head><body>
<h1>$title</h1><p>$caption</p><div id="view"></div>
<form$hidden><button type="button" id="play">Play</button>
<input type="range" id="place" min="0" max="$last" value="$last" aria-label="Picture">
<output id="name"></output></form>
<script type="module">
const names = $names;
const pictures = $pictures;
const source = $source;
const built = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
const view = built.default();
const parentElement = document.getElementById("view");
const place = document.getElementById("place");
const show = () => {
  const text = atob(pictures[place.value]);
  const data = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  document.getElementById("name").textContent = names[place.value];
  view({ data, parentElement, setStateValue: () => {} });
};
let timer = 0;
document.getElementById("play").onclick = ({ target }) => {
  target.textContent = timer ? "Play" : "Pause";
  timer = timer ? clearInterval(timer) : setInterval(() => {
    place.value = (Number(place.value) + 1) % names.length;
    show();
  }, 700);
};
place.oninput = show;
show();
</script></body></html>
"""


def scene_html(scenes: Mapping[str, Scene], *, title: str, caption: str, start: str | None = None) -> str:
    """A page with a view that can be turned, and with a slider if there are several scenes.

    Nothing in it asks another machine for anything.

    Args:
        scenes: by name, in the order of the slider; the last is shown first.
        title, caption: plain text.
        start: where the camera stands, see `lab.components.cube.cube`.
    """
    pictures = [
        b64encode(
            cube_message(
                scene,
                seq=0,
                stream=name,
                height=600,
                label=f"{title}, {name}",
                selected=None,
                camera="export",
                start=start,
                reports=False,
                empty="",
            )
        ).decode()
        for name, scene in scenes.items()
    ]
    values = {
        "title": escape(title),
        "caption": escape(caption),
        "hidden": "" if len(scenes) > 1 else " hidden",
        "last": str(len(scenes) - 1),
        "names": _script(list(scenes)),
        "pictures": _script(pictures),
        "source": _script(FILES["cube.js"].read_text(encoding="utf-8")),
    }
    return Template(_PAGE).substitute(values)


def _script(value: object) -> str:
    """A value as JavaScript that cannot end the script it stands in."""
    return json.dumps(value).replace("<", "\\u003c")
