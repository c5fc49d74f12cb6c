"""A run over the demonstration's records: plain, in shards and on a cluster, the same bytes."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from ecgxai_core.errors import RunError
from ecgxai_core.models.loading import LazyClassifier
from ecgxai_core.params import SelectionParams, profile, profile_with
from ecgxai_core.pipeline.predict import predict_data
from ecgxai_core.pipeline.run.merge import merge_runs
from ecgxai_core.pipeline.run.request import RunRequest, choose_records
from ecgxai_core.pipeline.run.run import run_pipeline
from ecgxai_core.pipeline.run.workers import executor_named
from ecgxai_core.pipeline.select import select_records
from ecgxai_core.pipeline.shards import Shard
from ecgxai_core.settings import settings
from ecgxai_core.simulation.demonstration import write_demonstration
from ecgxai_core.store.atomic import write_csv_atomic
from ecgxai_core.store.cache import open_store
from tests.pipeline.conftest import QUICK
from tests.pipeline.run.test_dask import dies_once, tables_and_arrays

pytest.importorskip("distributed", reason="the extra 'dask' is not installed")
pytestmark = pytest.mark.slow

N = 3
METHODS = ("integrated_gradients", "saliency")
SELECTION = SelectionParams(k_per_class=2, min_prob=0.0)


def test_plain_sharded_and_on_a_cluster_it_is_the_same_run(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each way has a cache of its own, so that none takes from another."""
    data, model = write_demonstration(), tiny_model
    selection = tmp_path / "selection.csv"
    with open_store() as store:
        found = predict_data(data, LazyClassifier(model), store)
    chosen = select_records(found, SELECTION)
    assert (len(found.records), len(chosen.units)) == (61, 4)
    write_csv_atomic(selection, chosen.frame)
    settled = profile_with(profile("default"), QUICK).updated(methods=METHODS)

    def request(name: str) -> RunRequest:
        monkeypatch.setenv("ECGXAI_CACHE_DIR", str(tmp_path / f"cache of {name}"))
        settings.cache_clear()
        records = choose_records(selection=selection)
        return RunRequest(data, model, tmp_path / name, settled, records)

    done = run_pipeline(request("plain"))
    assert (done.done, done.failures) == (len(chosen.units), ())
    plain = tables_and_arrays(tmp_path / "plain")
    assert sum(name.endswith(".safetensors") for name in plain) == len(chosen.units)

    parts = [tmp_path / f"part{number}" for number in range(1, N + 1)]
    for number, part in enumerate(parts, start=1):
        run_pipeline(request(part.name), shard=Shard(number, N))
    for wrong in (
        [parts[0], parts[2]],
        [parts[0], parts[0], parts[1]],
        [*parts, tmp_path / "plain"],
    ):
        with pytest.raises(RunError, match=r"missing|twice|no finished shard"):
            merge_runs(tmp_path / "refused", wrong)
        assert not (tmp_path / "refused").exists()
    assert merge_runs(tmp_path / "merged", parts[::-1]) == (len(chosen.units), ())
    assert tables_and_arrays(tmp_path / "merged") == plain

    mark = tmp_path / "killed"

    def cluster(work, jobs):
        return executor_named("dask", 2)(partial(dies_once, str(mark), work), jobs)

    done = run_pipeline(request("dask"), executor=cluster)
    assert mark.is_file(), "a worker was killed"
    assert (done.done, done.failures) == (len(chosen.units), ())
    assert tables_and_arrays(tmp_path / "dask") == plain
