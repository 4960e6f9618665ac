"""What pages are fed while nothing is touched: only news, only to pages of this server."""

import json
import struct
from collections.abc import Iterator

import pytest
from lattice_page import sent_header
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from lab.components import feeds as feeds_module
from lab.components.feeds import FEEDS, Feed, Feeds
from lab.routes import news_routes


def read(message: bytes) -> tuple[dict[str, str], dict[str, bytes]]:
    (length,) = struct.unpack_from("<I", message)
    header = json.loads(message[4 : 4 + length])
    body = message[4 + length :]
    arrays = {
        name: body[array["offset"] : array["offset"] + array["length"]]
        for name, array in header["arrays"].items()
    }
    return header["versions"], arrays


def test_a_feed_answers_with_what_is_new_to_who_asks() -> None:
    feeds, shown = Feeds(), ["1"]
    told = feeds.set("cube", Feed(lambda: shown[-1], lambda held: f"{shown[-1]} without {held}".encode()))
    assert told["version"] == "1"
    name = told["name"]
    assert read(feeds.answer([(name, "1", "")])) == ({}, {})
    shown.append("2")
    assert read(feeds.answer([(name, "1", "faces")])) == ({name: "2"}, {name: b"2 without faces"})
    assert read(feeds.answer([("of a page before the server was started anew", "1", "")])) == ({}, {})


def test_the_feeds_of_closed_pages_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds_module, "_KEPT", 2)
    feeds = Feeds()
    names = [feeds.set(key, Feed(lambda: "1", lambda _: b""))["name"] for key in ("a", "b", "c")]
    known, _ = read(feeds.answer([(name, "", "") for name in names]))
    assert list(known) == names[1:]


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(Starlette(routes=news_routes()), base_url="http://127.0.0.1") as client:
        yield client


def test_news_are_sent_to_pages_of_this_server_only(client: TestClient) -> None:
    name = FEEDS.set("words", Feed(lambda: "new", lambda _: b"words"))["name"]
    asked = {"feed": json.dumps([name, "old", ""])}
    assert read(client.get("/news", params=asked).content) == ({name: "new"}, {name: b"words"})
    assert client.get("/news", params=asked, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert client.get("/news", params=asked, headers={"host": "elsewhere.test"}).status_code == 403


@pytest.mark.parametrize("feed", ["no JSON", "[]", '["a", "b"]', "3"])
def test_a_question_that_makes_no_sense_is_refused(client: TestClient, feed: str) -> None:
    assert client.get("/news", params={"feed": feed}).status_code == 400


def page_with_words() -> None:
    import streamlit as st

    from lab.components import live_markup

    st.fragment(lambda: live_markup(lambda: ("<b>words</b>", "drawn from this"), key="words"))()


def test_markup_is_drawn_by_the_script_and_can_be_asked_for() -> None:
    (part,) = AppTest.from_function(page_with_words).run().get("bidi_component")
    header = sent_header(part.proto.bytes)
    assert header["markup"] == "<b>words</b>"
    name = header["feed"]["name"]
    assert read(FEEDS.answer([(name, header["feed"]["version"], "")]))[1] == {}
    assert b"<b>words</b>" in read(FEEDS.answer([(name, "before", "")]))[1][name]


VERSIONS = ["1"]


def page_that_runs_again(pause: float) -> None:
    import streamlit as st
    from test_feeds import VERSIONS

    from lab.components import run_when_newer

    st.fragment(lambda: run_when_newer(lambda: VERSIONS[-1], key="part", pause=pause))()


@pytest.mark.parametrize(("pause", "news"), [(0.0, ["2"]), (1e6, [])])
def test_a_part_runs_again_once_it_is_something_else(pause: float, news: list[str]) -> None:
    VERSIONS[:] = ["1"]
    (part,) = AppTest.from_function(page_that_runs_again, args=(pause,)).run().get("bidi_component")
    header = sent_header(part.proto.bytes)
    assert (header["markup"], header["drawnFrom"]) == ("", "1")
    name, version = header["feed"]["name"], header["feed"]["version"]
    assert read(FEEDS.answer([(name, version, "")]))[1] == {}
    VERSIONS.append("2")
    answers = read(FEEDS.answer([(name, version, "")]))[1].values()
    assert [sent_header(answer)["drawnFrom"] for answer in answers] == news
