"""Worker processes for long work, and the queue before them.

Two processes: one takes any job, one only short ones, so that a small explanation never waits for
two long ones. A session has one job running at a time, and the session served longest ago comes
next. A job is a function named by its module and plain arguments; it is stopped by a flag, and
where the process does not answer within a second, with the process. Processes are started with the
first job, kept, and replaced when they died, were killed, or grew too large. They are made by
``subprocess``: ``multiprocessing`` would run the page that is open as the main script again.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from app.data import work
from app.shell import worker
from app.shell.server_settings import server_settings
from ecgxai_core.settings import settings

log = logging.getLogger(__name__)

SHORT_PASSES = 6_000.0
"""A job of at most so many forward passes is short: some ten seconds with the shipped model."""

SHORT_SEC = 30.0
"""A short job that takes longer, while others wait, goes back to the queue as a long one."""

ANSWER_SEC = 1.0
"""A process that was asked to stop its job and does not answer for so long is killed."""

PATIENT_ANSWER_SEC = 5.0
"""The same where nobody asked for an end at once: it has done what was asked for, or who asked has
gone. A new process would take longer to be ready, and whoever comes next would wait for that."""

MOST_WAITING = 8
"""Jobs that one session may have waiting."""

_NICE = {"any": 5, "short": 0}
_TICK_SEC = 0.1
_CANNOT_START = "The server cannot start its worker process; see the server log."
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Earlier:
    """Stands among the arguments of a job for the result of an earlier one."""

    key: str


@dataclass(eq=False)
class Job:
    """One piece of work; read its attributes at any time from any thread.

    Attributes
    ----------
    key, title
        What it computes, and what it is called on the page.
    function, args
        ``module:name``, and plain arguments.
    passes
        What it costs, about, in forward passes; ``None`` = unknown.
    short
        Whether the process for short jobs may take it.
    asked_by
        Sessions that asked for it and have not cancelled it.
    withdrawn_by
        Sessions that asked for it and have cancelled it.
    state
        ``waiting``, ``running``, ``done``, ``failed`` or ``cancelled``.
    done, total, text
        Steps as the work reports them; ``computed`` are the forward passes so far.
    result, error
        What it returned; the one-line reason of a failure.
    """

    key: str
    title: str
    function: str
    args: tuple[Any, ...]
    passes: float | None = None
    short: bool = True
    asked_by: set[str] = field(default_factory=set)
    withdrawn_by: set[str] = field(default_factory=set)
    watched_by: dict[str, float] = field(default_factory=dict)
    state: str = "waiting"
    done: int = 0
    total: int = 0
    text: str = ""
    computed: float = 0.0
    result: Any = None
    error: str = ""
    started: float = 0.0
    number: int = field(default_factory=lambda: next(_numbers))
    run: int = 0
    ended: threading.Event = field(default_factory=threading.Event)
    _left: float | None = None

    @property
    def active(self) -> bool:
        """Whether it waits or runs."""
        return self.state in {"waiting", "running"}

    @property
    def share(self) -> float:
        """How much is done, 0 to 1: by passes where their number is known, else by steps."""
        if self.passes and self.computed:
            return min(1.0, self.computed / self.passes)
        return min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def seconds_left(self) -> float | None:
        """A smoothed estimate that never rises; ``None`` while that would be a guess."""
        spent = time.monotonic() - self.started
        if self.state != "running" or not 0.03 <= self.share < 1 or spent < 1.0:
            return None
        now = spent * (1 - self.share) / self.share
        self._left = now if self._left is None else min(self._left, 0.7 * self._left + 0.3 * now)
        return self._left


class _Process:
    """One worker process, as the server sees it."""

    def __init__(self, lane: str, heard: Callable[[_Process, tuple[Any, ...]], None]) -> None:
        self.lane = lane
        self.job: Job | None = None
        self.run = 0
        self.ready = False
        """Whether it has sent its first message."""
        self.ended_here = False
        """Whether this server ended it."""
        self.deadline = 0.0
        """When it is killed, if it has been asked to stop and has not answered."""
        self.unhurried = False
        """Whether it may take its time to answer, as nobody waits for that."""
        spare = (work.warm, work.rehearse) if server_settings().warm else ()
        ours, theirs = socket.socketpair()
        self._channel = Connection(ours.detach())
        home = Path(worker.__file__).resolve().parents[len(worker.__name__.split(".")) - 1]
        paths = [str(home), os.environ.get("PYTHONPATH", "")]
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable, "-m", worker.__name__, str(theirs.fileno()), str(_NICE[lane]),
                    *map(_name, (work.rest, *spare)),
                ],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the server, which ends us
            )  # fmt: skip
        threading.Thread(
            target=self._listen, args=(heard,), name=f"worker-{lane}", daemon=True
        ).start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def give(self, job: Job, args: tuple[Any, ...]) -> None:
        """Start a job on it."""
        self.job, self.run, self.deadline = job, job.run, 0.0
        self._tell("run", job.run, job.function, args)

    def ask_to_stop(self, *, patiently: bool = False) -> None:
        """Raise the flag; the minder kills the process if it does not answer in time."""
        if self.job is not None and not self.deadline:
            self.unhurried = patiently
            patiently = patiently or _is_beside(self.job)
            self.deadline = time.monotonic() + (PATIENT_ANSWER_SEC if patiently else ANSWER_SEC)
            self._tell("stop", self.run)

    def end(self) -> None:
        """End the process at once; its thread notices."""
        self.ended_here = True
        self._kill()

    def started(self) -> None:
        """It has sent its first message: from now on it can answer in time."""
        self.ready = True
        if self.job is not None:
            self.job.started = time.monotonic()
        if self.deadline:
            self.deadline = time.monotonic() + ANSWER_SEC

    def _kill(self) -> None:
        with contextlib.suppress(OSError):
            self._process.kill()

    def _tell(self, *message: Any) -> None:
        with contextlib.suppress(OSError):  # it died; its thread notices
            self._channel.send(message)

    def _listen(self, heard: Callable[[_Process, tuple[Any, ...]], None]) -> None:
        with self._channel:
            while True:
                try:
                    message = self._channel.recv()
                except (EOFError, OSError):
                    break
                except Exception:
                    log.exception("message of a worker")
                    break
                heard(self, message)
        self._kill()
        self._process.wait()
        heard(self, ("gone",))


class Pool:
    """The processes and the queue; all of it under one lock."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._waiting: list[Job] = []
        self._processes: dict[str, _Process | None] = dict.fromkeys(_NICE)
        self._served: dict[str, float] = {}
        self._closed = False
        self._minder: threading.Thread | None = None
        self.find_result: Callable[[str], Any] = lambda _key: None

    # ---- for the server -----------------------------------------------------------------------

    def warm(self) -> None:
        """Start the processes, so that the first job finds them ready."""
        with self._lock:
            self._start()

    def add(self, job: Job) -> None:
        """Put a job into the queue; a session with too many there is refused."""
        with self._lock:
            waiting = [item for item in self._waiting if item.asked_by & job.asked_by]
            if len(waiting) >= MOST_WAITING:
                fix = "Fix: cancel some, or wait."
                self._finish(
                    job, "failed", f"{MOST_WAITING} of your jobs are waiting already. {fix}"
                )
                return
            for _, other in self._running():
                if _is_aside(other) and other.asked_by <= job.asked_by:
                    self._end(other)  # what was asked for is there, and this is asked for now
            self._waiting.append(job)
            self._start()
            self._give_out()

    def withdraw(self, job: Job, session: str, *, gone: bool = False) -> None:
        """Withdraw the request of a session, which may be ``gone``; a job without requests ends at
        once."""
        with self._lock:
            if session in job.asked_by:
                job.asked_by.discard(session)
                job.withdrawn_by.add(session)
            if job.active and not job.asked_by:
                self._end(job, patiently=gone and _keeps_in_the_shared_cache(job))

    def end(self, job: Job) -> None:
        """End a job, even if sessions wait for it."""
        with self._lock:
            if job.active:
                self._end(job)

    def place(self, job: Job) -> int:
        """How many jobs are served before a waiting one, among those that it waits for."""
        with self._lock:
            before = 0
            for other in self._in_order():
                if other is job:
                    return before
                before += other.short or not job.short
            return 0

    def busy(self, job: Job) -> bool:
        """Whether a waiting job waits for another one of its own session."""
        with self._lock:
            return job.state == "waiting" and job.asked_by <= self._busy_sessions()

    def pids(self) -> tuple[int, ...]:
        """Process ids of the workers that there are."""
        with self._lock:
            return tuple(process.pid for process in self._processes.values() if process)

    def renew(self) -> None:
        """Replace idle processes that have worked by new ones: what they hold serves nobody."""
        with self._lock:
            for process in self._processes.values():
                if process is not None and process.job is None and process.run:
                    process.end()

    def close(self) -> None:
        """End everything."""
        with self._lock:
            self._closed = True
            for job in self._waiting:
                self._finish(job, "cancelled")
            self._waiting.clear()
            for process in self._processes.values():
                if process is not None:
                    process.end()

    # ---- inside --------------------------------------------------------------------------------

    def _start(self) -> None:
        """Processes that are not there yet, and the thread that minds them."""
        if self._closed:
            return
        for lane, process in self._processes.items():
            if process is None:
                self._processes[lane] = _Process(lane, self._heard)
        if self._minder is None:
            self._minder = threading.Thread(target=self._mind, name="minder", daemon=True)
            self._minder.start()

    def _give_out(self) -> None:
        """Give waiting jobs to idle processes."""
        # a short job leaves the other process to long ones, unless its own is still being started
        lanes = [(lane, self._processes[lane]) for lane in ("short", "any")]
        for lane, process in sorted(lanes, key=lambda one: one[1] is None or not one[1].ready):
            if process is None or process.job is not None or process.ended_here:
                continue
            busy = self._busy_sessions()
            for job in self._in_order():
                if (lane == "any" or job.short) and not job.asked_by <= busy:
                    self._run(job, process)
                    break

    def _run(self, job: Job, process: _Process) -> None:
        self._waiting.remove(job)
        for session in job.asked_by:
            self._served[session] = time.monotonic()
        job.run, job.started, job.state = next(_numbers), time.monotonic(), "running"
        job.done, job.total, job.text, job.computed = 0, 0, "", 0.0
        try:
            args = (self.find_result(a.key) if isinstance(a, Earlier) else a for a in job.args)
            process.give(job, tuple(args))
        except Exception:  # arguments that cannot be pickled are a mistake of ours
            log.exception("arguments of %s", job.title)
            process.job = None
            self._finish(job, "failed", "A fault of the program; see the server log.")

    def _in_order(self) -> list[Job]:
        """Waiting jobs: the session served longest ago first, then by arrival."""

        def rank(job: Job) -> tuple[float, int]:
            return min((self._served.get(s, 0.0) for s in job.asked_by), default=0.0), job.number

        return sorted(self._waiting, key=rank)

    def _running(self) -> list[tuple[_Process, Job]]:
        found = [(p, p.job) for p in self._processes.values() if p is not None]
        return [(process, job) for process, job in found if job is not None]

    def _busy_sessions(self) -> set[str]:
        return self._sessions_of(job for _, job in self._running())

    def _sessions_of(self, jobs: Iterable[Job]) -> set[str]:
        """Who asked for those of the jobs that run."""
        return set().union(*(job.asked_by for job in jobs if job.state == "running"))

    def _end(self, job: Job, *, patiently: bool = False) -> None:
        if job in self._waiting:
            self._waiting.remove(job)
        for process, other in self._running():
            if other is job and process.run == job.run:
                process.ask_to_stop(patiently=patiently)
        self._finish(job, "cancelled")

    def _finish(self, job: Job, state: str, error: str = "") -> None:
        job.state, job.error = state, error
        job.args = ()
        job.ended.set()

    def _heard(self, process: _Process, message: tuple[Any, ...]) -> None:
        """A message of a process, in a thread of its own."""
        kind, *rest = message
        with self._lock:
            job = process.job
            if kind == "ready":
                process.started()
                return
            if kind == "gone":
                self._lost(process)
            elif job is None or rest[0] != process.run:
                return
            elif kind == "progress":
                if process.run == job.run:
                    job.done, job.total, job.text, job.computed = rest[1:]
                return
            else:
                self._answered(process, job, kind, rest[1:])
            never_began = kind == "gone" and not (process.ready or process.ended_here)
            if not self._closed and not never_began:
                self._start()
                self._give_out()

    def _answered(self, process: _Process, job: Job, kind: str, rest: list[Any]) -> None:
        """A job has ended on a process that goes on."""
        process.job, process.deadline = None, 0.0
        if process.run != job.run:
            pass  # it has moved, and runs elsewhere
        elif job.state == "running":
            if kind == "done":
                job.result = rest[0]
            state = kind if kind in {"done", "failed"} else "cancelled"
            self._finish(job, state, rest[0] if kind == "failed" else "")
        elif job.state == "waiting" and kind == "done":  # it was to move, and was quicker
            self._waiting.remove(job)
            job.result = rest[0]
            self._finish(job, "done")
        if rest[-1] > server_settings().worker_memory_gb * 1e9:
            log.info("a worker of %.1f GB is replaced", rest[-1] / 1e9)
            process.end()

    def _lost(self, process: _Process) -> None:
        """A process has ended."""
        self._processes[process.lane] = None
        job, process.job = process.job, None
        if not (process.ready or process.ended_here or self._closed):
            self._refuse_all()
        if job is not None and job.state == "running" and process.run == job.run:
            why = "its process ended (killed, or out of memory). Fix: try again, or ask for less."
            error = f"{job.title}: {why}" if process.ready else _CANNOT_START
            self._finish(job, "failed", error)

    def _refuse_all(self) -> None:
        """Processes do not even start: every waiting job fails, and the next one tries again."""
        for job in [*self._waiting, *(job for _, job in self._running())]:
            self._finish(job, "failed", _CANNOT_START)
        self._waiting.clear()

    def _mind(self) -> None:
        """Kill what does not answer; move short jobs that turn out to be long."""
        while not self._closed:
            time.sleep(_TICK_SEC)
            with self._lock:
                now = time.monotonic()
                if self._waiting:
                    self._make_room()
                for process, job in self._running():
                    if not process.ready:
                        continue  # it is being started, which takes as long as it takes
                    if process.deadline and now > process.deadline:
                        process.end()
                    elif process.lane == "short" and now - job.started > SHORT_SEC:
                        self._move(process, job)

    def _make_room(self) -> None:
        """What is done beside what somebody asked for gives way to what somebody waits for."""
        running = self._running()
        if any(process.deadline and not process.unhurried for process, _ in running):
            return  # room is being made
        busy = self._sessions_of(job for _, job in running if not _is_aside(job))
        for job in self._in_order():
            if job.asked_by <= busy:
                continue  # it waits for another job of its own session
            for process, other in running:
                own = other.asked_by <= job.asked_by  # it keeps the session busy, wherever it runs
                if _is_aside(other) and (own or process.lane == "any" or job.short):
                    self._end(other)
                    return

    def _move(self, process: _Process, job: Job) -> None:
        """Back to the queue as a long job, if short ones wait for its place."""
        if _is_aside(job):
            return  # it ends where somebody waits
        busy = self._busy_sessions()
        wanted = any(other.short and not other.asked_by <= busy for other in self._waiting)
        if job.state == "running" and wanted:
            job.short, job.state, job.started = False, "waiting", 0.0
            self._waiting.append(job)
            process.ask_to_stop()


