"""Between the pages and the browser: host names, headers, uploads, start and end.

Streamlit serves pages under any host name. Here requests are refused whose ``Host`` is
neither a name of this machine nor one that the operator set (a page from elsewhere can bind its own
name to this address: DNS rebinding), responses get security headers, and uploads are limited
before they are read. ``/_stcore/metrics``, which streamlit offers for monitoring, gives the
numbers of sessions and connections, without identities; a public proxy may block it.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import streamlit as st
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from streamlit import net_util
from streamlit.runtime import Runtime

from app.data import uploads
from app.shell import users, workers
from app.shell.server_settings import server_settings

log = logging.getLogger(__name__)

Scope = Mapping[str, Any]
Receive = Callable[..., Any]
Send = Callable[..., Any]

THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
_WILDCARDS = ("0.0.0.0", "::", "")
_UPLOAD = re.compile(r".*/_stcore/upload_file/(?P<session>[^/]+)/(?P<file>[^/]+)$")
_OVERHEAD = 10_000
"""Bytes of a request that are not the file."""


def allowed_hosts() -> frozenset[str]:
    """Names by which browsers may ask: of this machine, bound to, and the operator's."""
    address = str(st.get_option("server.address") or "").lower()
    own = () if address in _WILDCARDS else (address,)
    return frozenset((*THIS_MACHINE, *own, *server_settings().hosts))


def content_policy() -> str:
    """Where a page may load things from: this server, and nowhere else.

    Streamlit and plotly write styles into the page, draw on blobs and run workers from them, so
    these are let in; of inline scripts only the one in streamlit's own page.
    """
    scripts = " ".join(f"'sha256-{digest}'" for digest in _inline_scripts())
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' blob: 'wasm-unsafe-eval' {scripts}".strip(),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "media-src 'self' data: blob:",
            "connect-src 'self' ws: wss: data: blob:",
            "worker-src 'self' blob:",
            "frame-src 'self'",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def _inline_scripts() -> list[str]:
    """SHA-256 of the inline scripts of streamlit's page."""
    page = Path(st.__file__).parent / "static" / "index.html"
    found = re.findall(r"<script>(.*?)</script>", page.read_text("utf-8"), re.DOTALL)
    return [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in found]


class Guard:
    """ASGI middleware around streamlit's own application."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._hosts = allowed_hosts()
        self._headers = {
            "Content-Security-Policy": content_policy(),
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
            "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on and add headers."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)  # type: ignore[arg-type]
        status, why = self._refusal(scope, headers)
        if not status:
            await self._app(scope, receive, self._with_headers(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": why[:100]})
        else:
            response = PlainTextResponse(why + "\n", status)
            await response(scope, receive, self._with_headers(send))  # type: ignore[arg-type]

    def _with_headers(self, send: Send) -> Send:
        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
            await send(message)

        return sent

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str]:
        """Status and reason; 0 where the request is let through."""
        host = _hostname(f"//{headers.get('host', '')}")
        if host not in self._hosts:
            return 421, _stranger("asked for under", host)
        changes = scope["type"] == "websocket" or scope["method"] not in {"GET", "HEAD", "OPTIONS"}
        origin = headers.get("origin")
        if changes and origin is not None and _hostname(origin) not in self._hosts:
            return 403, _stranger("asked by a page of", _hostname(origin))
        upload = _UPLOAD.match(scope["path"])
        if upload and scope["type"] == "http" and scope["method"] in {"PUT", "POST"}:
            return _upload_refusal(upload["session"], upload["file"], headers)
        return 0, ""


def _hostname(url: str) -> str:
    """Name in a URL, in lower case; empty where there is none or it is malformed."""
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""


def _stranger(how: str, name: str) -> str:
    shown = re.sub(r"[^a-z0-9.:-]", "?", name)[:100] or "no name"
    return (
        f"This server is {how} {shown}, which is not one of its names. "
        "Fix: the operator adds the name to ECGXAI_HOSTS."
    )


def _upload_refusal(session: str, file: str, headers: Headers) -> tuple[int, str]:
    """Whether a file is more than a session may upload, before a byte of it is read."""
    try:
        size = int(headers.get("content-length", ""))
    except ValueError:
        return 411, "The size of the upload is missing."
    if size > uploads.MOST_BYTES + _OVERHEAD:
        return 413, f"A file may have {uploads.MOST_BYTES // 10**6} MB."
    manager: Any = Runtime.instance().uploaded_file_mgr if Runtime.exists() else None
    held = dict(getattr(manager, "file_storage", {}).get(session, {}))
    held.pop(file, None)
    number, total = uploads.held(session)
    if number + len(held) + 1 > uploads.MOST_FILES:
        return 413, f"A session may have {uploads.MOST_FILES} files."
    if total + sum(len(item.data) for item in held.values()) + size > uploads.MOST_SESSION_BYTES:
        return 413, f"A session may have {uploads.MOST_SESSION_BYTES // 10**6} MB of files."
    return 0, ""


def no_lookups() -> None:
    """Keep Streamlit from asking the network for its own addresses when an origin is unknown."""
    net_util.get_external_ip = lambda: None
    net_util.get_internal_ip = lambda: None


@asynccontextmanager
async def serving(_app: Any) -> AsyncIterator[None]:
    """From the start of the server to its end."""
    uploads.remove_leftovers()
    workers.pool().warm()
    address, port = st.get_option("server.address"), st.get_option("server.port")
    shown = "localhost" if address in (*_WILDCARDS, None) else address
    print(f"ECG-XAI: http://{shown}:{port}", flush=True)  # noqa: T201
    if users.is_open():
        print(f"WARNING: {users.OPEN} Fix: {users.HOW}", flush=True)  # noqa: T201
    try:
        yield
    finally:
        workers.pool().close()
        uploads.close_all()
