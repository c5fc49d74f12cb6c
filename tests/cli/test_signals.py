"""Ctrl-C and SIGTERM: one line, and a run that carries on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.small import write_data

REPO = Path(__file__).resolve().parents[2]


def command(data: Path, model: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    script = "from ecgxai_core.cli.main import main; main()"
    given = [
        "run",
        "--data",
        data,
        "--model",
        model,
        "--out",
        out,
        "--target",
        "AF",
        "--set",
        "engine=whole",
        "--set",
        "n_coalitions=2000",
        "--set",
        "deletion_steps=4",
    ]
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, given), *more],
        cwd=REPO, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "ECGXAI_CACHE_DIR": str(out.parent / "cache")},
        start_new_session=True,
    )  # fmt: skip


def first_unit(out: Path, process: subprocess.Popen[str]) -> None:
    """Wait until one unit is in the ledger."""
    ledger = out / "ledger.jsonl"
    for _ in range(6000):
        if ledger.is_file() and ledger.stat().st_size:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError("nothing is finished")


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize(
    ("number", "code", "says"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_run_that_is_told_to_end_says_so_and_carries_on(
    tiny_model, tmp_path, number, code, says, jobs
):
    data, out = write_data(tmp_path / "data", 6), tmp_path / "run"
    process = command(data, tiny_model, out, "--jobs", jobs)
    first_unit(out, process)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    said, errors = process.communicate(timeout=120)
    assert process.returncode == code
    assert errors.splitlines() == [f"error: {says}; the same command continues where it stopped"]
    assert "explained" not in said
    done = len((out / "ledger.jsonl").read_bytes().splitlines())
    again = command(data, tiny_model, out)
    said, errors = again.communicate(timeout=600)
    assert (again.returncode, errors) == (0, "")
    assert f"3 explained ({done} from an earlier run)" in said
