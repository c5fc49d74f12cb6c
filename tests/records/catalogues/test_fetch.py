"""Fetching from a local server: complete, interrupted, corrupted, resumed."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ecgxai_core.errors import RecordError
from ecgxai_core.records import fetch as fetch_module
from ecgxai_core.records import fetch as fetching
from ecgxai_core.records.fetch import DATASETS, DataSet, FetchProgress, fetch, parse_sums

FILES = {
    "data/1.dat": bytes(range(256)) * 40,
    "data/1 a.hea": b"header\n",
    "table.csv": b"a,b\n",
    "unwanted/big.bin": b"x" * 100,
}


class Server(ThreadingHTTPServer):
    """Serves ``files``, logs requests, and breaks the first connections for ``fragile``."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = dict(FILES)
        self.fragile: dict[str, int] = {}
        self.ranges = True
        self.asked: list[tuple[str, str | None]] = []
        self.sums()

    def sums(self) -> None:
        names = [name for name in self.files if not name.startswith("SHA")]
        lines = [f"{hashlib.sha256(self.files[name]).hexdigest()} {name}\n" for name in names]
        self.files["SHA256SUMS.txt"] = "".join(lines).encode()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        from urllib.parse import unquote

        name = unquote(self.path.lstrip("/"))
        wanted = self.headers.get("Range")
        self.server.asked.append((name, wanted))
        data = self.server.files.get(name)
        if data is None:
            self.send_error(404)
            return
        start = int(wanted.split("=")[1].rstrip("-")) if wanted and self.server.ranges else 0
        if start and start >= len(data):
            self.send_error(416)
            return
        body = data[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.fragile.get(name, 0):
            self.server.fragile[name] -= 1
            body = body[: len(body) // 2]
            self.close_connection = True
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(fetching.time, "sleep", lambda _: None)
    made = Server()
    thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()


def data_set(server: Server, size: int = 1000) -> DataSet:
    url = f"http://127.0.0.1:{server.server_address[1]}/"
    return DataSet("test", url, ("data/", "table.csv"), size, "none", "none")


def test_selected_files_are_fetched_completely_with_progress(
    server: Server, tmp_path: Path
) -> None:
    seen: list[FetchProgress] = []
    fetch(data_set(server), tmp_path / "d", report=seen.append)
    for name in ("data/1.dat", "data/1 a.hea", "table.csv"):
        assert (tmp_path / "d" / name).read_bytes() == FILES[name]
    assert not (tmp_path / "d" / "unwanted").exists()
    assert not list((tmp_path / "d").rglob("*.part"))
    assert (seen[-1].done, seen[-1].files) == (3, 3)
    assert seen[-1].received_bytes == sum(map(len, FILES.values())) - 100
    assert seen[-1].seconds_left == 0


def test_existing_intact_files_are_not_fetched_again(server: Server, tmp_path: Path) -> None:
    fetch(data_set(server), tmp_path)
    (tmp_path / "table.csv").write_bytes(b"changed")
    server.asked.clear()
    fetch(data_set(server), tmp_path)
    assert [name for name, _ in server.asked] == ["SHA256SUMS.txt", "table.csv"]
    assert (tmp_path / "table.csv").read_bytes() == FILES["table.csv"]


def test_an_interrupted_transfer_is_resumed(server: Server, tmp_path: Path) -> None:
    server.fragile["data/1.dat"] = 2
    fetch(data_set(server), tmp_path)
    assert (tmp_path / "data/1.dat").read_bytes() == FILES["data/1.dat"]
    asked = [wanted for name, wanted in server.asked if name == "data/1.dat"]
    assert asked == [None, "bytes=5120-", "bytes=7680-"]


def test_a_stopped_fetch_resumes_from_the_partial_file(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/1.dat.part").write_bytes(FILES["data/1.dat"][:1000])
    fetch(data_set(server), tmp_path)
    assert ("data/1.dat", "bytes=1000-") in server.asked
    assert (tmp_path / "data/1.dat").read_bytes() == FILES["data/1.dat"]


@pytest.mark.parametrize("left", [b"wrong" * 10, b"z" * 20_000])
def test_a_corrupt_partial_file_is_discarded(server: Server, tmp_path: Path, left: bytes) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/1.dat.part").write_bytes(left)
    fetch(data_set(server), tmp_path)
    assert (tmp_path / "data/1.dat").read_bytes() == FILES["data/1.dat"]


def test_without_range_support_the_file_is_fetched_again(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    server.fragile["data/1.dat"] = 1
    fetch(data_set(server), tmp_path)
    assert (tmp_path / "data/1.dat").read_bytes() == FILES["data/1.dat"]


def test_a_file_with_a_wrong_checksum_is_not_kept(server: Server, tmp_path: Path) -> None:
    server.files["table.csv"] = b"tampered"
    with pytest.raises(RecordError, match="SHA-256"):
        fetch(data_set(server), tmp_path)
    assert not (tmp_path / "table.csv").exists()


def test_missing_files_and_unreachable_servers_are_errors(server: Server, tmp_path: Path) -> None:
    del server.files["table.csv"]
    with pytest.raises(RecordError, match="404"):
        fetch(data_set(server), tmp_path)
    dead = DataSet("dead", "http://127.0.0.1:9/", ("a",), 1, "", "")
    with pytest.raises(RecordError, match="connection"):
        fetch(dead, tmp_path)
    with pytest.raises(RecordError, match="not a web address"):
        fetch(DataSet("f", "file:///etc/", ("passwd",), 1, "", ""), tmp_path)


def test_too_little_disk_space_is_refused_before_the_transfer(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 10**8

    monkeypatch.setattr(fetch_module.shutil, "disk_usage", lambda _: Usage)
    with pytest.raises(RecordError, match="free space"):
        fetch(data_set(server, 10**9), tmp_path)
    assert server.asked == []


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "data/../../x", "", "data\\x"])
def test_checksums_of_paths_outside_the_folder_are_refused(path: str) -> None:
    with pytest.raises(RecordError, match="line 1"):
        parse_sums(f"{'0' * 64} {path}\n", ("data/",))


def test_both_formats_of_checksum_files_are_read() -> None:
    text = f"{'a' * 64} data/1\n\n{'B' * 64} *data/2\n{'c' * 64} other\n"
    assert parse_sums(text, ("data/",)) == {"data/1": "a" * 64, "data/2": "b" * 64}


def test_known_data_sets_use_https_and_have_licence_and_citation() -> None:
    assert {"ptb-xl", "cinc2020", "ludb"} <= set(DATASETS)
    for data in DATASETS.values():
        assert data.url.startswith("https://physionet.org/files/")
        assert data.licence
        assert data.citation
    with pytest.raises(RecordError, match="not a known data set"):
        fetch("mimic", Path("nowhere"))
