"""The ledger of a run, and its one writer."""

from __future__ import annotations

import json
import os
import resource
import signal
import time
from multiprocessing import get_context

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecgxai_core.errors import RunError
from ecgxai_core.pipeline.run.ledger import Ledger, RunLock

fork = get_context("fork")


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "ledger.jsonl")


def test_what_is_appended_is_done(ledger):
    assert ledger.done() == {}
    ledger.append("a", {"state": "done", "seconds": 0.5})
    ledger.append("b", {"state": "failed", "reason": "é\nnext line"})
    ledger.append("a", {"state": "done", "again": True})
    assert ledger.done() == {
        "a": {"state": "done", "again": True},
        "b": {"state": "failed", "reason": "é\nnext line"},
    }
    assert ledger.damaged == 0
    lines = ledger.path.read_text().splitlines()
    assert [json.loads(line)["key"] for line in lines] == ["a", "b", "a"]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None
)
@given(st.lists(st.tuples(st.text(), st.dictionaries(st.text(), st.integers())), max_size=5))
def test_any_key_and_payload_come_back(tmp_path, units):
    path = tmp_path / "ledger"
    path.unlink(missing_ok=True)
    ledger = Ledger(path)
    for key, payload in units:
        ledger.append(key, payload)
    assert ledger.done() == dict(units)


def test_a_last_line_cut_anywhere_is_dropped_and_written_over(ledger):
    ledger.append("a", {"n": 1})
    whole = len(ledger.path.read_bytes())
    ledger.append("b", {"n": 2})
    data = ledger.path.read_bytes()
    for size in range(whole, len(data)):
        ledger.path.write_bytes(data[:size])
        assert ledger.done() == {"a": {"n": 1}}
        assert ledger.damaged == (size > whole)
        ledger.append("c", {"n": 3})
        assert ledger.done() == {"a": {"n": 1}, "c": {"n": 3}}
        assert ledger.damaged == 0


def test_a_torn_tail_longer_than_a_block_is_found(ledger):
    ledger.append("a", {})
    with ledger.path.open("ab") as file:
        file.write(b"x" * 200_000)
    ledger.append("b", {})
    assert list(ledger.done()) == ["a", "b"]
    assert ledger.damaged == 0
    ledger.path.write_bytes(b"y" * 100_000)
    ledger.append("c", {})
    assert list(ledger.done()) == ["c"]


def test_a_flipped_byte_loses_its_line_only(ledger):
    for key in "abc":
        ledger.append(key, {"n": 1})
    data = ledger.path.read_bytes()
    for place in range(len(data)):
        bad = bytearray(data)
        bad[place] ^= 0x04
        ledger.path.write_bytes(bytes(bad))
        done = ledger.done()
        assert len(done) >= 1
        assert all(payload == {"n": 1} and key in "abc" for key, payload in done.items())
        assert ledger.damaged >= 1


@pytest.mark.parametrize(
    "line",
    [b"", b"null", b"[]", b"{}", b'{"key":"a","payload":{},"sha256":""}', b"\xff", b"[" * 9999],
)
def test_lines_of_others_are_dropped(ledger, line):
    ledger.append("a", {})
    with ledger.path.open("ab") as file:
        file.write(line + b"\n")
    ledger.append("b", {})
    assert list(ledger.done()) == ["a", "b"]
    assert ledger.damaged == 1


def _limited(path, result) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
    ledger = Ledger(path)
    try:
        for number in range(100):
            ledger.append(str(number), {"n": number})
    except RunError as error:
        result.put((number, str(error)))


def test_a_full_disk_is_one_clear_error_and_loses_nothing(ledger):
    result = fork.SimpleQueue()
    process = fork.Process(target=_limited, args=(ledger.path, result))
    process.start()
    process.join(30)
    number, text = result.get()
    assert "cannot be written" in text
    assert list(ledger.done()) == [str(n) for n in range(number)]
    assert ledger.damaged == 0


def test_a_ledger_that_is_a_folder(tmp_path):
    with pytest.raises(RunError):
        Ledger(tmp_path).append("a", {})
    with pytest.raises(RunError):
        Ledger(tmp_path).done()


def test_nan_is_a_mistake_of_the_caller(ledger):
    with pytest.raises(ValueError, match="JSON"):
        ledger.append("a", {"n": float("nan")})
    assert ledger.done() == {}


def _append_until_killed(path, started) -> None:
    ledger = Ledger(path)
    for number in range(10**9):
        ledger.append(str(number), {"n": number})
        if number == 3:
            started.set()


def test_kill_9_loses_at_most_the_line_in_flight(ledger):
    for _ in range(3):
        before = len(ledger.done())
        started = fork.Event()
        writer = fork.Process(target=_append_until_killed, args=(ledger.path, started))
        writer.start()
        assert started.wait(30)
        time.sleep(0.02)
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        done = ledger.done()
        assert list(done) == [str(n) for n in range(len(done))]
        assert len(done) >= max(4, before if before < 4 else 4)


def test_one_writer_for_a_run(tmp_path):
    with RunLock(tmp_path / "run"):
        with pytest.raises(RunError, match=f"process {os.getpid()} "), RunLock(tmp_path / "run"):
            pass
        with RunLock(tmp_path / "other"):
            pass
    with RunLock(tmp_path / "run"):
        pass
    assert os.listdir(tmp_path / "run") == []


def _hold(folder, ready) -> None:
    with RunLock(folder):
        ready.set()
        time.sleep(60)


def test_a_killed_run_can_be_resumed_at_once(tmp_path):
    ready = fork.Event()
    holder = fork.Process(target=_hold, args=(tmp_path, ready))
    holder.start()
    assert ready.wait(30)
    with pytest.raises(RunError, match=f"process {holder.pid} "), RunLock(tmp_path):
        pass
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    with RunLock(tmp_path):
        assert (tmp_path / ".run.lock").read_text() == f"{os.getpid()}\n"


def test_the_lock_is_given_back_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), RunLock(tmp_path):
        raise ZeroDivisionError
    with RunLock(tmp_path):
        pass


def test_a_run_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"), RunLock(tmp_path / "file" / "run"):
        pass
