"""The lab's own front-end files: where they are, under which address the server gives them out.

The built files lie in ``assets/`` (sources in ``lab/frontend/``); plotly.js comes out of the installed
plotly package, so that it is not copied. Nothing is loaded from another host.
"""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Final

import plotly
import streamlit as st
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

FOLDER: Final = Path(__file__).resolve().parent.parent / "assets"
FILES: Final = {
    "chart.js": FOLDER / "chart.js",
    "cube.js": FOLDER / "cube.js",
    "curves.js": FOLDER / "curves.js",
    "markup.js": FOLDER / "markup.js",
    "plotly.js": Path(plotly.__file__).parent / "package_data" / "plotly.min.js",
}
"""Public name -> file. Nothing else is ever served."""


@lru_cache(maxsize=8)
def asset_url(name: str) -> str:
    """Address of a file relative to the page, with a digest of its content so that it can be cached."""
    path = FILES[name]
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing: restore it from the repository, or run 'npm ci && npm run build' in "
            "lab/frontend; plotly.js comes with the plotly package, which then has to be reinstalled"
        )
    digest = hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()
    return f"assets/{name}?v={digest}"


def asset_routes() -> list[BaseRoute]:
    """Routes to hand to ``st.App(routes=...)``; they follow ``server.baseUrlPath``."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    prefix = f"/{base}" if base else ""
    return [Route(f"{prefix}/assets/{name}", _serve, name=name) for name in FILES]


def loader(name: str, *arguments: str) -> str:
    """The few lines of JavaScript that load a built component, to be given to ``st.components.v2``.

    Args:
        name: the built file; its default export is called once with the addresses of ``arguments``
            and returns the component.
        arguments: further files that the component loads itself.
    """
    addresses = ", ".join(f'at("{asset_url(argument)}")' for argument in arguments)
    return f"""\
const at = (path) => new URL(path, document.baseURI).href;
const source = at("{asset_url(name)}");
const built = await import(source).catch((cause) => {{
  throw new Error(`The lab could not load ${{source}}. Is the server still running? Start the lab with ` +
    "'streamlit run streamlit_app.py' and reload this page. (" + cause.message + ")", {{ cause }});
}});
export default built.default({addresses});
"""


async def _serve(request: Request) -> Response:
    name = request.url.path.rsplit("/", 1)[-1]
    current = asset_url(name).rsplit("=", 1)[-1] == request.query_params.get("v")
    caching = "public, max-age=31536000, immutable" if current else "no-cache"
    return FileResponse(FILES[name], media_type="text/javascript", headers={"Cache-Control": caching})
