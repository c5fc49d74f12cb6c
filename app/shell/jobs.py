"""Long work behind pages: progress, time left, cancel; it survives a page change.

A job has a key (what it computes). Whoever asks for the same key gets the same job, so a second
session, a second click or another page never starts the work twice. It runs in a worker process
(:mod:`app.shell.workers`); the page shows it with :func:`show`, which looks again four times a
second until it has ended. Only sessions that asked for a job see its name and can cancel
it; it ends when none of them is left.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import streamlit as st

from app.shell import sessions
from app.shell.server_settings import most_passes
from app.shell.workers import SHORT_PASSES, Job, job_of, pool
from app.shell.workers import Earlier as Earlier  # pages name it as jobs.Earlier
from ecgxai_core.errors import EcgXaiError
from ecgxai_core.explainers.cost import Cost
from ecgxai_core.pipeline.cost import check_cost, total

_KEPT = 128
_WATCHED_SEC = 3.0
"""A session that watched a job this recently takes it over when the session that asked ends."""


class _Registry:
    """All jobs of this server by key; old finished ones are dropped."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.lock = threading.RLock()
        pool().find_result = self.result
        sessions.at_end(_session_ended)
        sessions.when_alone(_nobody_is_here)

    def result(self, key: str) -> Any:
        """What a job returned; ``None`` where there is nothing."""
        job = self.jobs.get(key)
        return job.result if job is not None and job.state == "done" else None

    def end(self) -> None:
        """End and drop all."""
        with self.lock:
            for job in self.jobs.values():
                pool().end(job)
            self.jobs.clear()


_last: _Registry | None = None


@st.cache_resource(show_spinner=False)
def _registry() -> _Registry:
    global _last
    if _last is not None:
        _last.end()
    _last = _Registry()
    return _last


def start(
    key: str,
    title: str,
    function: Callable[..., Any],
    *args: Any,
    cost: Cost | None = None,
    short: bool | None = None,
    again: bool = True,
) -> Job:
    """The job of that key: the one that is waiting, running or done, else a new one.

    Parameters
    ----------
    key, title
        What it computes, and what it is called on the page.
    function, args
        A function of :mod:`app.data.work` and its arguments (:class:`Earlier` = the result of
        another job).
    cost
        Forward passes, by the parameter that drives them. What costs more than pages of this
        server may ask for is refused: the job fails, with a message about what to lower.
    short
        Whether it is short; by default its cost decides.
    again
        Start a job that failed or was cancelled again; off where a page starts it by itself, so
        that not every visit of the page does.
    """
    registry, session = _registry(), sessions.here()
    passes = total(cost) if cost is not None else None
    if short is None:
        short = passes is None or passes <= SHORT_PASSES
    with registry.lock:
        job = registry.jobs.get(key)
        if job is not None and (job.active or job.state == "done" or not again):
            if job.active:
                job.asked_by.add(session)
            return job
        job = job_of(key, title, function, args, passes=passes, short=short, asked_by={session})
        registry.jobs[key] = job
        ended = [k for k, j in registry.jobs.items() if not j.active and k != key]
        for old in ended[: max(0, len(registry.jobs) - _KEPT)]:
            del registry.jobs[old]
    try:
        check_cost(cost or {}, most_passes(), title)
    except EcgXaiError as error:
        job.error, job.state = str(error), "failed"
        job.ended.set()
    else:
        pool().add(job)
    return job


def get(key: str) -> Job | None:
    """The job of that key, in whatever state."""
    return _registry().jobs.get(key)


def result(key: str) -> Any:
    """What the job of that key returned, or ``None`` while there is nothing."""
    return _registry().result(key)


def forget(prefix: str) -> None:
    """Drop every job whose key starts so, as far as this session is concerned (own records,
    changed folders): jobs that others wait for go on."""
    registry, session = _registry(), sessions.here()
    with registry.lock:
        for key in [key for key in registry.jobs if key.startswith(prefix)]:
            job = registry.jobs[key]
            pool().withdraw(job, session)
            if not job.active:
                del registry.jobs[key]


def end_about(folder: str) -> None:
    """End and drop every job whose key names a folder that is deleted: uploaded records, which are
    one session's alone. Callable from any thread; starts nothing."""
    if _last is None:
        return
    with _last.lock:
        for key in [key for key in _last.jobs if folder in key]:
            pool().end(_last.jobs.pop(key))


def _nobody_is_here() -> None:
    """Give the memory back that workers hold for readers who have left."""
    pool().renew()


