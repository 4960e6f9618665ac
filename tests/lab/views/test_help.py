"""Every control of every page says what it does."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.proto.LabelVisibility_pb2 import LabelVisibility
from streamlit.testing.v1 import AppTest
from training_data import PATIENCE, MadeUpTeacher, small_service, small_settings

from lab.server import get_lab, install_service
from lab.sources.students import StudentShelf
from lab.training import Phase, TrainingService
from lab.work.embedding import EMBEDDING

ROOT = Path(__file__).parents[3]
VIEWS = {
    "geometry": [{}],
    "lattice": [
        *({"lattice_show": show} for show in ("Layers", "Slices", "Box", "Threshold", "Surface", "Volume")),
        {"lattice_coloring": "Channel", "lattice_beside": "lattice step"},
        {"lattice_coloring": "Agreement", "lattice_beside": "training step"},
        {"lattice_beside": "run"},
        {"lattice_beside": "sentence"},
    ],
    "routing": [{"region": "box"}, {"region": "depth"}],
    "probe": [{"probe_section": section} for section in ("Sentence", "Compare", "Intervene")],
    "evaluate": [{}],
    "data": [{"data_view": view} for view in ("Lengths", "Sentences", "Bad rows", "Duplicates", "Map")],
    "runs": [
        *(
            {"runs_view": view}
            for view in ("Curves", "Settings", "Checkpoints", "Resume or fork", "Describe", "Export")
        ),
        {"runs_place": "trash"},
    ],
}


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrainingService]:
    """With one finished run, and with the sentences of the next one embedded."""
    monkeypatch.setattr("lab.views.data.page.find_width", lambda teacher: 24)
    service = small_service(tmp_path)
    remove = install_service(service, StudentShelf(service, embed=MadeUpTeacher()))
    service.start(small_settings(max_steps=6))
    service.wait_for(lambda seen: seen.phase is Phase.FINISHED, PATIENCE)
    get_lab().embedding.start(service.draft)
    get_lab().works.wait(EMBEDDING, PATIENCE)
    yield service
    remove()


def unexplained(app: AppTest) -> list[str]:
    """Labels of the controls without a help that people see."""
    assert not app.exception
    widgets = [node.proto for node in app.main if {"label", "help"} <= fields(node.proto)]
    assert len(widgets) > 4
    return [widget.label for widget in widgets if not widget.help or is_hidden(widget)]


def fields(proto: object) -> set[str]:
    return {field.name for field in proto.DESCRIPTOR.fields} if hasattr(proto, "DESCRIPTOR") else set()


def is_hidden(widget: object) -> bool:
    """Whether the label is not shown, and with it the help."""
    seen = getattr(widget, "label_visibility", None)
    return seen is not None and seen.value != LabelVisibility.VISIBLE


@pytest.mark.parametrize("page", VIEWS)
def test_every_control_has_a_help(service: TrainingService, page: str) -> None:
    for view in VIEWS[page]:
        app = AppTest.from_file(str(ROOT / "lab" / "main.py"), default_timeout=60).run()
        app.switch_page(str(ROOT / "pages" / f"{page}.py"))
        run = str(service.snapshot().run_id)
        for name, value in {"run": run, "selected": run, **view}.items():
            app.query_params[name] = value
        assert unexplained(app.run()) == [], view


def test_so_has_every_control_of_the_train_page(service: TrainingService) -> None:
    app = AppTest.from_file(str(ROOT / "lab" / "main.py"), default_timeout=60)
    app.query_params["coloring"] = "Channel"
    app.query_params["group"] = "Training"
    assert unexplained(app.run()) == []
    service.start(small_settings())
    service.wait_for(lambda seen: seen.step > 2, PATIENCE)
    assert unexplained(app.run()) == []
    service.pause()
    service.wait_for(lambda seen: seen.phase is Phase.PAUSED, PATIENCE)
    assert unexplained(app.run()) == []
