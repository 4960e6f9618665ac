"""The Runs page in Streamlit's own test runner."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from training_data import PATIENCE, WIDTH, small_service, small_settings

from cellnet.checkpoints import pack
from cellnet.settings import Settings, marked, with_changes
from lab.server import install_service
from lab.sources.students import StudentShelf
from lab.training import Phase, TrainingService
from lab.views.runs.table import MOST_MEGABYTES
from lab.widgets.forms import FIELDS

ROOT = Path(__file__).parents[3]


def embed(settings: Settings, texts: object) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(len(texts), WIDTH)).astype(np.float32)  # type: ignore[arg-type]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[TrainingService]:
    service = small_service(tmp_path)
    remove = install_service(service, StudentShelf(service, embed=embed))
    yield service
    remove()


def train(service: TrainingService, name: str, **changes: float) -> str:
    """A finished run of 6 steps; settings as ``group__key``."""
    wanted = {key.replace("__", "."): value for key, value in changes.items()}
    service.start(with_changes(small_settings(max_steps=6), wanted), name=name)
    end = service.wait_for(lambda seen: seen.phase is Phase.FINISHED, PATIENCE)
    assert end.run_id is not None
    return end.run_id


@pytest.fixture
def pair(service: TrainingService) -> tuple[str, str]:
    return train(service, "first"), train(service, "second", loss__diversity=0.7)


def open_runs(*selected: str, view: str = "curves") -> AppTest:
    app = AppTest.from_file(str(ROOT / "lab" / "main.py"), default_timeout=60).run()
    app.switch_page(str(ROOT / "pages" / "runs.py"))
    app.query_params["selected"] = list(selected)
    app.session_state["runs_view"] = view
    app.run()
    assert not app.exception
    return app


def selected(app: AppTest) -> list[str]:
    found = app.query_params.get("selected", [])
    return [found] if isinstance(found, str) else list(found)


def test_without_runs_the_page_says_what_to_do(service: TrainingService) -> None:
    app = open_runs()
    assert "no run yet: press Start" in app.info[0].value
    app.button_group(key="runs_place").set_value("trash").run()
    assert "The trash is empty" in app.info[0].value


def test_the_table_has_the_figures_and_filters_narrow_it(
    service: TrainingService, pair: tuple[str, str]
) -> None:
    service.store.update(pair[0], tags=["kept"], note="Slow but sure.")
    app = open_runs()
    table = app.dataframe[0].value
    assert table["run"].tolist() == ["second", "first"]
    assert table["steps"].tolist() == [6, 6]
    assert table["done"].tolist() == [100, 100]
    summary = service.store.get(pair[0]).summary
    assert table["explained"][1] == pytest.approx(summary["explained_variance"])
    assert table["gain"][1] == pytest.approx(
        summary["explained_variance"] - summary["pca_explained_variance"]
    )
    app.text_input(key="runs_find").set_value("SLOW sure").run()
    assert app.dataframe[0].value["run"].tolist() == ["first"]
    app.text_input(key="runs_find").set_value("").run()
    app.multiselect(key="runs_tags").set_value(["kept"]).run()
    assert app.dataframe[0].value["run"].tolist() == ["first"]
    app.multiselect(key="runs_states").set_value(["failed"]).run()
    assert "No run passes" in app.info[0].value


def test_two_runs_are_overlaid_and_their_settings_differ_in_one(
    service: TrainingService, pair: tuple[str, str]
) -> None:
    app = open_runs(*pair)
    assert "runs_curves" in [part.key for part in app.get("bidi_component")]
    assert {button.label for button in app.get("download_button")} == {"Figure as SVG", "Figure as PNG"}
    app.multiselect(key="runs_metrics").set_value([]).run()
    assert not app.exception
    assert not app.get("download_button")
    app.button_group(key="runs_view").set_value("settings").run()
    shown = app.dataframe[1].value
    assert shown.index.tolist() == ["loss.diversity"]
    assert sorted(shown.loc["loss.diversity"]) == ["0.1", "0.7"]
    app.toggle[0].set_value(True).run()
    assert "lattice.dimensions" in app.dataframe[1].value.index


def test_words_are_kept_as_they_are_typed(service: TrainingService, pair: tuple[str, str]) -> None:
    app = open_runs(pair[0], view="describe")
    app.text_input(key=f"runs_name.{pair[0]}").set_value(" renamed ").run()
    app.multiselect(key=f"runs_tags.{pair[0]}").set_value(["new tag"]).run()
    app.text_area(key=f"runs_note.{pair[0]}").set_value("What came out.").run()
    assert not app.exception
    run = service.store.get(pair[0])
    assert (run.name, run.tags, run.note) == ("renamed", ("new tag",), "What came out.")
    assert "renamed" in app.dataframe[0].value["run"].tolist()


def test_delete_undo_and_restore_from_the_trash(service: TrainingService, pair: tuple[str, str]) -> None:
    app = open_runs(*pair)
    app.button(key="runs_delete").click().run()
    assert [run.id for run in service.store.list(deleted=True)] == [pair[1], pair[0]]
    assert selected(app) == []
    app.button(key="runs_undo_button").click().run()
    assert {run.id for run in service.store.list()} == set(pair)
    assert set(selected(app)) == set(pair)
    assert "runs_undo_button" not in [button.key for button in app.button]

    app.button(key="runs_delete").click().run()
    app.button_group(key="runs_place").set_value("trash").run()
    assert app.dataframe[0].value["run"].tolist() == ["second", "first"]
    assert app.button(key="runs_restore").disabled
    app.session_state[app.dataframe[0].key] = {"selection": {"rows": [1], "columns": [], "cells": []}}
    app.run()
    app.button(key="runs_restore").click().run()
    assert [run.id for run in service.store.list()] == [pair[0]]
    assert app.dataframe[0].value["run"].tolist() == ["second"]


def test_a_running_run_cannot_be_deleted_and_blocks_others(
    service: TrainingService, pair: tuple[str, str]
) -> None:
    service.start(small_settings())
    live = service.wait_for(lambda seen: seen.step > 2, PATIENCE).run_id
    assert live is not None
    app = open_runs(live)
    app.button(key="runs_delete").click().run()
    assert "stop it first" in app.warning[0].value
    assert service.store.list(deleted=True) == []
    app = open_runs(pair[0], view="go on")
    assert app.button(key=f"resume.{pair[0]}").disabled
    assert app.button(key=f"runs_fork_button.{pair[0]}").disabled
    assert any("stop it to go on" in info.value for info in app.info)


def test_resume_with_more_steps(service: TrainingService, pair: tuple[str, str]) -> None:
    app = open_runs(pair[0], view="go on")
    assert app.number_input(key=f"runs_more.{pair[0]}").value == 12
    app.number_input(key=f"runs_more.{pair[0]}").set_value(9)
    app.button(key=f"resume.{pair[0]}").click().run()
    end = service.wait_for(lambda seen: seen.phase is Phase.FINISHED and seen.step == 9, PATIENCE)
    assert end.run_id == pair[0]
    assert service.store.get(pair[0]).max_steps == 9


def test_fork_with_changes(service: TrainingService, pair: tuple[str, str]) -> None:
    run = pair[0]
    app = open_runs(run, view="go on")
    names = app.multiselect(key=f"runs_fork_names.{run}")
    free = [name.split(".") for name in marked("fork", "free")]
    assert names.options == [
        f"{group.capitalize()}: {FIELDS[f'{group}.{key}'].title}" for group, key in free
    ]
    key = f"runs_fork.{run}.6.0"
    app.slider(key=f"{key}.lattice.local_distance_ratio").set_value(0.95).run()
    assert "must not decrease" in app.error[0].value
    assert app.button(key=f"runs_fork_button.{run}").disabled
    app.slider(key=f"{key}.lattice.local_distance_ratio").set_value(0.3).run()
    app.number_input(key=f"{key}.training.max_steps").set_value(2)
    app.text_input(key=f"runs_fork_name.{run}").set_value("shorter")
    app.button(key=f"runs_fork_button.{run}").click().run()
    end = service.wait_for(
        lambda seen: seen.phase is Phase.FINISHED and seen.run_id not in (None, *pair), PATIENCE
    )
    assert end.run_id is not None
    child = service.store.get(end.run_id)
    assert (child.parent, child.name, child.step) == (run, "shorter", 2)
    assert child.settings["lattice"]["local_distance_ratio"] == 0.3
    app = open_runs(child.id, view="settings")
    assert {"lattice.local_distance_ratio", "training.max_steps"} <= set(app.dataframe[1].value.index)


def test_checkpoints_lead_to_the_other_pages(service: TrainingService, pair: tuple[str, str]) -> None:
    app = open_runs(pair[0], view="checkpoints")
    links = [link.proto.url for link in app.get("link_button")]
    assert links == [f"/checkpoints/{pair[0]}/6"]
    pages = {link.proto.page: link.proto.query_string for link in app.get("page_link")}
    assert pages == dict.fromkeys(("probe", "lattice"), f"run={pair[0]}&step=6")


def test_a_report_is_written_when_asked_for(service: TrainingService, pair: tuple[str, str]) -> None:
    app = open_runs(*pair, view="export")
    labels = [button.label for button in app.get("download_button")]
    assert labels.count("Settings as TOML") == 2
    app.button(key=f"runs_write_report.{pair[0]}").click().run()
    assert not app.exception
    assert any("Save the report" in button.label for button in app.get("download_button"))


def test_an_import_is_a_new_run_and_what_is_none_is_refused(
    service: TrainingService, pair: tuple[str, str], tmp_path: Path
) -> None:
    (saved,) = service.store.checkpoints(pair[0])
    packed = pack(saved.path, tmp_path / "packed.zip").read_bytes()
    app = open_runs()
    upload = app.get("file_uploader")[0]
    assert upload.proto.max_upload_size_mb == MOST_MEGABYTES
    bring_in(app, b"PK no zip")
    assert "no packed checkpoint" in app.error[0].value
    bring_in(app, packed)
    assert [error.value for error in app.error] == []
    (run_id,) = selected(app)
    assert run_id not in pair
    assert (service.store.get(run_id).name, service.store.get(run_id).step) == ("brought back", 6)


def bring_in(app: AppTest, content: bytes) -> None:
    app.file_uploader(key="runs_upload").set_value(("packed.zip", content, "application/zip")).run()
    app.text_input(key="runs_upload_name").set_value("brought back")
    app.button(key="runs_import").click().run()