def _session_ended(session: str) -> None:
    """Withdraw what an ended session asked for; sessions that watch a job take it over."""
    registry = _registry()
    with registry.lock:
        now = time.monotonic()
        for job in [job for job in registry.jobs.values() if session in job.asked_by]:
            watching = {s for s, seen in job.watched_by.items() if now - seen < _WATCHED_SEC}
            job.asked_by |= watching - {session}
            pool().withdraw(job, session, gone=True)


def cancelled_elsewhere(job: Job) -> bool:
    """Whether it was cancelled, and not by this session: then this session never hears of it."""
    return job.state == "cancelled" and sessions.here() not in job.withdrawn_by


def show(
    job: Job,
    begin: Callable[[], object] | None = None,
    news: Callable[[], bool] | None = None,
) -> None:
    """Progress with time left, and Cancel at the end of its line; the page runs again when the job
    has ended, and while it runs whenever ``news`` says that there is something which the page does
    not show yet.

    A failed or cancelled job is reported, with a button that starts it again: with ``begin``, else
    by forgetting it, where the page starts it by itself. Nothing is shown for a job that is done.
    """
    if job.active:
        _watch(job, news)
    elif job.state == "failed":
        st.error(escaped(job.error))
    elif job.state == "cancelled":
        _say_cancelled(job)
    if job.state in {"failed", "cancelled"}:
        st.button("Try again", key=f"again-{job.key}", on_click=_again, args=(job.key, begin))


@st.fragment(run_every=0.5)
def show_aside(job: Job, text: str) -> None:
    """One line on a job whose main results are shown already; the page runs again when it ends."""
    if not job.active:
        st.rerun()
    st.caption(f":material/hourglass_bottom: {escaped(text)}")


def _again(key: str, begin: Callable[[], object] | None) -> None:
    forget(key)
    if begin is not None:
        begin()


def wait(job: Job) -> Any:
    """The result of a job; until there is one the page shows its progress, and ends."""
    if job.state != "done":
        show(job)
        st.stop()
    return job.result


def _say_cancelled(job: Job) -> None:
    st.info(escaped(f"{job.title}: cancelled."))


@st.fragment(run_every=0.25)
def _watch(job: Job, news: Callable[[], bool] | None = None) -> None:
    known = st.session_state.get("cancelled-job") == job.number
    if job.state == "cancelled" and not known and not cancelled_elsewhere(job):
        # said at once; the page, whose figures take a second, is drawn again a moment later
        st.session_state["cancelled-job"] = job.number
        _say_cancelled(job)
        return
    if not job.active or (news is not None and news()):
        st.rerun()
    session = sessions.here()
    if session not in job.asked_by:
        job.watched_by[session] = time.monotonic()
        st.progress(job.share, text="This is being computed for another session already.")
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.progress(job.share, text=escaped(" · ".join(filter(None, _said(job)))))
        st.button(
            "Cancel", key=f"cancel-{job.key}", type="tertiary", on_click=pool().withdraw,
            args=(job, session),
        )  # fmt: skip


def _said(job: Job) -> list[str]:
    """What is being done, how far it is, and how long it will take."""
    if job.state == "waiting":
        before = pool().place(job)
        if pool().busy(job):
            return [job.title, "waiting for your other job to end"]
        if before:
            return [job.title, f"waiting: {before} other job{'s' if before > 1 else ''} before it"]
        return [job.title, "waiting: next in the queue"]
    left = job.seconds_left
    ahead = f"about {_duration(left)} left" if left is not None else ""
    return [job.title, job.text, _passes(job), ahead] if job.share else [job.title, "starting"]


def _passes(job: Job) -> str:
    """Forward passes so far, of how many; nothing where their number is not known."""
    if not job.passes or not job.computed:
        return ""
    of = f" of about {float(f'{job.passes:.2g}'):,.0f}" if job.computed < job.passes else ""
    return f"{job.computed:,.0f}{of} forward passes"


def _duration(seconds: float) -> str:
    """A rough time: an estimate has no seconds beyond the first few."""
    if seconds < 10:
        return f"{max(1, round(seconds))} s"
    if seconds < 90:
        return f"{round(seconds / 5) * 5} s"
    return f"{round(seconds / 60)} min"


def escaped(text: object) -> str:
    """Text that may come from a file, safe inside markdown: shown literally, never as markup."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]()<>#+-.!|~$:&" else c for c in str(text))
