"""What components report: kept for their own page, checked, and only from pages of this server."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from lattice_page import sent_header
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from lab.components import reports as reports_module
from lab.components.reports import REPORTS
from lab.routes import news_routes

CAMERA = "1,2,3,4,5,6,0,0,1"


def page_with_a_cube() -> None:
    import numpy as np
    import streamlit as st

    from lab.components import cube
    from lab.components.cube import reported
    from lab.components.reports import NOTHING, REPORTS
    from lab.figures.cube.scenes import scalar_scene

    @st.fragment
    def part() -> None:
        scene = scalar_scene((2, 2, 2), np.arange(8.0), label="norm")
        st.session_state["picked"] = cube(scene, key="cube", seq=0)
        st.session_state["reported"] = reported("cube")
        number = REPORTS.take("cube", "number")
        st.session_state["number"] = "nothing" if number is NOTHING else number

    part()


@pytest.fixture
def app() -> AppTest:
    return AppTest.from_function(page_with_a_cube).run()


def name_in(app: AppTest) -> str:
    (part,) = app.get("bidi_component")
    return str(sent_header(part.proto.bytes)["report"])


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The fragments that reports ran, each with the query of its page."""
    runs: list[Any] = []
    monkeypatch.setattr(reports_module, "_run", lambda *what: runs.append(what))
    return runs


@pytest.fixture
def client(ran: list[Any]) -> Iterator[TestClient]:
    with TestClient(Starlette(routes=news_routes()), base_url="http://127.0.0.1") as client:
        yield client


def body(app: AppTest, **values: Any) -> dict[str, Any]:
    return {"to": name_in(app), "view": "a", "query": "cell=3", "values": values}


def test_a_report_is_kept_for_its_page_and_runs_its_fragment(
    app: AppTest, client: TestClient, ran: list[Any]
) -> None:
    other = AppTest.from_function(page_with_a_cube).run()
    assert name_in(other) != name_in(app)
    assert client.post("/reports", json=body(app, picked=5, camera=CAMERA)).status_code == 204
    ((fragment, query),) = ran
    assert fragment.fragment
    assert query == "cell=3"
    app.run()
    assert app.session_state["picked"] == 5
    assert app.session_state["reported"] == {"picked": 5, "camera": CAMERA}
    other.run()
    assert other.session_state["reported"] == {}


def test_the_same_report_twice_is_two_reports_and_each_is_taken_once(
    app: AppTest, client: TestClient
) -> None:
    assert app.session_state["number"] == "nothing"
    for _ in range(2):
        client.post("/reports", json=body(app, number=0))
        assert app.run().session_state["number"] == 0
        assert app.run().session_state["number"] == "nothing"


def test_a_view_that_is_mounted_anew_has_reported_nothing_else(app: AppTest, client: TestClient) -> None:
    client.post("/reports", json=body(app, picked=5, number=2))
    client.post("/reports", json={**body(app, camera=CAMERA), "view": "b"})
    app.run()
    assert app.session_state["reported"] == {"camera": CAMERA}
    assert app.session_state["number"] == "nothing"


@pytest.mark.parametrize(
    "values",
    [
        {"picked": -1},
        {"picked": "1"},
        {"picked": True},
        {"number": None},
        {"geometry": 3},
        {"camera": "1,2"},
        {"camera": "1,2,3,4,5,6,7,8,nan"},
        {"camera": [1]},
        {"camera": CAMERA + "0" * 500},
        {"other": 1},
        {"number": 1, "other": 1},
    ],
)
def test_what_a_component_does_not_report_is_refused(
    app: AppTest, client: TestClient, ran: list[Any], values: dict[str, Any]
) -> None:
    assert client.post("/reports", json=body(app, **values)).status_code == 400
    assert app.run().session_state["reported"] == {}
    assert ran == []


@pytest.mark.parametrize(
    "report",
    [
        "no JSON",
        "[]",
        "{}",
        '{"to": "a", "view": "b", "query": "", "values": []}',
        "1" * 5000,
        "[" * 200_000,
    ],
)
def test_what_is_no_report_is_refused(client: TestClient, report: str) -> None:
    headers = {"content-type": "application/json"}
    assert client.post("/reports", content=report, headers=headers).status_code == 400


def test_only_pages_of_this_server_report(app: AppTest, client: TestClient, ran: list[Any]) -> None:
    report = body(app, picked=5)
    assert client.post("/reports", json=report, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert client.post("/reports", json=report, headers={"host": "elsewhere.test"}).status_code == 403
    assert client.post("/reports", content=json.dumps(report)).status_code == 415
    assert client.post("/reports", json={**report, "to": "guessed/cube"}).status_code == 404
    assert client.post("/reports", json={**report, "query": "a" * 9000}).status_code == 400
    assert client.post("/reports", json={**report, "query": "?cell=3"}).status_code == 400
    large = b" " * (reports_module._LARGEST + 1)
    headers = {"content-type": "application/json"}
    assert client.post("/reports", content=large, headers=headers).status_code == 413
    assert client.get("/reports").status_code == 405
    assert ran == []


def test_the_reports_of_closed_pages_are_forgotten(
    app: AppTest, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports_module, "_KEPT", 1)
    report = body(app, picked=5)
    AppTest.from_function(page_with_a_cube).run()
    assert client.post("/reports", json=report).status_code == 404


@pytest.mark.parametrize(("shown", "runs"), [("page", True), ("another page", False)])
def test_a_report_runs_its_fragment_while_its_page_is_shown_and_sends_no_widgets(
    monkeypatch: pytest.MonkeyPatch, shown: str, runs: bool
) -> None:
    requests: list[Any] = []
    session = SimpleNamespace(request_rerun=requests.append)
    runtime = SimpleNamespace(get_app_session={"session": session}.get)
    monkeypatch.setattr(reports_module, "get_instance", lambda: runtime)
    pages: Any = SimpleNamespace(current_page_script_hash=shown)
    for of in ("session", "a session that was closed"):
        reports_module._run(reports_module._Fragment(of, "part", "page", pages, None), "cell=3")
    assert [(each.fragment_id, each.page_script_hash, each.query_string) for each in requests] == [
        ("part", "page", "cell=3")
    ] * runs
    assert all(each.widget_states is None and not each.HasField("context_info") for each in requests)


def test_a_component_that_reports_belongs_into_a_fragment() -> None:
    def page() -> None:
        from lab.components import cube

        cube(None, key="cube", seq=0)

    (error,) = AppTest.from_function(page).run().exception
    assert "draw it inside of one" in error.message


def test_a_page_that_was_closed_runs_nothing(app: AppTest) -> None:
    with pytest.raises(KeyError):
        REPORTS.receive("a page before the server was started anew/cube", "a", {})
