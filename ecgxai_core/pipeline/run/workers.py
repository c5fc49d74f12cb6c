"""Units of work, one after the other or over processes or a cluster, in an order that changes no
result."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import active_children, connection, get_context, parent_process
from types import ModuleType
from typing import Protocol, TypeVar

from ecgxai_core.errors import ParameterError, RunError

__all__ = ["EXECUTORS", "Executor", "executor_named", "map_units", "own_main"]

Job = TypeVar("Job")
Result = TypeVar("Result")

EXECUTORS = ("processes", "dask")
"""What runs units: processes of this machine, or the workers of a Dask cluster."""


class Executor(Protocol):
    """Whatever yields ``(job, work(job))`` for every job, in any order; see :func:`map_units`."""

    def __call__(
        self, work: Callable[[Job], Result], jobs: Sequence[Job]
    ) -> Iterator[tuple[Job, Result]]: ...


def executor_named(name: str, processes: int, scheduler: str | None = None) -> Executor:
    """The executor of a name, with this many processes or workers.

    Parameters
    ----------
    name
        One of :data:`EXECUTORS`.
    processes
        Processes, or workers of a Dask cluster that is started for the work.
    scheduler
        Address of a Dask scheduler that runs already, whose workers are used instead.

    Raises
    ------
    ParameterError
        There is no such executor, Dask is not installed, or an address without Dask.
    """
    if name not in EXECUTORS:
        fix = f"use {' or '.join(EXECUTORS)}"
        raise ParameterError("--executor", name, "is no executor", fix)
    if name == "dask":
        from ecgxai_core.pipeline.run.dask_executor import DaskExecutor

        return DaskExecutor(processes, scheduler)
    if scheduler is not None:
        raise ParameterError("--scheduler", scheduler, "is for Dask", "add --executor dask")
    return partial(map_units, processes=processes)


def map_units(
    work: Callable[[Job], Result], jobs: Sequence[Job], processes: int
) -> Iterator[tuple[Job, Result]]:
    """Yield ``(job, work(job))`` as they finish; with one process, in order and in this one.

    ``work`` must be picklable by name for more than one process: a module-level function or a
    partial of one. Workers are spawned, not forked (TensorFlow does not survive a fork), and end
    with their parent even if it is killed.

    Raises
    ------
    RunError
        A worker process died (out of memory, killed).
    """
    if processes <= 1 or len(jobs) <= 1:
        for job in jobs:
            yield job, work(job)
        return
    before = set(active_children())
    pool = ProcessPoolExecutor(
        max_workers=min(processes, len(jobs)),
        mp_context=get_context("spawn"),
        initializer=_end_with_parent,
    )
    try:
        with own_main():
            futures = {pool.submit(work, job): job for job in jobs}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool:
        problem = "a worker process died (killed, or out of memory)"
        fix = "repeat the command, which carries on where it stopped, or use fewer --jobs"
        raise RunError("run", "--jobs", problem, fix) from None
    except BaseException as error:
        if not isinstance(error, Exception):  # asked to end: the results in work are not needed
            for process in set(active_children()) - before:
                process.kill()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def own_main() -> Iterator[None]:
    """Start workers without the caller's main script, which a spawned process would run again.

    Workers import what they need by module name; the caller may be a notebook, a dashboard page or
    a script without a guard.
    """
    kept = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = kept


def _end_with_parent() -> None:
    """End when the parent is gone: a killed run must not keep computing in the background.

    Ctrl-C reaches every process of a terminal; only the parent handles it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is None:
        return

    def wait() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=wait, name="end-with-parent", daemon=True).start()
