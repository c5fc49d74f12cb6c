"""Long work in background threads: progress, time left, cancel; it survives a page change.

A job has a key (what it computes). Whoever asks for the same key gets the same job, so a second
session, a second click or another page never starts the work twice. Threads never touch streamlit;
the page shows a job with :func:`show`, which looks again every half second until it has ended.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import script_runner

from ecgxai_core.errors import EcgXaiError

__all__ = ["Job", "escaped", "forget", "get", "result", "show", "start"]

log = logging.getLogger(__name__)

Progress = Callable[[int, int, str], None]
"""Called with (steps done, steps in all, what is being done)."""
Work = Callable[[Progress], Any]

_AT_ONCE = 2
_KEPT = 128


def _keep_keras() -> None:
    """Streamlit ends every run of a page, and every look at a job, with keras' ``clear_session``:
    a full garbage collection that holds all threads up, without TensorFlow's compiled kernels
    afterwards, and with the names of layers counted anew while a job may be building a network.
    Nothing here grows from run to run, so that is left out."""
    script_runner._clean_problem_modules = lambda: None


_keep_keras()


class _Cancelled(BaseException):
    """Ends a job from inside its progress callback; nothing in between may swallow it."""


class Job:
    """One piece of work; read its attributes at any time from any thread.

    ``state`` is ``waiting``, ``running``, ``done``, ``failed`` or ``cancelled``; ``result`` is what
    the work returned, ``error`` the one-line reason of a failure.
    """

    def __init__(self, key: str, title: str, work: Work) -> None:
        self.key = key
        self.title = title
        self.state = "waiting"
        self.done = 0
        self.total = 0
        self.text = ""
        self.result: Any = None
        self.error = ""
        self.started = 0.0
        self.seconds = 0.0
        self._work = work
        self._stop = threading.Event()

    @property
    def active(self) -> bool:
        """Whether it waits or runs."""
        return self.state in {"waiting", "running"}

    @property
    def share(self) -> float:
        """How much is done, 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Estimated from the share that is done; ``None`` while that would be a guess."""
        spent = time.monotonic() - self.started
        if self.state != "running" or not 0.02 <= self.share < 0.99 or spent < 1.0:
            return None
        return spent * (1 - self.share) / self.share

    def cancel(self) -> None:
        """Stop at the next step of the work."""
        self._stop.set()

    def run(self, turn: threading.Semaphore) -> None:
        """The body of the thread."""
        with turn:
            self.started = time.monotonic()
            try:
                self._progress(0, self.total, "")
                self.state = "running"
                self.result = self._work(self._progress)
                self.state = "done"
            except _Cancelled:
                self.state = "cancelled"
            except EcgXaiError as error:
                self.error, self.state = str(error), "failed"
            except Exception as error:
                log.exception("job %s", self.title)
                self.error = f"A fault of the program ({type(error).__name__}); see the server log."
                self.state = "failed"
            self.seconds = time.monotonic() - self.started

    def _progress(self, done: int, total: int, text: str = "") -> None:
        if self._stop.is_set():
            raise _Cancelled
        self.done, self.total, self.text = int(done), int(total), text


class _Registry:
    """All jobs of this server by key; old finished ones are dropped."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.lock = threading.Lock()
        self.turn = threading.Semaphore(_AT_ONCE)


@st.cache_resource(show_spinner=False)
def _registry() -> _Registry:
    return _Registry()


def start(key: str, title: str, work: Work) -> Job:
    """The job of that key: the one that is waiting, running or done, else a new one."""
    registry = _registry()
    with registry.lock:
        job = registry.jobs.get(key)
        if job is not None and (job.active or job.state == "done"):
            return job
        job = registry.jobs[key] = Job(key, title, work)
        ended = [k for k, j in registry.jobs.items() if not j.active and k != key]
        for old in ended[: max(0, len(registry.jobs) - _KEPT)]:
            del registry.jobs[old]
    threading.Thread(target=job.run, args=(registry.turn,), name="job", daemon=True).start()
    return job


def get(key: str) -> Job | None:
    """The job of that key, in whatever state."""
    return _registry().jobs.get(key)


def result(key: str) -> Any:
    """What the job of that key returned, or ``None`` while there is nothing."""
    job = get(key)
    return job.result if job is not None and job.state == "done" else None


def forget(prefix: str) -> None:
    """Cancel and drop every job whose key starts so (own records, changed folders)."""
    registry = _registry()
    with registry.lock:
        for key in [key for key in registry.jobs if key.startswith(prefix)]:
            registry.jobs.pop(key).cancel()


def show(job: Job) -> None:
    """Progress with time left and a cancel button; the page runs again when the job has ended.

    A failed or cancelled job says so, with a button that forgets it (so that the page can start it
    again). Nothing is shown for a job that is done.
    """
    if job.active:
        _watch(job)
    elif job.state != "done":
        text = job.error if job.state == "failed" else f"{job.title}: cancelled."
        (st.error if job.state == "failed" else st.info)(escaped(text))
        st.button("Try again", key=f"again-{job.key}", on_click=forget, args=(job.key,))


@st.fragment(run_every=0.5)
def _watch(job: Job) -> None:
    if not job.active:
        st.rerun()
    left = job.seconds_left
    spent = f"{_duration(time.monotonic() - job.started)} so far"
    parts = [job.title, job.text, spent if left is None else f"about {_duration(left)} left"]
    if job.state == "waiting":
        parts = [job.title, "waiting for other work to end"]
    st.progress(job.share, text=escaped(" · ".join(part for part in parts if part)))
    st.button("Cancel", key=f"cancel-{job.key}", on_click=job.cancel)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def escaped(text: object) -> str:
    """Text that may come from a file, safe inside markdown: shown as it is, never as markup."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]()<>#+-.!|~$:&" else c for c in str(text))
