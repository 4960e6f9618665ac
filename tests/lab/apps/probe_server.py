"""The lab with a small made-up training and a made-up teacher, for tests in a browser."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1]))

import streamlit as st
from training_data import MadeUpTeacher, small_service

from lab.assets import asset_routes
from lab.routes import news_routes
from lab.server import install_service
from lab.sources.students import StudentShelf

ROOT = Path(__file__).parents[3]


@asynccontextmanager
async def lifespan(_: object) -> AsyncIterator[None]:
    with TemporaryDirectory() as folder:
        service = small_service(Path(folder))
        remove = install_service(service, StudentShelf(service, embed=MadeUpTeacher()))
        try:
            yield
        finally:
            remove()


app = st.App(ROOT / "lab" / "main.py", lifespan=lifespan, routes=[*asset_routes(), *news_routes()])
