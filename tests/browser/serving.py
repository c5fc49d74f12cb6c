"""A dashboard server for tests, screenshots and benchmarks: on a free port, ended afterwards."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["ARGUMENTS", "CHROMIUM", "HINT", "REPO", "complaint", "serving", "settled"]

REPO = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium")
HINT = "needs chromium and playwright: apt-get install chromium; pip install playwright"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def serving(
    environment: Mapping[str, str], log: Path, program: Sequence[str] = ("-m", "streamlit")
) -> Iterator[str]:
    """Address of a running dashboard; ``environment`` is added to this process's own.

    ``program`` are python's arguments that stand for the ``streamlit`` command.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, *program, "run", "app/main.py", "--server.headless=true"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, f"--server.port={port}"],
            cwd=REPO,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_for(f"http://127.0.0.1:{port}/_stcore/health", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:  # busy with a network; nobody waits for its result
                process.kill()
                process.wait(60)


def _wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(800):
        assert process.poll() is None, "the server ended"
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except OSError:
            time.sleep(0.25)
    raise AssertionError("the server does not answer")


def complaint(said: Any) -> bool:
    """Errors of the console, but not streamlit's own search for its base path when a link names a
    page."""
    return said.type == "error" and "_stcore" not in said.location.get("url", "")


def settled(tab: Any) -> None:
    """Wait until the script has run to its end and nothing is loading."""
    tab.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    tab.wait_for_timeout(150)
    tab.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
