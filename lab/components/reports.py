"""Reports of components, such as a clicked cell: a route of the lab takes them and runs their fragment.

Streamlit's own way, ``setStateValue``, puts a report into one message with whatever is pressed at that
moment, and the message names only one fragment to run: the press or the report is lost. A report to a route
is a message of its own. See README.md in this folder.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from streamlit.proto.ClientState_pb2 import ContextInfo
from streamlit.runtime import get_instance
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.script_run_context import ThreadState

from lab.components.tab import tab

Check = Callable[[Any], bool]
"""Returns whether a component may report a value."""

NOTHING: Final = object()
"""Given for what was not reported; None is a report."""
_KEPT: Final = 1000
"""Elements whose reports are kept; those of tabs that were closed are forgotten in time."""
_LARGEST: Final = 1 << 20
"""Bytes of a report, which may name all points of a chart."""
_LONGEST_QUERY: Final = 8192


@dataclass(frozen=True)
class _Fragment:
    """The part of a page that is run when one of its components reports something.

    Attributes:
        session: id of Streamlit's session, which is one opened tab.
        fragment, page: Streamlit's names of the fragment and its page.
        pages: knows which page the session shows.
        context: what Streamlit knows of the browser, such as its theme.
    """

    session: str
    fragment: str
    page: str
    pages: PagesManager
    context: ContextInfo | None


@dataclass
class _Element:
    fragment: _Fragment
    checks: Mapping[str, Check]
    view: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)


class Reports:
    """The newest reports of the components of all open pages."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._elements: OrderedDict[str, _Element] = OrderedDict()

    def expect(self, key: str, checks: Mapping[str, Check]) -> str:
        """Accept reports of a component of the fragment being drawn.

        Args:
            key: identity of the component on its page.
            checks: what it reports, by name.

        Returns:
            the name under which the component sends them.

        Raises:
            RuntimeError: outside of a fragment: there would be nothing to run but the whole page.
        """
        fragment, name = _current_fragment(), f"{tab()}/{key}"
        if fragment is None:
            raise RuntimeError(f"the component {key!r} reports to its fragment: draw it inside of one")
        with self._lock:
            element = self._elements.pop(name, None) or _Element(fragment, checks)
            element.fragment, element.checks = fragment, checks
            self._elements[name] = element
            while len(self._elements) > _KEPT:
                self._elements.popitem(last=False)
        return name

    def values(self, key: str) -> dict[str, Any]:
        """Return all that a component of this page reported since it was mounted, by name."""
        with self._lock:
            element = self._elements.get(f"{tab()}/{key}")
            return dict(element.values) if element else {}

    def take(self, key: str, what: str) -> Any:
        """Return a report that was not taken yet, else `NOTHING`."""
        with self._lock:
            element = self._elements.get(f"{tab()}/{key}")
            if element is None or what not in element.unread:
                return NOTHING
            element.unread.remove(what)
            return element.values[what]

    def receive(self, name: str, view: str, values: Mapping[str, Any]) -> _Fragment:
        """Keep what a component reports; returns the fragment to run.

        Args:
            name: as `expect` returned it.
            view: names the mounted view; another one starts anew, as its page does.
            values: what it reports, by name.

        Raises:
            KeyError: for a component that no open page has.
            ValueError: if a value is none that the component reports.
        """
        with self._lock:
            element = self._elements[name]
            for what, value in values.items():
                if what not in element.checks or not element.checks[what](value):
                    raise ValueError(f"{what!r} is not reported, or is not {str(value)[:60]!r}")
            if view != element.view:
                element.view = view
                element.values.clear()
                element.unread.clear()
            element.values.update(values)
            element.unread.update(values)
            return element.fragment


REPORTS: Final = Reports()


async def receive_report(request: Request) -> Response:
    """Answer ``POST /reports``, called on the event loop of the server.

    The body is JSON: ``to`` and ``view`` as `Reports.receive` takes them, ``values``, and ``query``, the
    query of the page's address without its question mark.
    """
    # A page of another site cannot send this type without asking first, which the lab refuses.
    if request.headers.get("content-type") != "application/json":
        return _refusal(415, "a report is application/json")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST:
            return _refusal(413, f"a report has at most {_LARGEST:,} bytes")
    try:
        to, view, query, values = _parsed(bytes(body))
        fragment = REPORTS.receive(to, view, values)
    except KeyError:
        return _refusal(404, "no open page has this component")
    except ValueError as error:
        return _refusal(400, str(error))
    _run(fragment, query)
    return Response(status_code=204)


def _parsed(body: bytes) -> tuple[str, str, str, dict[str, Any]]:
    try:
        report = json.loads(body)
    except RecursionError as error:
        raise ValueError("a report is not nested that deep") from error
    if not isinstance(report, dict):
        raise ValueError("a report is an object")
    to, view, query, values = (report.get(name) for name in ("to", "view", "query", "values"))
    if not (isinstance(to, str) and isinstance(view, str) and isinstance(query, str)):
        raise ValueError("to, view and query of a report are texts")
    if len(view) > 64 or len(query) > _LONGEST_QUERY or query.startswith("?"):
        raise ValueError("view or query of the report is too long, or the query begins with '?'")
    if not isinstance(values, dict):
        raise ValueError("the values of a report are an object")
    return to, view, query, values


def _current_fragment() -> _Fragment | None:
    context, fragment = get_script_run_ctx(), ThreadState.get().fragment_id
    if context is None or fragment is None:
        return None
    return _Fragment(
        context.session_id, fragment, context.page_script_hash, context.pages_manager, context.context_info
    )


def _run(fragment: _Fragment, query: str) -> None:
    """Run a fragment, after whatever its page runs now; a page that was left runs nothing."""
    session = get_instance().get_app_session(fragment.session)
    # The session's own page_script_hash is that of the main script until the first run is over.
    if session is not None and fragment.pages.current_page_script_hash == fragment.page:
        session.request_rerun(_Rerun(fragment, query))  # type: ignore[arg-type]


class _Rerun:
    """A request to run one fragment, as `AppSession.request_rerun` reads a ``ClientState``.

    It is none, because that always states the widgets: without any, it would replace the widgets of a press
    that waits to be run.
    """

    widget_states = None
    page_name = ""
    cached_message_hashes = ()
    is_auto_rerun = True
    is_history_navigation = False

    def __init__(self, fragment: _Fragment, query: str) -> None:
        self.fragment_id = fragment.fragment
        self.page_script_hash = fragment.page
        self.query_string = query
        self.context_info = fragment.context

    def HasField(self, name: str) -> bool:  # noqa: N802
        return getattr(self, name) is not None


def _refusal(status: int, reason: str) -> Response:
    return PlainTextResponse(reason + "\n", status_code=status)
