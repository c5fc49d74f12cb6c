"""One file over HTTP, resumable."""

from __future__ import annotations

import hashlib
import logging
import time
import urllib.error
import urllib.request
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import cast
from urllib.parse import quote, urlsplit, urlunsplit

from ecgxai_core.errors import RecordError

__all__ = ["download", "same_sha256"]

log = logging.getLogger(__name__)

_CHUNK = 1 << 16
_TIMEOUT_SEC = 30.0
_GONE = {401, 403, 404, 410}


def same_sha256(path: Path, digest: str) -> bool:
    """Whether a file has this SHA-256 (hexadecimal)."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == digest


def download(url: str, path: Path, *, tries: int = 4, pause_sec: float = 1.0) -> int:
    """Download to ``path``, going on with what an earlier try left; returns the bytes that came.

    Raises
    ------
    RecordError
        The address is no web address, the file is not there, or the connection broke ``tries``
        times.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise RecordError(url, "address", "is no web address", "use http or https")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    received, problem = 0, ""
    for attempt in range(tries):
        try:
            received += _transfer(url, part)
        except urllib.error.HTTPError as error:
            if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                part.unlink(missing_ok=True)  # longer than the file: it was of another version
            elif error.code in _GONE:
                problem = f"the server says {error.code}"
                break
            problem = f"the server says {error.code}"
        except (OSError, HTTPException) as error:
            problem = f"the connection broke ({type(error).__name__})"
        else:
            part.replace(path)
            return received
        log.info("%s: %s, try %d of %d", path.name, problem, attempt + 1, tries)
        time.sleep(pause_sec * 2**attempt if attempt + 1 < tries else 0)
    raise RecordError(path.name, "", problem, "check the connection and call it again")


def _transfer(url: str, part: Path) -> int:
    have = part.stat().st_size if part.exists() else 0
    address = urlsplit(url)
    safe = urlunsplit(address._replace(path=quote(address.path, safe="/%")))
    request = urllib.request.Request(safe, headers={"User-Agent": "ecgxai"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    received = 0
    with cast(HTTPResponse, urllib.request.urlopen(request, timeout=_TIMEOUT_SEC)) as answer:
        goes_on = answer.status == HTTPStatus.PARTIAL_CONTENT
        expected = answer.headers.get("Content-Length")
        with part.open("ab" if goes_on else "wb") as stream:
            while block := answer.read(_CHUNK):
                stream.write(block)
                received += len(block)
    if expected is not None and received != int(expected):
        raise ConnectionError("the answer ended early")
    return received
