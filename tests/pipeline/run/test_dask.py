"""Units on a Dask cluster: the same bytes, also where workers die; nothing but paths is sent."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import pytest

from ecgxai_core.errors import ParameterError, RunError
from ecgxai_core.params import profile, profile_with
from ecgxai_core.pipeline import predict_many, prediction_parts
from ecgxai_core.pipeline.predict_many import predict_table
from ecgxai_core.pipeline.run import dask_executor
from ecgxai_core.pipeline.run.request import RunRequest, choose_records
from ecgxai_core.pipeline.run.run import run_pipeline
from ecgxai_core.pipeline.run.workers import executor_named
from ecgxai_core.settings import settings
from tests.pipeline.conftest import QUICK

pytest.importorskip("distributed", reason="the extra 'dask' is not installed")
pytestmark = pytest.mark.slow


def dies_once(mark, work, job):
    """Kill the worker in the middle of a unit, once; the second time the unit is done."""
    try:
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
        os.kill(os.getpid(), signal.SIGKILL)
    except FileExistsError:
        pass
    return work(job)


def always_dies(job):
    os.kill(os.getpid(), signal.SIGKILL)


def tables_and_arrays(run: Path) -> dict[str, bytes]:
    kinds = {".csv", ".parquet", ".safetensors"}
    found = sorted(path for path in run.rglob("*") if path.suffix in kinds)
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in found}


def test_a_killed_worker_changes_nothing(tiny_data, tiny_model, tmp_path, monkeypatch):
    chosen = profile_with(profile("default"), QUICK)
    common = (tiny_data, tiny_model)
    plain = RunRequest(*common, tmp_path / "plain", chosen, choose_records())
    run_pipeline(plain)
    monkeypatch.setenv("ECGXAI_CACHE_DIR", str(tmp_path / "another cache"))
    settings.cache_clear()
    mark = tmp_path / "killed"

    def executor(work, jobs):
        cluster = executor_named("dask", 2)
        return cluster(partial(dies_once, str(mark), work), jobs)

    other = RunRequest(*common, tmp_path / "dask", chosen, choose_records())
    done = run_pipeline(other, executor=executor)
    assert mark.is_file(), "a worker was killed"
    assert (done.done, done.failures) == (4, ())
    assert tables_and_arrays(tmp_path / "dask") == tables_and_arrays(tmp_path / "plain")


def test_a_unit_that_kills_its_workers_ends_the_run_and_is_named():
    import dask

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        pytest.raises(RunError, match=r"every worker that took it died .* repeat the command"),
    ):
        list(executor_named("dask", 1)(always_dies, ["a"]))


def test_a_scheduler_that_runs_already_is_used(tiny_data, tiny_model, tmp_path, monkeypatch):
    from distributed import LocalCluster

    for module in (prediction_parts, predict_many):
        monkeypatch.setattr(module, "CHUNK", 2)
    predict_table([tiny_data], tiny_model, tmp_path / "plain.csv")
    monkeypatch.delenv("ECGXAI_CACHE_DIR")
    with (
        dask_executor.own_main(),
        LocalCluster(
            n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address=None,
            memory_limit=0, local_directory=str(tmp_path / "scratch"), silence_logs=50,
        ) as cluster,
    ):  # fmt: skip
        each = executor_named("dask", 1, cluster.scheduler_address)
        predict_table([tiny_data], tiny_model, tmp_path / "dask.csv", executor=each)
        assert (tmp_path / "dask.csv").read_bytes() == (tmp_path / "plain.csv").read_bytes()
        assert [*(tmp_path / "scratch").rglob("ecgxai-cache")], "the cache is the worker's own"
        cluster.scale(0)


def test_other_code_in_a_worker_is_refused():
    work = partial(dask_executor._same_code, len, {"ecgxai_core": "0.0.1+abc"})
    with pytest.raises(RunError, match="worker: has another ecgxai_core"):
        work("job")
    assert dask_executor._same_code(len, dask_executor._versions(), "job") == 3


@pytest.mark.parametrize(("threads", "says"), [([1, 2], "more than one thread"), ([], "none")])
def test_workers_with_threads_are_refused(threads, says):
    class Client:
        def scheduler_info(self, n_workers):
            return {"workers": {str(i): {"nthreads": n} for i, n in enumerate(threads)}}

    with pytest.raises(RunError, match=says):
        dask_executor._check_workers(Client())


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setattr(dask_executor, "ANSWER_SEC", 0.5)
    each = executor_named("dask", 1, "tcp://127.0.0.1:9")
    with pytest.raises(RunError, match=r"tcp://127.0.0.1:9: does not answer"):
        list(each(len, ["a"]))


def test_what_is_no_executor_is_refused():
    with pytest.raises(ParameterError, match="--executor"):
        executor_named("ray", 1)
    with pytest.raises(ParameterError, match="add --executor dask"):
        executor_named("processes", 1, "tcp://h:1")
