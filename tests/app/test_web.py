"""What stands before the pages: names, headers, sizes of uploads, and nothing asked of the net."""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit import net_util
from streamlit.web import bootstrap
from streamlit.web.server import server_util
from streamlit.web.server.app_discovery import discover_asgi_app

from app.data import uploads
from app.shell import server_settings, web
from tests.browser.serving import serving

REPO = Path(__file__).resolve().parents[2]
UPLOAD = "/_stcore/upload_file/session-1/file-1"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("server")
    environment = {
        "ECGXAI_CACHE_DIR": str(folder / "cache"),
        "ECGXAI_HOSTS": "ecg.example, Proxy.Example",
        "ECGXAI_WARM": "0",
    }
    with serving(environment, folder / "server.log") as url:
        yield url


def answer(
    address: str, path: str, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], str]:
    """Status, headers and text."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=30)
    try:
        connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        got = connection.getresponse()
        text = "" if got.status == 101 else got.read().decode("utf-8", "replace")
        return got.status, {k.lower(): v for k, v in got.getheaders()}, text
    finally:
        connection.close()


def shaken_hands(address: str, host: str, origin: str | None) -> int:
    """Status of the first step of a websocket."""
    more = {} if origin is None else {"Origin": origin}
    status, _, _ = answer(
        address, "/_stcore/stream", Host=host, Connection="Upgrade", Upgrade="websocket",
        Sec_WebSocket_Version="13", Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==", **more,
    )  # fmt: skip
    return status


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[::1", "169.254.1.1"]
)
def test_a_page_is_not_served_under_a_name_that_is_not_ours(address: str, host: str) -> None:
    status, _, text = answer(address, "/", Host=host)
    assert status == 421
    assert "ECGXAI_HOSTS" in text
    assert len(text.splitlines()) == 1
    assert shaken_hands(address, host, f"http://{host}") == 403  # rebound: both are the same


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:1234", "127.0.0.1", "[::1]:80", "ecg.example", "proxy.example."],
)
def test_names_of_this_machine_and_of_the_operator_are_ours(address: str, host: str) -> None:
    assert answer(address, "/_stcore/health", Host=host)[0] == 200
    assert shaken_hands(address, host, f"http://{host}") == 101


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost.evil.example"])
def test_a_page_from_elsewhere_may_not_talk_to_the_server(address: str, origin: str) -> None:
    assert shaken_hands(address, "localhost", origin) == 403
    assert answer(address, UPLOAD, "PUT", Host="localhost", Origin=origin)[0] == 403


def test_every_answer_has_the_headers(address: str) -> None:
    for path, host in (("/", "localhost"), ("/_stcore/health", "localhost"), ("/x", "evil")):
        _, headers, _ = answer(address, path, Host=host)
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        policy = headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "default-src 'self'" in policy
        assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]


# ---- without a server --------------------------------------------------------------------------


class Given:
    """A request, and what the guard answers."""

    def __init__(self, guard: web.Guard, monkeypatch: pytest.MonkeyPatch) -> None:
        self._guard = guard
        self._patch = monkeypatch

    def __call__(self, size: str | None, held: list[int], kept: tuple[int, int] = (0, 0)) -> int:
        files = {str(n): SimpleNamespace(data=b"x" * n) for n in held}
        manager = SimpleNamespace(file_storage={"session-1": files})
        runtime = SimpleNamespace(uploaded_file_mgr=manager)
        self._patch.setattr(web.Runtime, "exists", lambda: True)
        self._patch.setattr(web.Runtime, "instance", lambda: runtime)
        self._patch.setattr(uploads, "held", lambda _session: kept)
        headers = [(b"host", b"localhost")]
        if size is not None:
            headers.append((b"content-length", size.encode()))
        scope = {"type": "http", "method": "PUT", "path": UPLOAD, "headers": headers}
        said: list[Any] = []

        async def send(message: Any) -> None:
            said.append(message)

        # A thread of its own: a browser driven earlier by this process leaves its loop running.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, self._guard(scope, lambda: None, send)).result()
        return int(said[0]["status"])


@pytest.fixture
def put(monkeypatch: pytest.MonkeyPatch) -> Given:
    async def streamlit(_scope: Any, _receive: Any, send: Callable[..., Any]) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return Given(web.Guard(streamlit), monkeypatch)


def test_uploads_are_limited_before_they_are_read(put: Given) -> None:
    assert put("1000", []) == 204
    assert put("10000000", []) == 204
    assert put("10100000", []) == 413
    assert put(None, []) == 411
    assert put("many", []) == 411
    assert put("1000", list(range(1, 20))) == 204
    assert put("1000", list(range(1, 21))) == 413
    assert put("1000", [], (20, 1)) == 413
    assert put("9000000", [41_000_001]) == 413
    assert put("9000000", [1], (3, 41_500_000)) == 413


def test_nothing_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def lookup(*_given: Any, **_named: Any) -> None:
        asked.append("looked up")

    monkeypatch.setattr(net_util, "get_external_ip", lookup)
    monkeypatch.setattr(net_util, "get_internal_ip", lookup)
    assert not server_util.is_url_from_allowed_origins("http://evil.example")
    assert asked  # so does streamlit by itself
    web.no_lookups()
    asked.clear()
    assert not server_util.is_url_from_allowed_origins("http://evil.example")
    assert not asked


def test_the_greeting_that_looks_up_addresses_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPO)
    monkeypatch.setattr(net_util, "get_external_ip", lambda: pytest.fail("looked up"))
    bootstrap._print_url(is_running_hello=False)


def test_streamlit_finds_the_application_in_the_entry_point() -> None:
    found = discover_asgi_app(REPO / "app" / "main.py")
    assert (found.is_asgi_app, found.import_string) == (True, "main:streamlit_app")


def test_the_address_that_is_bound_is_a_name_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "server_settings", lambda: server_settings.ServerSettings(hosts="A,b"))
    for address, more in (("192.168.1.5", {"192.168.1.5"}), ("0.0.0.0", set()), (None, set())):
        monkeypatch.setattr(web.st, "get_option", lambda _name, shown=address: shown)
        assert web.allowed_hosts() == {"localhost", "127.0.0.1", "::1", "a", "b"} | more