def _keeps_in_the_shared_cache(job: Job) -> bool:
    """Whether what it stores may stay when who asked has gone; own records are deleted then."""
    shared = settings().cache_dir
    places = (getattr(arg, "place", arg) for arg in job.args)
    return all(place.folder == shared for place in places if isinstance(place, work.Place))


def _is_beside(job: Job) -> bool:
    """Whether it has done what was asked for, and goes on with what may be asked for next."""
    return job.text.startswith(work.ALSO)


def _is_aside(job: Job) -> bool:
    """The same, of a job that runs."""
    return job.state == "running" and _is_beside(job)


def _name(function: Callable[..., Any]) -> str:
    """``module:name`` of a function that another process can import."""
    if "." in function.__qualname__:
        raise ValueError(f"{function.__qualname__} is no function of a module")
    return f"{function.__module__}:{function.__qualname__}"


_pool: Pool | None = None
_pool_lock = threading.Lock()


def pool() -> Pool:
    """The pool of this server; made when first asked for."""
    global _pool
    with _pool_lock:
        if _pool is None:
            _pool = Pool()
        return _pool


def job_of(
    key: str, title: str, function: Callable[..., Any], args: tuple[Any, ...], **facts: Any
) -> Job:
    """A job that runs a function of a module, by its name."""
    return Job(key, title, _name(function), args, **facts)
