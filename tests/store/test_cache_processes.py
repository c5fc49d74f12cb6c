"""The cache between processes: one computes for all, a killed one is replaced, forks are safe."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from ecgxai_core.store import Store

REPO = Path(__file__).resolve().parents[2]
KEY = {"cold": True}
fork = get_context("fork")


def _ask(folder: Path, log: Path, together, answers, seconds: float) -> None:
    store = Store(folder, 1 << 28)

    def compute():
        with log.open("a") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(seconds)
        return {"a": np.arange(5.0)}, {"by": "one of us"}

    together.wait()
    entry = store.get_or_compute(KEY, compute)
    answers.put((entry.meta["by"], entry.arrays["a"].sum(), store.stats()["faults"]))


def test_eight_processes_on_one_cold_key_compute_it_once(folder, tmp_path):
    log, together, answers = tmp_path / "log", fork.Barrier(8), fork.SimpleQueue()
    args = (folder, log, together, answers, 0.5)
    workers = [fork.Process(target=_ask, args=args) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 8
    assert [answers.get() for _ in workers] == [("one of us", 10.0, 0)] * 8
    assert len(log.read_text().split()) == 1
    assert list((folder / "locks").iterdir()) == []


def test_a_killed_holder_is_replaced_within_two_seconds(folder, tmp_path):
    log, answers = tmp_path / "log", fork.SimpleQueue()
    holder = fork.Process(target=_ask, args=(folder, log, fork.Barrier(1), answers, 60))
    holder.start()
    while not log.exists() or not log.read_text():
        time.sleep(0.01)
    waiter = fork.Process(target=_ask, args=(folder, log, fork.Barrier(1), answers, 0))
    waiter.start()
    time.sleep(0.5)
    assert answers.empty()  # it waits
    os.kill(holder.pid, signal.SIGKILL)
    start = time.monotonic()
    waiter.join(30)
    assert time.monotonic() - start < 2
    assert answers.get() == ("one of us", 10.0, 0)
    assert log.read_text().split() == [str(holder.pid), str(waiter.pid)]


def _write_until_killed(folder: Path, started) -> None:
    store = Store(folder, 1 << 22)
    for number in range(10**9):
        store.put({"n": number % 50}, {"a": np.full(2000, number)}, {"n": number})
        if number == 20:
            started.set()


@pytest.mark.parametrize("round_number", range(4))
def test_kill_9_while_writing_leaves_a_sound_cache(folder, round_number):
    started = fork.Event()
    writers = [fork.Process(target=_write_until_killed, args=(folder, started)) for _ in range(2)]
    for writer in writers:
        writer.start()
    assert started.wait(30)
    time.sleep(0.02 * round_number)
    for writer in writers:
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
    store = Store(folder, 1 << 22)
    found = 0
    for number in range(50):
        entry = store.get({"n": number})
        if entry is not None:
            found += 1
            assert np.all(entry.arrays["a"] == entry.meta["n"])
    assert found >= 20
    assert store.stats()["faults"] == store.stats()["rejected"] == 0
    assert store.put({"n": "new"}, {}, {})


def _child_of_busy(store: Store, answers) -> None:
    entry = store.get({"n": 0})
    stored = store.put({"child": os.getpid()}, {}, {})
    answers.put((entry is not None, stored, store.stats()["faults"]))


def test_forking_while_other_threads_write_is_safe(store):
    store.put({"n": 0}, {"a": np.zeros(2000)}, {})
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            store.put({"n": 0}, {"a": np.zeros(2000)}, {})

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    answers = fork.SimpleQueue()
    try:
        for _ in range(8):
            child = fork.Process(target=_child_of_busy, args=(store, answers))
            child.start()
            child.join(30)
            assert child.exitcode == 0
            assert answers.get() == (True, True, 0)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert store.stats()["faults"] == 0
    assert store.stats()["entries"] == 9


SPAWNED = """
import pickle, sys
store = pickle.loads(bytes.fromhex(sys.argv[1]))
entry = store.get({"n": 0})
assert entry.meta == {"by": "parent"}, entry
assert store.put({"n": 1}, {}, {"by": "child"})
assert store.stats()["faults"] == 0
"""


def test_a_spawned_process_opens_the_folder_for_itself(store):
    import pickle

    store.put({"n": 0}, {}, {"by": "parent"})
    command = [sys.executable, "-c", SPAWNED, pickle.dumps(store).hex()]
    subprocess.run(command, check=True, timeout=60, cwd=REPO)
    assert store.get({"n": 1}).meta == {"by": "child"}


def _open_and_use(folder: Path, together, answers, number: int) -> None:
    together.wait()
    store = Store(folder, 1 << 28)
    for seed in range(20):
        store.put({"n": number, "seed": seed}, {"a": np.zeros(500)}, {})
    answers.put(store.stats()["faults"])


def test_many_processes_open_a_new_folder_at_once(folder):
    together, answers = fork.Barrier(8), fork.SimpleQueue()
    workers = [
        fork.Process(target=_open_and_use, args=(folder, together, answers, number))
        for number in range(8)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [answers.get() for _ in workers] == [0] * 8
    assert Store(folder, 1 << 28).stats()["entries"] == 160


def _use_clear_and_damage(folder: Path, number: int, stop: float, wrong) -> None:
    store, rng = Store(folder, 4 << 20), np.random.default_rng(number)
    while time.time() < stop:
        n, act = int(rng.integers(100)), rng.random()
        if act < 0.5:
            store.put({"n": n}, {"a": np.full(500 + n, n)}, {"n": n})
        elif act < 0.97:
            entry = store.get({"n": n})
            if entry is not None and not np.array_equal(entry.arrays["a"], np.full(500 + n, n)):
                wrong.value += 1
        elif act < 0.985:
            store.clear()
        elif (folder / "cache.db").exists():
            with contextlib.suppress(OSError), (folder / "cache.db").open("r+b") as file:
                file.seek(int(rng.integers(50_000)))
                file.write(b"\xff" * 200)
        store._paused_until = 0.0


def test_clearing_and_damage_among_busy_processes_never_give_a_wrong_value(folder):
    wrong = fork.Value("i", 0)
    args = (time.time() + 4, wrong)
    workers = [
        fork.Process(target=_use_clear_and_damage, args=(folder, n, *args)) for n in range(4)
    ]
    for worker in workers:
        worker.start()
    time.sleep(2)
    os.kill(workers[0].pid, signal.SIGKILL)
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers[1:]] == [0] * 3
    assert wrong.value == 0
    store = Store(folder, 4 << 20)
    store.get({"n": 0})  # drops a database that the last damage left
    assert store.put({"n": "new"}, {}, {})
    assert Store(folder, 4 << 20).get({"n": "new"}) is not None
