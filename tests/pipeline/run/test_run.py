"""The whole job: tables, cache, resume after a kill, failures, and independence of how it ran."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from ecgxai_core.errors import DiagnosisError, RunError
from ecgxai_core.params import profile, profile_with
from ecgxai_core.pipeline.run import finished as finished_run
from ecgxai_core.pipeline.run.finished import read_finished_run
from ecgxai_core.pipeline.run.request import RunRequest, choose_records
from ecgxai_core.pipeline.run.run import run_pipeline
from ecgxai_core.pipeline.run.tables import EVALUATION, FAILURES, STABILITY, SUMMARY, read_summary
from ecgxai_core.settings import settings
from tests.pipeline.conftest import QUICK
from tests.small import AF, SINUS, write_data

TABLES = ("sel_df.csv", "predictions.csv", EVALUATION, STABILITY, SUMMARY, FAILURES)


def request(data: Path, model: Path, out: Path, *, seed: int | None = None) -> RunRequest:
    chosen = profile_with(profile("default"), QUICK, seed)
    return RunRequest(data, model, out, chosen, choose_records(seed=seed))


def contents(run: Path) -> dict[str, bytes]:
    """Everything that must not depend on when and how a run was made."""
    found = {
        str(path.relative_to(run)): path.read_bytes()
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.name not in {"run.log", "manifest.json", "ledger.jsonl"}
    }
    manifest = json.loads((run / "manifest.json").read_text("utf-8"))
    manifest.pop("times")
    found["manifest.json"] = json.dumps(manifest, sort_keys=True).encode()
    return found


@pytest.fixture(scope="module")
def finished(tiny_data, tiny_model, tmp_path_factory):
    """One run in one process; the tests below compare others with it."""
    folder = tmp_path_factory.mktemp("finished")
    os.environ["ECGXAI_CACHE_DIR"] = str(folder / "cache")
    settings.cache_clear()
    run_pipeline(request(tiny_data, tiny_model, folder / "run"))
    settings.cache_clear()
    return folder / "run"


def test_a_run_ends_with_all_tables(finished):
    for name in TABLES:
        assert (finished / name).is_file(), name
    evaluation = pd.read_csv(finished / EVALUATION, dtype={"target": str})
    assert set(evaluation["method"]) == {"timeshap", "integrated_gradients", "occlusion", "fused"}
    assert set(evaluation["target"]) == {AF, SINUS}
    assert len(evaluation) == 4 * 4
    assert evaluation["attauc_strict"].between(0, 1).all()
    assert (evaluation["attauc_strict_empty"] == 0.5).all()
    stability = pd.read_csv(finished / STABILITY, dtype={"target": str})
    assert len(stability) == 4 * 4
    assert stability["spearman"].dropna().between(-1, 1).all()
    # two explored windows may lie in beats that are not compared: a map without order there
    undefined = stability["spearman"].isna()
    assert undefined.sum() < 6
    assert (stability.loc[undefined, "regions_explored"] == 0).all()
    summary = read_summary(finished, "attauc_strict")
    assert (summary["n"] == 2).all()
    assert {"random", "empty", "ceiling", "ci_low", "ci_high"} <= set(summary.columns)


def test_another_run_takes_everything_from_the_cache(finished, tiny_data, tiny_model, own_cache):
    first = run_pipeline(request(tiny_data, tiny_model, own_cache.parent / "one"))
    second = run_pipeline(request(tiny_data, tiny_model, own_cache.parent / "two"))
    assert first.reused == second.reused == 0
    assert contents(own_cache.parent / "one") == contents(own_cache.parent / "two")
    assert contents(own_cache.parent / "one") == contents(finished)


def test_without_a_usable_cache_the_result_is_the_same(
    finished, tiny_data, tiny_model, tmp_path, monkeypatch
):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("ECGXAI_CACHE_DIR", str(blocked / "cache"))
    settings.cache_clear()
    run_pipeline(request(tiny_data, tiny_model, tmp_path / "run"))
    assert contents(tmp_path / "run") == contents(finished)


def test_two_processes_give_the_bytes_of_one(
    finished, tiny_data, tiny_model, tmp_path, monkeypatch
):
    """Also where the caller's main script must not run again, as in a page of the dashboard."""
    script = tmp_path / "page.py"
    script.write_text("raise SystemExit('run again')")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(script), raising=False)
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None, raising=False)
    run_pipeline(request(tiny_data, tiny_model, tmp_path / "run"), jobs=2)
    assert contents(tmp_path / "run") == contents(finished)


