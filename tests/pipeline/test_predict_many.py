"""A table of predictions made in parts: the same bytes by any number of processes, resumable."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from ecgxai_core.errors import ModelError, RunError
from ecgxai_core.models.loading import LazyClassifier
from ecgxai_core.pipeline import predict_many, prediction_parts
from ecgxai_core.pipeline.predict import predict_paths
from ecgxai_core.pipeline.predict_many import predict_table
from ecgxai_core.pipeline.run.ledger import RunLock
from ecgxai_core.store.atomic import csv_bytes
from ecgxai_core.store.cache import Store
from tests.small import write_data, write_model


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    for module in (prediction_parts, predict_many):
        monkeypatch.setattr(module, "CHUNK", 2)


@pytest.fixture
def whole(tiny_data, tiny_model) -> bytes:
    """The table as it is when everything is predicted at once and nothing is cached."""
    found = predict_paths([tiny_data], LazyClassifier(tiny_model), Store.disabled())
    return csv_bytes(found.frame())


@pytest.mark.parametrize("jobs", [1, 2])
def test_parts_make_the_table_of_one_go(tiny_data, tiny_model, tmp_path, whole, jobs):
    out = tmp_path / "p.csv"
    done = predict_table([tiny_data], tiny_model, out, jobs=jobs)
    assert (done.records, done.reused, done.failures) == (4, 0, ())
    assert out.read_bytes() == whole
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("p.")] == ["p.csv"]


def test_a_stopped_prediction_goes_on_with_what_it_lacks(
    tiny_data, tiny_model, tmp_path, whole, monkeypatch
):
    out = tmp_path / "p.csv"

    def stop(done: int, total: int, what: str) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_table([tiny_data], tiny_model, out, progress=stop)
    assert not out.exists()
    assert len([*(tmp_path / "p.csv.parts").glob("*.safetensors")]) == 1
    asked = []
    real = predict_many.predict_files
    monkeypatch.setattr(
        predict_many,
        "predict_files",
        lambda files, *a, **k: (asked.append(files), real(files, *a, **k))[1],
    )
    done = predict_table([tiny_data], tiny_model, out)
    assert done.reused == 2
    assert [[path.stem for path in files] for files in asked] == [["T002", "T003"]]
    assert out.read_bytes() == whole


def test_parts_of_files_that_changed_since_are_made_again(tiny_model, tmp_path):
    data, out = write_data(tmp_path / "data", 4), tmp_path / "p.csv"

    def stop(done: int, total: int, what: str) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_table([data], tiny_model, out, progress=stop)
    write_data(data, 1, scale=2.0)  # the signal of the first record
    done = predict_table([data], tiny_model, out)
    assert done.reused == 0
    found = predict_paths([data], LazyClassifier(tiny_model), Store.disabled())
    assert out.read_bytes() == csv_bytes(found.frame())


def test_a_model_replaced_at_its_path_predicts_from_then_on(tiny_data, tmp_path):
    """A process keeps its model from part to part, and from table to table."""
    for seed in (0, 1):
        model = write_model(tmp_path / "model", seed)
        predict_table([tiny_data], model, tmp_path / f"{seed}.csv")
        found = predict_paths([tiny_data], LazyClassifier(model), Store.disabled())
        assert (tmp_path / f"{seed}.csv").read_bytes() == csv_bytes(found.frame())
    assert (tmp_path / "0.csv").read_bytes() != (tmp_path / "1.csv").read_bytes()


def test_a_worker_with_another_model_at_the_path_refuses_to_predict(tiny_data, tmp_path):
    model = write_model(tmp_path / "model")

    def elsewhere(work, jobs):
        write_model(tmp_path / "model", seed=1)
        return ((job, work(job)) for job in jobs)

    with pytest.raises(ModelError, match="is not the model that the work began with") as caught:
        predict_table([tiny_data], model, tmp_path / "p.csv", executor=elsewhere)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "p.csv").exists()


def test_two_commands_do_not_write_one_table(tiny_data, tiny_model, tmp_path):
    out = tmp_path / "p.csv"
    with RunLock(tmp_path / "p.csv.parts"), pytest.raises(RunError, match="is working in this"):
        predict_table([tiny_data], tiny_model, out)


@pytest.mark.slow
def test_killed_with_its_workers_at_work_it_ends_as_never_killed(tiny_model, tmp_path):
    data = write_data(tmp_path / "data", 12)
    found = predict_paths([data], LazyClassifier(tiny_model), Store.disabled())
    out = tmp_path / "p.csv"
    small = (
        "from ecgxai_core.pipeline import predict_many as many, prediction_parts as parts\n"
        "many.CHUNK = parts.CHUNK = 2\n"
        "from ecgxai_core.cli.main import main\nmain()"
    )
    options = [str(data), "--model", str(tiny_model), "--out", str(out), "--jobs", "2"]
    command = [sys.executable, "-c", small, "predict", *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    parts = tmp_path / "p.csv.parts"
    while not list(parts.glob("*.safetensors")):
        assert process.poll() is None, "ended before it could be killed"
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert not out.exists(), "the table comes last"
    resumed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert resumed.returncode == 0, resumed.stderr
    assert out.read_bytes() == csv_bytes(found.frame())
    assert not parts.exists()
