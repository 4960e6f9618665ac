"""The lab on a small made-up run that is finished, for the browser test of the pages that show the cube."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import streamlit as st

sys.path.insert(0, str(Path(__file__).parents[1]))
from training_data import PATIENCE, small_service, small_settings

from lab.assets import asset_routes
from lab.routes import news_routes
from lab.server import install_service
from lab.training import Phase

ROOT = Path(__file__).parents[3]


@asynccontextmanager
async def lifespan(_: object) -> AsyncIterator[None]:
    with TemporaryDirectory() as runs:
        service = small_service(Path(runs))
        remove = install_service(service)
        service.start(small_settings(max_steps=12))
        service.wait_for(lambda seen: seen.phase is Phase.FINISHED, PATIENCE)
        yield
        remove()


app = st.App(ROOT / "lab" / "main.py", lifespan=lifespan, routes=[*asset_routes(), *news_routes()])