def test_the_same_command_again_recomputes_nothing(finished, tiny_data, tiny_model):
    before = contents(finished)
    again = run_pipeline(request(tiny_data, tiny_model, finished))
    assert again.reused == again.done == 4
    assert contents(finished) == before


def test_killed_and_resumed_is_as_never_killed(finished, tiny_data, tiny_model, tmp_path):
    out = tmp_path / "run"
    command = [
        sys.executable, "-c", "from ecgxai_core.cli.main import main; main()", "run",
        "--data", str(tiny_data), "--model", str(tiny_model), "--out", str(out),
        *(part for setting in QUICK for part in ("--set", setting)),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(out.glob("attributions/*.safetensors")):
        assert process.poll() is None, "ended before it could be killed"
        assert time.monotonic() < deadline, "did nothing for two minutes"
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "manifest.json").exists()
    resumed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert resumed.returncode == 0, resumed.stderr
    assert contents(out) == contents(finished)


def test_a_changed_result_file_is_noticed_and_made_again(finished, tiny_data, tiny_model, tmp_path):
    run_pipeline(request(tiny_data, tiny_model, tmp_path / "run"))
    victim = next((tmp_path / "run" / "attributions").iterdir())
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    again = run_pipeline(request(tiny_data, tiny_model, tmp_path / "run"))
    assert again.reused == 3
    assert contents(tmp_path / "run") == contents(finished)


def test_a_bad_record_is_listed_and_the_others_are_done(finished, tiny_model, tmp_path):
    data = write_data(tmp_path / "data", 4)
    (data / "T000.mat").write_bytes(b"\0" * 100)
    done = run_pipeline(request(data, tiny_model, tmp_path / "run"))
    assert [failure.record for failure in done.failures] == ["T000"]
    failures = pd.read_csv(tmp_path / "run" / FAILURES)
    assert failures["record"].tolist() == ["T000"]
    # the other records' results do not depend on their neighbour
    for unit in (tmp_path / "run" / "attributions").iterdir():
        assert unit.read_bytes() == (finished / "attributions" / unit.name).read_bytes()


def test_a_folder_with_another_run_is_refused(finished, tiny_data, tiny_model):
    with pytest.raises(RunError, match="holds another run"):
        run_pipeline(request(tiny_data, tiny_model, finished, seed=5))


def test_a_mistyped_target_does_not_claim_the_folder(tiny_data, tiny_model, tmp_path):
    for target in ("MISTYPED", "MISTYPED AGAIN"):
        wanted = choose_records(targets=[target])
        wrong = RunRequest(tiny_data, tiny_model, tmp_path / "run", profile("default"), wanted)
        with pytest.raises(DiagnosisError, match=target):
            run_pipeline(wrong)


def test_a_damaged_claim_refuses_the_folder(tiny_data, tiny_model, tmp_path):
    (tmp_path / "request.json").write_text("{")
    with pytest.raises(RunError, match="holds another run"):
        run_pipeline(request(tiny_data, tiny_model, tmp_path))


def test_a_folder_with_something_else_is_refused(tiny_data, tiny_model, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.doc").write_text("mine")
    with pytest.raises(RunError, match="is not empty"):
        run_pipeline(request(tiny_data, tiny_model, tmp_path / "run"))
    assert (tmp_path / "run" / "thesis.doc").read_text() == "mine"


def test_tables_of_a_run_are_read_and_compared_with_its_digests(finished, tmp_path, monkeypatch):
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    found = read_finished_run(run)
    assert found.altered == ()
    assert len(found.tables[EVALUATION]) == len(pd.read_csv(run / EVALUATION))
    with (run / FAILURES).open("ab") as file:
        file.write(b"T009,added by hand\n")
    assert read_finished_run(run).altered == (FAILURES,)
    monkeypatch.setattr(finished_run, "_MOST_TABLE", 10)
    with pytest.raises(RunError, match=r"is larger than 1 GB.* df_eval_attauc_deletion.parquet"):
        read_finished_run(run)
    (run / SUMMARY).unlink()
    monkeypatch.undo()
    with pytest.raises(RunError, match=r"summary_per_class.csv: is missing"):
        read_finished_run(run)
