"""Fetch public data sets: resumable, checked against their published SHA-256 sums.

The list of files is the data set's own ``SHA256SUMS.txt``, so nothing comes that is not on it and
nothing is kept that differs from it.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath
from typing import cast
from urllib.parse import quote, urlsplit, urlunsplit

from ecgxai_core.errors import RecordError

__all__ = ["DATASETS", "DataSet", "FetchProgress", "download", "fetch", "parse_sums"]

log = logging.getLogger(__name__)

SUMS = "SHA256SUMS.txt"
_SPARE_BYTES = 200_000_000


@dataclass(frozen=True, slots=True)
class DataSet:
    """Where a data set is, which of its files are wanted and how much room they take."""

    name: str
    url: str
    wanted: tuple[str, ...]
    size_bytes: int
    licence: str
    citation: str


@dataclass(frozen=True, slots=True)
class FetchProgress:
    """Files done and in all, bytes that came over the net, seconds left (``None``: not known)."""

    done: int
    files: int
    received_bytes: int
    seconds_left: float | None


Report = Callable[[FetchProgress], None]

_PTBXL = "https://physionet.org/files/ptb-xl/1.0.1/"
_TABLES = ("ptbxl_database.csv", "scp_statements.csv", "LICENSE.txt")
_WAGNER = "Wagner et al., Scientific Data 7:154 (2020)"

DATASETS: dict[str, DataSet] = {
    data.name: data
    for data in (
        DataSet("ptb-xl", _PTBXL, (*_TABLES, "records100/"), 620_000_000, "CC BY 4.0", _WAGNER),
        DataSet(
            "ptb-xl-500", _PTBXL, (*_TABLES, "records500/"), 2_700_000_000, "CC BY 4.0", _WAGNER
        ),
        DataSet(
            "cinc2020",
            "https://physionet.org/files/challenge-2020/1.0.2/",
            ("training/", "LICENSE.txt"),
            7_000_000_000,
            "CC BY 4.0",
            "Perez Alday et al., Physiol. Meas. 41:124003 (2020)",
        ),
        DataSet(
            "ludb",
            "https://physionet.org/files/ludb/1.0.1/",
            ("data/", "ludb.csv", "LICENSE.txt"),
            40_000_000,
            "ODC-By 1.0",
            "Kalyakulina et al., IEEE Access 8:186181 (2020)",
        ),
    )
}
"""Name -> data set; sizes are of the wanted files, rounded up."""


def fetch(
    name: str | DataSet, dest: Path, *, report: Report | None = None, connections: int = 4
) -> Path:
    """Fetch a data set into ``dest``; the same call resumes where it was stopped.

    Files that are there and right are not fetched again; a file that is there and wrong is.

    Raises
    ------
    RecordError
        No such data set, not enough room, no connection, or a file that does not match its sum.
    """
    data = name if isinstance(name, DataSet) else DATASETS.get(name)
    if data is None:
        known = ", ".join(DATASETS)
        raise RecordError(str(name), "", "is not a known data set", f"use one of {known}")
    dest.mkdir(parents=True, exist_ok=True)
    _check_room(data, dest)
    sums_file = dest / SUMS
    sums_file.unlink(missing_ok=True)  # the sums themselves are always those of today
    download(data.url + SUMS, sums_file)
    sums = parse_sums(sums_file.read_text(encoding="utf-8", errors="replace"), data.wanted)
    if not sums:
        raise RecordError(data.name, SUMS, "lists none of the wanted files", "report it")
    _fetch_all(data, sums, dest, report, connections)
    return dest


def parse_sums(text: str, wanted: Iterable[str]) -> dict[str, str]:
    """Path -> SHA-256 of the wanted files (a name, or a folder with ``/`` at its end).

    Raises
    ------
    RecordError
        A path that leads out of the folder, or a line that is none.
    """
    names = tuple(wanted)
    folders = tuple(name for name in names if name.endswith("/"))
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        digest, _, path = line.strip().partition(" ")
        path = path.strip().removeprefix("*")
        hexadecimal = len(digest) == 64 and all(c in "0123456789abcdef" for c in digest.lower())
        parts = PurePosixPath(path).parts
        if not hexadecimal or not parts or path.startswith("/") or ".." in parts or "\\" in path:
            raise RecordError(SUMS, f"line {number}", "is not the checksum of a file", "report it")
        if path in names or path.startswith(folders):
            found[path] = digest.lower()
    return found


def _check_room(data: DataSet, dest: Path) -> None:
    there = sum(path.stat().st_size for path in dest.rglob("*") if path.is_file())
    needed = max(data.size_bytes - there, 0) + _SPARE_BYTES
    free = shutil.disk_usage(dest).free
    if free < needed:
        problem = f"{free / 1e9:.1f} GB are free, {needed / 1e9:.1f} GB are needed"
        raise RecordError(dest.name, "free space", problem, "choose another disk")


def _fetch_all(
    data: DataSet, sums: dict[str, str], dest: Path, report: Report | None, connections: int
) -> None:
    started, received, done = time.monotonic(), 0, 0
    with ThreadPoolExecutor(connections) as pool:
        jobs: set[Future[int]] = {
            pool.submit(_fetch_one, data.url + path, dest / path, digest)
            for path, digest in sums.items()
        }
        try:
            while jobs:
                finished, jobs = wait(jobs, timeout=1.0, return_when=FIRST_EXCEPTION)
                received += sum(job.result() for job in finished)
                done += len(finished)
                if report is not None:
                    spent = time.monotonic() - started
                    left = spent / done * (len(sums) - done) if done else None
                    report(FetchProgress(done, len(sums), received, left))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _fetch_one(url: str, path: Path, digest: str) -> int:
    """Fetch one file unless it is there and right; returns the bytes that came."""
    if path.is_file() and same_sha256(path, digest):
        return 0
    path.unlink(missing_ok=True)
    received = 0
    for _ in range(2):  # a part left by a broken run may be wrong: the second try starts afresh
        received += download(url, path)
        if same_sha256(path, digest):
            return received
        path.unlink(missing_ok=True)
    problem = "differs from the published sum"
    raise RecordError(path.name, "SHA-256", problem, "try again later; it was not kept")


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
        The address is not a web address, the file is not there, or the connection broke ``tries``
        times.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise RecordError(url, "address", "is not a web address", "use http or https")
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
