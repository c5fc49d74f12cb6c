"""Records read in a child: the same records, the same refusals, and limits that hold."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from ecgxai_core.errors import RecordError
from ecgxai_core.records import guarded, read_record
from ecgxai_core.records.guarded import read_guarded
from tests.corpus.base import ecg, good_record
from tests.corpus.dicom_files import dicom_bytes
from tests.corpus.make_corpus import make_corpus, make_odd_files

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


def test_records_come_back_as_they_are_read_here(tmp_path: Path) -> None:
    signal_mv = ecg()
    signal_mv[3, 100:200] = np.nan
    header = good_record(tmp_path, signal_mv=signal_mv, labels=[], age=None)
    dicom = tmp_path / "e.dcm"
    dicom.write_bytes(dicom_bytes())
    for path in (header, dicom):
        here, there = read_record(path), read_guarded(path)
        for name in here.__dataclass_fields__:
            if name != "signal":
                assert getattr(there, name) == getattr(here, name), name
        np.testing.assert_array_equal(there.signal, here.signal)
    assert read_guarded(header).labels == ()


def test_odd_records_and_refusals_are_the_same(tmp_path: Path) -> None:
    some = {
        "header_empty", "fs_nan", "mat_v5_bomb", "header_is_pipe", "dicom_deflated_bomb",
        "name_escape", "text_fs_long_digits", "dicom_million_elements",
    }  # fmt: skip
    for bad in make_corpus(tmp_path, some):
        with pytest.raises(RecordError) as there:
            read_guarded(bad.path)
        with pytest.raises(RecordError) as here:
            read_record(bad.path)
        assert there.value.args == here.value.args
    for odd in make_odd_files(tmp_path)[::20]:
        assert read_guarded(odd.path).digest == read_record(odd.path).digest
        assert {w.code for w in read_guarded(odd.path).warnings} == odd.warnings


def test_the_policy_for_checksums_arrives(tmp_path: Path) -> None:
    header = good_record(tmp_path)
    rows = header.read_bytes().split(b"\n")
    fields = rows[3].split(b" ")
    fields[6] = str(int(fields[6]) ^ 1).encode()
    rows[3] = b" ".join(fields)
    header.write_bytes(b"\n".join(rows))
    assert {w.code for w in read_guarded(header).warnings} == {"checksum"}
    with pytest.raises(RecordError, match="checksum"):
        read_guarded(header, checksum="error")


def _altered(body: str) -> subprocess.Popen[bytes]:
    """A worker whose reader does something else, with short limits."""
    script = (
        "import ecgxai_core.records.guarded as g, os, time, sys\n"
        f"def read(path, checksum):\n    {body}\n"
        "g.read_record, g.CPU_SECONDS, g.WALL_SECONDS = read, 1, 5.0\n"
        "sys.exit(g.main())\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=guarded.child_environment(),
        bufsize=0,
    )


@pytest.mark.parametrize(
    "body",
    [
        "os.kill(os.getpid(), 11)",
        "x = bytes(10**10)",
        "[None for _ in iter(int, 1)]",
        "exec('while True: pass')",
        "time.sleep(1000)",
        "open(NEVER, 'w').write('x' * 10)",
    ],
)
def test_a_reader_that_dies_swells_or_hangs_harms_nobody(tmp_path: Path, body: str) -> None:
    worker = guarded._Worker()
    worker._process = _altered(body.replace("NEVER", repr(str(tmp_path / "never"))))
    worker._owner = os.getpid()
    try:
        started = time.monotonic()
        with pytest.raises((RecordError, RuntimeError)):
            guarded._record(
                "rec.hea", worker.answer("rec.hea", {"path": "rec.hea", "checksum": "warn"})
            )
        assert time.monotonic() - started < 60
        assert worker._process is not None
        assert worker._process.poll() is None, "the worker lives on"
    finally:
        worker._stop()
    never = tmp_path / "never"
    assert not never.exists() or never.stat().st_size == 0


def test_a_worker_that_was_killed_is_replaced(tmp_path: Path) -> None:
    header = good_record(tmp_path)
    read_guarded(header)
    process = guarded._WORKER._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert read_guarded(header).name == "rec"


def test_threads_wait_for_each_other(tmp_path: Path) -> None:
    header = good_record(tmp_path)
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(read_guarded(header).digest)) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [read_record(header).digest] * 6


def test_a_warm_worker_costs_little(tmp_path: Path) -> None:
    header = good_record(tmp_path)
    read_guarded(header)
    spent = []
    for _ in range(10):
        started = time.monotonic()
        read_guarded(header)
        spent.append(time.monotonic() - started)
    # the best of ten, and far more than it takes, since tests share their machine
    assert min(spent) < 1.0, spent
