"""A page that plays the host of the viewer: ``show(payload)`` gives it data, ``said`` is a list of
what it told, as (name, value), ``viewerParts`` are functions that tests call. Served over HTTP,
because a page from a file has no address that a script may change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np

from ecgxai_core.types import STANDARD_LEADS, Attribution, Float32Array, Provenance, Record
from ecgxai_core.viewer import javascript, stylesheet

__all__ = ["attribution", "record", "serving_page", "write_host"]

_HOST = """
window.said = [];
const parentElement = document.getElementById("viewer");
const setTriggerValue = (name, value) => window.said.push([name, value]);
window.viewerParts = { decode, fuseMaps, labData };
window.show = (data) => { window.unmount = ecgViewer({ data, parentElement, setTriggerValue }); };
"""


def write_host(folder: Path) -> Path:
    """Write the page; returns its file."""
    file = folder / "host.html"
    file.write_text(
        '<!DOCTYPE html><meta charset="utf-8"><title>host</title><link rel="icon" href="data:,">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{stylesheet()}</style><input id='typing'><div id='viewer'></div>"
        f'<script type="module">{javascript()}\n{_HOST}</script>',
        "utf-8",
    )
    return file


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the console."""


@contextmanager
def serving_page(folder: Path) -> Iterator[str]:
    """Address of a server of this folder, on a free port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def record(name: str = "R00", *, seconds: float = 10.0, fs: float = 500.0, seed: int = 0) -> Record:
    """Beats every 0.8 s with P, QRS and T waves in twelve leads of different size, and noise."""
    return Record(name, _beats(seconds, fs, seed), fs, STANDARD_LEADS)


def _beats(seconds: float, fs: float, seed: int) -> Float32Array:
    time = np.arange(round(seconds * fs)) / fs
    phase = time % 0.8 - 0.4
    waves = ((0.0, 0.012, 1.2), (0.025, 0.012, -0.5), (0.25, 0.045, 0.25), (-0.16, 0.025, 0.12))
    line = sum(height * np.exp(-0.5 * ((phase - at) / wide) ** 2) for at, wide, height in waves)
    size = np.array([0.6, 1, 0.5, -0.8, 0.3, 0.7, -0.5, 0.9, 1.2, 1.4, 1.2, 0.9])
    noise = np.random.default_rng(seed).normal(0, 0.01, (12, len(time)))
    return (np.outer(size, line) + noise).astype(np.float32)


def attribution(
    name: str, method: str, *, seed: int = 0, segments: int = 20, seconds: float = 10.0
) -> Attribution:
    """A map whose largest cells lie in V1, and of which the last segment was not explored."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(0, 0.2, (12, segments))
    weights[6] = 1 + 0.1 * rng.random(segments)
    explored = np.ones((12, segments), dtype=np.bool_)
    explored[:, -1] = False
    return Attribution(
        name, "T", method, 0.9, STANDARD_LEADS, np.linspace(0, seconds, segments + 1),
        weights.astype(np.float32), explored, Provenance("r", "m", {}, 0, "0"),
    )  # fmt: skip
