"""The Data page in Streamlit's own test runner."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from lattice_page import charts
from streamlit.testing.v1 import AppTest
from training_data import PATIENCE, small_service, small_settings

from cellnet.data import sentences as core
from cellnet.data.docstrings import standard_library
from cellnet.settings import with_changes
from lab.server import get_lab, install_service
from lab.training import TrainingService
from lab.work.embedding import EMBEDDING

ROOT = Path(__file__).parents[3]
LINES = [f"Sentence number {n} of a small file." for n in range(80)]


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrainingService]:
    monkeypatch.setattr(core, "standard_library", lambda: standard_library() / "asyncio")
    monkeypatch.setattr("lab.views.data.page.find_width", lambda teacher: 24)
    service = small_service(
        tmp_path, draft=with_changes(small_settings(), {"data.validation_fraction": 0.2})
    )
    remove = install_service(service)
    yield service
    remove()


def open_data(**parameters: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "lab" / "main.py"), default_timeout=60).run()
    app.switch_page(str(ROOT / "pages" / "data.py"))
    for name, value in parameters.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def facts(app: AppTest) -> str:
    return " ".join(part.proto.body for part in app.get("html"))


def upload(app: AppTest, name: str, content: bytes) -> AppTest:
    app.file_uploader(key="data_source.upload").set_value((name, content, "text/plain")).run()
    assert not app.exception
    return app


def test_it_begins_with_the_next_run(service: TrainingService) -> None:
    app = open_data()
    assert app.selectbox(key="data_source.1").value == "docstrings"
    assert app.button(key="data_use").disabled
    assert any("uses exactly this" in caption.value for caption in app.caption)
    assert "held out" in facts(app)
    assert not app.button(key="data_embed").disabled


def test_an_uploaded_file_is_read_shown_and_used(service: TrainingService) -> None:
    rows = "".join(f'{n},"{line}"\n' for n, line in enumerate(LINES))
    content = f"id,text\n{rows}1,{LINES[3]}\n2,\n"
    app = upload(open_data(), "../my file.csv", content.encode())
    (path,) = (service.store.root / "uploads").iterdir()
    assert app.selectbox(key="data_source.2").value == path.name
    assert app.selectbox(key=f"data_column.{path}").value == "text"
    assert "<td>rows read</td><td>82</td>" in facts(app)
    assert "<td>duplicates</td><td>1</td>" in facts(app)
    app.button_group(key="data_view").set_value("bad").run()
    assert app.dataframe[1].value.values.tolist() == [[83, "empty", ""]]
    app.button_group(key="data_view").set_value("repeats").run()
    assert app.dataframe[0].value.values.tolist() == [[2, 5, LINES[3]]]
    app.button_group(key="data_view").set_value("sentences").run()
    app.text_input(key="data_find").set_value("NUMBER 77").run()
    assert app.dataframe[0].value["sentence"].tolist() == [LINES[77]]
    app.button(key="data_use").click().run()
    assert (service.draft.data.source, service.draft.data.column) == (str(path), "text")
    assert "Press Start" in app.success[0].value


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.parquet", b"PAR1 nonsense", "not a readable parquet file"),
        ("a.csv", b"a,a\n1,2\n", "more than once"),
        ("a.txt", b"One.\nTwo.\n", "Too few sentences"),
        ("a.txt", b"\xff\xfe\x00bad", "looks like UTF-16"),
    ],
)
def test_a_hostile_file_is_said_and_cannot_be_used(
    service: TrainingService, name: str, content: bytes, said: str
) -> None:
    app = upload(open_data(), name, content)
    assert any(said in error.value for error in app.error)
    assert app.button(key="data_use").disabled
    assert app.button(key="data_embed").disabled


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "Nr,Sätze\n1,Hallo\n".encode("cp1252")),
        ("a.csv", "Nr,Text\n1,Hallo\n".encode("utf-16")),
        ("a.txt", "Hallo\n".encode("utf-16")),
        ("a.jsonl", '{"text": "Hallo"}\n'.encode("utf-16")),
        ("a.jsonl", '{"Sätze": "Hallo"}\n'.encode("cp1252")),
    ],
)
def test_a_file_that_is_not_utf8_leaves_the_page_usable(
    service: TrainingService, name: str, content: bytes
) -> None:
    path = service.store.root / "uploads" / name
    path.parent.mkdir()
    path.write_bytes(content)
    (path.parent / "odd\udcff.txt").write_bytes(b"Hallo\n")
    for _ in range(2):  # The second time as after a reload.
        app = open_data(data_source=name)
        assert any("is not UTF-8 text" in error.value for error in app.error)
        assert app.button(key="data_embed").disabled
    source = next(box for box in app.selectbox if box.label == "Source")
    source.set_value("docstrings").run()
    assert not app.exception
    assert not app.error
    assert not app.button(key="data_embed").disabled


def test_sentences_are_embedded_in_the_background_and_become_a_map(service: TrainingService) -> None:
    app = open_data(data_view="Map")
    assert any("Press Embed above" in info.value for info in app.info)
    app.button(key="data_embed").click().run()
    assert get_lab().works.wait(EMBEDDING, PATIENCE).value is not None
    app.run()
    assert any("Embedded" in success.value for success in app.success)
    assert len(charts(app)) == 1
    app.button_group(key="data_coloring").set_value("length").run()
    assert not app.exception


def test_a_teacher_that_is_not_there_is_said_at_its_field(
    service: TrainingService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(core, "standard_library", lambda: standard_library() / "asyncio")
    app = open_data(data_teacher=str(tmp_path / "absent"))
    assert not app.error
    app.button(key="data_teacher_look").click().run()
    assert any("no teacher folder at" in error.value for error in app.error)
    assert app.button(key="data_embed").disabled
    assert not any(button.key == "data_use" for button in app.button)
    app.selectbox(key="data_teacher").set_value("minilm").run()
    assert any("width 384" in caption.value for caption in app.caption)
    app.button(key="data_use").click().run()
    assert service.draft.embedding.teacher_width == 384
