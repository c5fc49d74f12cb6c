"""Units of work on a Dask cluster: paths and digests are sent, never arrays or models.

Each worker has one thread and keeps one model. A unit's file takes its name when it is whole and is
the same bytes whoever writes it, so a unit that is run twice, or on a worker that dies, does no
harm: Dask gives the units of a dead worker to others.

Whoever reaches a scheduler can run code on its workers: this is for networks that you trust. A
cluster that is started here listens on loopback only, with certificates of its own for each run.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from ecgxai_core.errors import ParameterError, RunError
from ecgxai_core.pipeline.run.workers import own_main
from ecgxai_core.settings import settings
from ecgxai_core.version import code_version, library_versions

__all__ = ["DaskExecutor"]

Job = TypeVar("Job")
Result = TypeVar("Result")

_THREADS = {
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
"""One thread a worker; read when TensorFlow is first imported."""
_WAITS = {
    "distributed.comm.timeouts.connect": "300s",
    "distributed.comm.timeouts.tcp": "300s",
    "distributed.admin.tick.limit": "1h",
}
"""A busy machine is slow, not broken."""
_AHEAD = 4
"""Units per worker that are handed out before they are asked for."""
ANSWER_SEC = 60
"""Longest wait for a scheduler to answer, seconds."""
_CARRIES_ON = "repeat the command, which carries on where it stopped"


@dataclass(frozen=True, slots=True)
class DaskExecutor:
    """Runs units on ``workers`` processes of this machine, or on those of a scheduler's address."""

    workers: int
    scheduler: str | None = None

    def __post_init__(self) -> None:
        try:
            import distributed  # noqa: F401
        except ImportError:
            fix = "pip install 'ecgxai_core[dask]'"
            raise ParameterError("--executor", "dask", "Dask is not installed", fix) from None

    def __call__(
        self, work: Callable[[Job], Result], jobs: Sequence[Job]
    ) -> Iterator[tuple[Job, Result]]:
        """Yield ``(job, work(job))`` as they finish.

        Raises
        ------
        RunError
            No scheduler or worker answers, a worker has several threads or another version of the
            program, or a unit's workers died again and again.
        """
        if jobs:
            with self._client() as client:
                yield from _mapped(client, partial(_same_code, work, _versions()), jobs)

    @contextmanager
    def _client(self) -> Iterator[Any]:
        import dask
        from distributed import Client

        with dask.config.set(_WAITS):
            if self.scheduler is None:
                with self._local() as cluster, Client(cluster) as client:
                    client.register_plugin(_plugin(own_cache=False))
                    yield client
                return
            try:
                client = Client(self.scheduler, timeout=ANSWER_SEC)
            except (OSError, ValueError) as error:
                problem = f"does not answer ({type(error).__name__})"
                fix = "start 'dask scheduler' and 'dask worker --nthreads 1', and give its address"
                raise RunError("dask", self.scheduler, problem, fix) from None
            with client:
                client.register_plugin(_plugin(own_cache=True))
                _check_workers(client)
                yield client

    @contextmanager
    def _local(self) -> Iterator[Any]:
        """A cluster on loopback, without its web page; it ends with the work or this process."""
        from distributed import LocalCluster

        with (
            own_main(),
            tempfile.TemporaryDirectory(prefix="ecgxai-dask-") as folder,
            LocalCluster(
                n_workers=self.workers, threads_per_worker=1, processes=True, host="127.0.0.1",
                dashboard_address=None, worker_dashboard_address=None, security=True,
                memory_limit=0, local_directory=folder, silence_logs=50, env=_THREADS,
            ) as cluster,
        ):  # fmt: skip
            yield cluster


def _mapped(
    client: Any, work: Callable[[Job], Result], jobs: Sequence[Job]
) -> Iterator[tuple[Job, Result]]:
    """Keep a few units per worker at the scheduler: it need not hold a million."""
    from distributed import KilledWorker, as_completed

    waiting = iter(jobs)
    owner: dict[str, Job] = {}

    def hand_out(count: int) -> list[Any]:
        own = list(islice(waiting, count))
        # no name of its content: a unit is asked for once, and the cluster keeps no result of it
        made = client.map(work, own, pure=False, batch_size=64)
        owner.update(zip((one.key for one in made), own, strict=True))
        return list(made)

    count = max(1, len(client.scheduler_info(n_workers=-1)["workers"]))
    ready = as_completed(hand_out(_AHEAD * count))
    try:
        for future in ready:
            job = owner.pop(future.key)
            result = future.result()
            future.release()
            for one in hand_out(1):
                ready.add(one)
            yield job, result
    except KilledWorker:
        what = getattr(job, "record", "") or "a part"
        problem = "every worker that took it died (killed, or out of memory)"
        raise RunError("dask", what, problem, _CARRIES_ON) from None
    except Exception as error:
        lost = type(error).__module__.partition(".")[0] in ("concurrent", "distributed", "tornado")
        if not lost and not isinstance(error, TimeoutError):  # of the work itself
            raise
        problem = f"the cluster was lost ({type(error).__name__})"
        raise RunError("dask", "scheduler", problem, _CARRIES_ON) from None


def _versions() -> dict[str, str]:
    return {"ecgxai_core": code_version(), **library_versions()}


def _same_code(work: Callable[[Job], Result], versions: dict[str, str], job: Job) -> Result:
    """Runs in a worker: refuses to compute with other code than the one who asks."""
    here = _versions()
    other = [name for name, version in versions.items() if here.get(name) != version]
    if other:
        problem = f"has another {other[0]} ({here.get(other[0])}, not {versions[other[0]]})"
        raise RunError("dask", "worker", problem, "install the same versions on every machine")
    return work(job)


def _check_workers(client: Any) -> None:
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    if not workers:
        fix = "start 'dask worker ADDRESS --nthreads 1'"
        raise RunError("dask", "workers", "there are none at this scheduler", fix)
    if any(worker["nthreads"] != 1 for worker in workers):
        fix = "start them with --nthreads 1, and more of them"
        raise RunError("dask", "workers", "have more than one thread", fix)


def _plugin(*, own_cache: bool) -> Any:
    """Prepares every worker, those that come later or again too."""
    from distributed import WorkerPlugin

    class Prepared(WorkerPlugin):  # type: ignore[misc]  # distributed has no types here
        name = "ecgxai-worker"

        def setup(self, worker: Any) -> None:
            _prepare(Path(worker.local_directory) if own_cache else None)

    return Prepared()


def _prepare(folder: Path | None) -> None:
    """One thread, and on a cluster of several machines a cache of the worker's own: SQLite on a
    disk that machines share is not safe."""
    for name, value in _THREADS.items():
        os.environ.setdefault(name, value)
    if folder is not None and "ECGXAI_CACHE_DIR" not in os.environ:
        os.environ["ECGXAI_CACHE_DIR"] = str(folder / "ecgxai-cache")
        settings.cache_clear()
