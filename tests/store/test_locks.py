"""Locks that die with their holder."""

from __future__ import annotations

import os
import signal
import threading
import time
from multiprocessing import get_context

from ecgxai_core.store.locks import _HELD, LockFile, held_lock

fork = get_context("fork")


def test_one_holder_at_a_time_and_no_file_left(tmp_path):
    first, second = LockFile(tmp_path / "a"), LockFile(tmp_path / "a")
    assert first.try_acquire()
    assert not second.try_acquire()
    assert not second.acquire(0.02)
    first.release()
    assert second.try_acquire()
    second.release()
    second.release()
    assert list(tmp_path.iterdir()) == []
    assert not _HELD


def test_the_holder_leaves_a_note(tmp_path):
    lock = LockFile(tmp_path / "a")
    assert lock.note() == ""
    lock.try_acquire()
    lock.write("first note\n")
    lock.write("two\n")
    assert LockFile(tmp_path / "a").note() == "two"
    lock.release()


def test_a_lock_on_a_removed_file_is_no_lock(tmp_path):
    path = tmp_path / "a"
    old = LockFile(path)
    assert old.try_acquire()
    path.unlink()
    new = LockFile(path)
    assert new.try_acquire()
    old.release()  # must not remove the file of the new holder
    assert path.exists()
    assert not LockFile(path).try_acquire()
    new.release()


def _hold(path, ready) -> None:
    LockFile(path).try_acquire()
    ready.set()
    time.sleep(60)


def test_a_killed_holder_gives_way(tmp_path):
    ready = fork.Event()
    holder = fork.Process(target=_hold, args=(tmp_path / "a", ready))
    holder.start()
    assert ready.wait(30)
    lock = LockFile(tmp_path / "a")
    assert not lock.try_acquire()
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    assert lock.acquire(5)
    lock.release()


def _idle(ready) -> None:
    ready.set()
    time.sleep(60)


def _hold_with_child(path, ready, child_pid) -> None:
    LockFile(path).try_acquire()
    child = fork.Process(target=_idle, args=(ready,))
    child.start()
    child_pid.value = child.pid
    time.sleep(60)


def test_a_child_of_the_killed_holder_does_not_keep_the_lock(tmp_path):
    ready, child_pid = fork.Event(), fork.Value("i", 0)
    holder = fork.Process(target=_hold_with_child, args=(tmp_path / "a", ready, child_pid))
    holder.start()
    try:
        assert ready.wait(30)
        os.kill(holder.pid, signal.SIGKILL)
        holder.join()
        lock = LockFile(tmp_path / "a")
        assert lock.acquire(5)
        lock.release()
    finally:
        os.kill(child_pid.value, signal.SIGKILL)


def test_threads_exclude_each_other(tmp_path):
    inside, most = [0], [0]
    guard = threading.Lock()

    def work() -> None:
        for _ in range(20):
            with held_lock(tmp_path / "locks" / "k", 30) as outcome:
                assert outcome == "held"
                with guard:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                with guard:
                    inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert list((tmp_path / "locks").iterdir()) == []


def test_the_same_thread_does_not_wait_for_itself(tmp_path):
    with held_lock(tmp_path / "k", 5), held_lock(tmp_path / "k", 5) as outcome:
        assert outcome == "nested"
    with held_lock(tmp_path / "k", 5) as outcome:
        assert outcome == "held"


def test_a_lock_that_cannot_be_made_or_had_only_saves_no_work(tmp_path):
    (tmp_path / "file").write_text("")
    with held_lock(tmp_path / "file" / "k", 5) as outcome:
        assert outcome.startswith("lock file")
    lock = LockFile(tmp_path / "k")
    lock.try_acquire()
    with held_lock(tmp_path / "k", 0.01) as outcome:
        assert outcome == "waited"
    lock.release()
