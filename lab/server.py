"""The process around the pages: the one lab of a server, and its life."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Final

from starlette.concurrency import run_in_threadpool

from cellnet.runs.transfer import IMPORTS_FOLDER
from lab.presets import FIRST_RUN, lab_preset
from lab.sources.pictures import Pictures
from lab.sources.students import StudentShelf
from lab.training import TrainingService
from lab.work.embedding import Embedding
from lab.work.priority import wanted_priority
from lab.work.work import Works

RUNS_VARIABLE: Final = "CELLNET_RUNS"
DEFAULT_RUNS: Final = "runs"
DOWNLOADS_FOLDER: Final = ".downloads"


@dataclass(frozen=True, eq=False)
class Lab:
    """Everything that the pages of one server share.

    Attributes:
        service: the training and the runs.
        shelf: the students.
        works: work that takes longer than a page may wait.
        pictures: of the cube.
        embedding: of sentences, in the background.
    """

    service: TrainingService
    shelf: StudentShelf
    works: Works
    pictures: Pictures
    embedding: Embedding

    def close(self) -> None:
        """Cancel all work, stop the training, and wait for their threads."""
        self.works.close()
        self.service.close()


_installed: list[Lab] = []


def get_lab() -> Lab:
    """The lab of this process.

    Raises:
        RuntimeError: if no server started one.
    """
    if not _installed:
        raise RuntimeError(
            "the lab has no training service: start it with 'streamlit run streamlit_app.py'"
        )
    return _installed[-1]


def install_service(service: TrainingService, shelf: StudentShelf | None = None) -> Callable[[], None]:
    """Make the lab of a service that of this process; call the result to take it away, closed.

    Args:
        service: the service.
        shelf: its students; by default with the teacher that their settings name.
    """
    shelf, works = shelf or StudentShelf(service), Works()
    lab = Lab(service, shelf, works, Pictures(service, shelf, works), Embedding(service, works))
    _installed.append(lab)

    def remove() -> None:
        _installed.remove(lab)
        lab.close()

    return remove


@asynccontextmanager
async def lifespan(_: object) -> AsyncIterator[None]:
    """Open the lab before the first page is served; stop and join its threads when the server ends."""
    wanted_priority()  # what is wrong there is said now, and not by the first training
    service = TrainingService(runs_folder(), draft=lab_preset(FIRST_RUN))
    _clear_leftovers(service.store.root)
    remove = install_service(service)
    _load_pages()
    # The modules stay for good: without them the collections that Streamlit forces take a tenth as long.
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        await run_in_threadpool(remove)


def runs_folder() -> Path:
    """Folder of the runs: the variable ``CELLNET_RUNS``, or ``runs`` in the working directory."""
    return Path(os.environ.get(RUNS_VARIABLE) or DEFAULT_RUNS).expanduser().resolve()


def _load_pages() -> None:
    """Import what the pages import, so that whoever opens one first does not wait for it."""
    for module in walk_packages([str(Path(__file__).parent / "views")], "lab.views."):
        import_module(module.name)


def _clear_leftovers(root: Path) -> None:
    """Remove what downloads and imports of a killed server left behind."""
    for name in (DOWNLOADS_FOLDER, IMPORTS_FOLDER):
        if (root / name).is_dir():
            shutil.rmtree(root / name)
