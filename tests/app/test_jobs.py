"""Jobs: what they return, how they end, whose they are, and who comes next."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app.data import work
from app.shell import jobs, server_settings, sessions, worker, workers
from ecgxai_core.settings import settings
from ecgxai_core.stopping import check_stop
from tests.app import slow_work

REPO = Path(__file__).resolve().parents[2]
Asks = Callable[..., jobs.Job]


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[workers.Pool]:
    """A pool of its own, whose processes have no model to load."""
    own = workers.Pool()
    monkeypatch.setattr(jobs, "pool", lambda: own)
    for name in ("warm", "rehearse"):
        monkeypatch.setattr(workers.work, name, slow_work.nothing)
    st.cache_resource.clear()
    yield own
    own.close()
    st.cache_resource.clear()


@pytest.fixture
def ask(pool: workers.Pool, monkeypatch: pytest.MonkeyPatch) -> Asks:
    """``ask(session, key, function, *args)`` as the page of that session would."""

    def of(session: str, key: str, function: Any, *args: Any, **more: Any) -> jobs.Job:
        monkeypatch.setattr(sessions, "here", lambda: session)
        return jobs.start(key, f"title of {key}", function, *args, **more)

    return of


def ended(job: jobs.Job, seconds: float = 30.0) -> jobs.Job:
    assert job.ended.wait(seconds), (job.state, job.title)
    return job


def until(true: Callable[[], Any], seconds: float = 30.0) -> None:
    for _ in range(int(seconds / 0.02)):
        if true():
            return
        time.sleep(0.02)
    raise AssertionError("it does not come")


def running(job: jobs.Job) -> jobs.Job:
    until(lambda: job.state == "running")
    return job


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# ---- what a job returns ------------------------------------------------------------------------


def test_a_job_runs_once_and_keeps_its_result(ask: Asks, tmp_path: Path) -> None:
    file = tmp_path / "calls"
    job = ended(ask("one", "k", slow_work.noted, file))
    assert ask("two", "k", slow_work.noted, file) is job
    assert job.state == "done"
    assert file.read_text() == "called\n"
    assert ended(ask("one", "e", slow_work.echo, 1, {"a": 2})).result == (1, {"a": 2})
    assert jobs.result("e") == (1, {"a": 2})
    assert jobs.result("other") is None


def test_the_result_of_an_earlier_job_is_an_argument(ask: Asks) -> None:
    ended(ask("one", "first", slow_work.echo, "found"))
    job = ended(ask("one", "second", slow_work.echo, jobs.Earlier("first")))
    assert job.result == (("found",),)


def test_a_refusal_is_one_line_and_can_be_tried_again(ask: Asks) -> None:
    job = ended(ask("one", "k", slow_work.refuse))
    assert (job.state, job.error) == ("failed", "a.hea: fs: is missing. Fix: add it")
    again = ask("one", "k", slow_work.echo)
    assert again is not job
    assert ended(again).state == "done"


@pytest.mark.parametrize("function", [slow_work.fault, slow_work.untellable])
def test_a_fault_says_nothing_of_the_machine(ask: Asks, function: Any) -> None:
    job = ended(ask("one", "k", function))
    assert job.state == "failed"
    assert "/secret" not in job.error
    assert "see the server log" in job.error
    assert ended(ask("one", "next", slow_work.echo, 1)).state == "done"


def test_a_process_that_dies_says_so_and_another_takes_the_next_job(ask: Asks) -> None:
    first = ended(ask("one", "before", slow_work.process)).result
    job = ended(ask("one", "k", slow_work.die))
    assert job.state == "failed"
    assert job.error.count("\n") == 0
    assert "its process ended" in job.error
    second = ended(ask("one", "after", slow_work.process))
    assert second.state == "done"
    assert second.result != first


def test_a_process_that_has_grown_is_replaced_after_its_job(
    ask: Asks, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = server_settings.ServerSettings(worker_memory_gb=0.3)
    monkeypatch.setattr(workers, "server_settings", lambda: small)
    pid = ended(ask("one", "grown", slow_work.grow)).result
    until(lambda: not alive(pid))
    assert ended(ask("one", "next", slow_work.process)).result != pid


def test_a_server_that_cannot_start_processes_says_so(
    ask: Asks, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(workers.sys, "executable", "/bin/false")
        job = ended(ask("one", "k", slow_work.echo))
        assert job.state == "failed"
        assert "cannot start" in job.error
    # the other process may still be ending, and takes what waits along
    until(lambda: ended(ask("one", "next", slow_work.echo)).state == "done")


# ---- how a job ends ----------------------------------------------------------------------------


def test_cancel_ends_a_running_job_before_its_next_batch(
    ask: Asks, pool: workers.Pool, tmp_path: Path
) -> None:
    file = tmp_path / "batches"
    job = ask("one", "k", slow_work.steps, file, 60.0)
    until(lambda: file.is_file() and job.computed > 3)
    pids = pool.pids()
    pool.withdraw(job, "one")
    assert job.state == "cancelled"  # at once, for the page
    time.sleep(0.3)
    batches = len(file.read_text())
    time.sleep(0.3)
    assert len(file.read_text()) == batches
    assert pool.pids() == pids  # the flag was enough
    assert ended(ask("one", "next", slow_work.echo)).state == "done"


def test_a_process_that_does_not_answer_is_killed_within_two_seconds(
    ask: Asks, pool: workers.Pool, tmp_path: Path
) -> None:
    job = ask("one", "k", slow_work.deaf, tmp_path / "pid")
    until(lambda: (tmp_path / "pid").is_file() and (tmp_path / "pid").read_text())
    pid = int((tmp_path / "pid").read_text())
    begun = time.monotonic()
    pool.withdraw(job, "one")
    until(lambda: not alive(pid))
    assert time.monotonic() - begun < workers.ANSWER_SEC + 1
    assert ended(ask("one", "next", slow_work.echo)).state == "done"


def test_a_process_may_take_longer_to_stop_when_who_asked_has_gone(
    ask: Asks, pool: workers.Pool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A new one would have to load its tools, and the next reader would wait for that."""
    monkeypatch.setattr(workers, "ANSWER_SEC", 0.0)
    job = ask("one", "k", slow_work.absent_minded, tmp_path / "pid", 1.5)
    until(lambda: (tmp_path / "pid").is_file() and (tmp_path / "pid").read_text())
    pid = int((tmp_path / "pid").read_text())
    jobs._session_ended("one")
    assert job.state == "cancelled"
    again = ended(ask("two", "next", slow_work.process))
    until(lambda: not any(process.job for process in pool._processes.values() if process))
    assert pid in pool.pids()
    assert again.state == "done"


def test_what_may_go_on_for_a_while_stores_only_where_all_do(tmp_path: Path) -> None:
    """The own records of a session are deleted with it, and so is what was computed from them."""
    shared = work.Place(settings().cache_dir, 1)
    file = work.CaseFile(tmp_path, "", tmp_path, "", None, work.Place(tmp_path, 1))
    for args, kept in (((), True), ((shared, 1), True), ((file,), False), ((1, file.place), False)):
        job = workers.job_of("k", "title", slow_work.echo, args)
        assert workers._keeps_in_the_shared_cache(job) == kept


def test_a_job_withdrawn_while_its_process_starts_takes_no_other_job_with_it(
    ask: Asks, pool: workers.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy machine starts a process for half a minute; nobody is killed for that."""
    monkeypatch.setattr(workers, "ANSWER_SEC", 0.0)
    first = ask("one", "first", slow_work.echo)
    others = [ask(f"other {n}", f"k{n}", slow_work.echo, n) for n in range(3)]
    pool.withdraw(first, "one")
    assert [ended(job).result for job in others] == [(0,), (1,), (2,)]


def test_a_waiting_job_ends_at_once(ask: Asks, pool: workers.Pool, tmp_path: Path) -> None:
    running(ask("one", "long", slow_work.steps, tmp_path / "a", 60.0))
    waiting = ask("one", "second", slow_work.noted, tmp_path / "b")
    assert waiting.state == "waiting"
    pool.withdraw(waiting, "one")
    assert waiting.state == "cancelled"
    time.sleep(0.3)
    assert not (tmp_path / "b").exists()


def test_closing_ends_the_processes(ask: Asks, pool: workers.Pool, tmp_path: Path) -> None:
    running(ask("one", "long", slow_work.deaf, tmp_path / "a"))
    pids = pool.pids()
    assert len(pids) == 2
    pool.close()
    until(lambda: not any(map(alive, pids)))


@pytest.mark.parametrize("signal_", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_the_server_however_it_ends(tmp_path: Path, signal_: int) -> None:
    script = (
        "import sys, time, pathlib\n"
        "from app.shell.workers import Pool, job_of\n"
        "from tests.app import slow_work\n"
        "pool = Pool()\n"
        "pool.add(job_of('k', 't', slow_work.deaf, (pathlib.Path(sys.argv[1]),), asked_by={'s'}))\n"
        "while len(pool.pids()) < 2: time.sleep(0.05)\n"
        "print(*pool.pids(), flush=True)\n"
        "time.sleep(60)\n"
    )
    server = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "pid")],
        cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert server.stdout is not None
    pids = [int(text) for text in server.stdout.readline().split()]
    until(lambda: (tmp_path / "pid").is_file())
    server.send_signal(signal_)
    server.wait(20)
    until(lambda: not any(map(alive, pids)))


# ---- whose a job is ----------------------------------------------------------------------------


def test_a_job_that_two_asked_for_ends_when_both_have_cancelled(
    ask: Asks, pool: workers.Pool, tmp_path: Path
) -> None:
    job = running(ask("one", "k", slow_work.steps, tmp_path / "a", 60.0))
    assert ask("two", "k", slow_work.steps, tmp_path / "a", 60.0) is job
    pool.withdraw(job, "one")
    assert job.state == "running"
    pool.withdraw(job, "two")
    assert job.state == "cancelled"


def test_the_jobs_of_a_session_end_with_it_unless_another_watches(
    ask: Asks, tmp_path: Path
) -> None:
    job = running(ask("one", "k", slow_work.steps, tmp_path / "a", 60.0))
    job.watched_by["two"] = time.monotonic()
    jobs._session_ended("one")
    assert (job.state, job.asked_by) == ("running", {"two"})
    jobs._session_ended("two")
    assert job.state == "cancelled"


def test_forgetting_drops_what_is_done_and_leaves_what_others_wait_for(
    ask: Asks, tmp_path: Path
) -> None:
    for key in ("own:1", "shared:1"):
        ended(ask("one", key, slow_work.echo))
    others = ask("two", "own:2", slow_work.steps, tmp_path / "a", 60.0)
    ask("one", "nothing", slow_work.echo)
    jobs.forget("own:")
    assert jobs.get("own:1") is None
    assert jobs.get("shared:1") is not None
    assert others.active


def test_jobs_about_a_deleted_folder_end_and_are_dropped(ask: Asks, tmp_path: Path) -> None:
    done = ended(ask("one", "given:/own/x:1", slow_work.echo))
    busy = running(ask("one", "cohort:['/own/x']", slow_work.steps, tmp_path / "a", 60.0))
    ended(ask("two", "given:/own/y:1", slow_work.echo))
    jobs.end_about("/own/x")
    assert jobs.get(done.key) is None
    assert jobs.get(busy.key) is None
    assert busy.state == "cancelled"
    assert jobs.get("given:/own/y:1") is not None


PAGE = """
import streamlit as st
from app.shell import jobs
jobs.show(jobs.get("k"))
"""


def test_only_who_asked_sees_the_name_and_the_button(
    ask: Asks, pool: workers.Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = running(ask("one", "k", slow_work.steps, tmp_path / "a", 60.0))
    until(lambda: job.done)
    monkeypatch.setattr(sessions, "here", lambda: "stranger")
    other = AppTest.from_string(PAGE).run()
    (bar,) = other.get("progress")
    assert "title" not in bar.proto.text
    assert "another session" in bar.proto.text
    assert not other.button
    monkeypatch.setattr(sessions, "here", lambda: "one")
    own = AppTest.from_string(PAGE).run()
    (bar,) = own.get("progress")
    assert "title of k" in bar.proto.text
    assert "batch" in bar.proto.text
    own.button[0].click().run()
    assert job.state == "cancelled"
    assert "cancelled" in own.info[0].value
    assert not jobs.cancelled_elsewhere(job)
    monkeypatch.setattr(sessions, "here", lambda: "stranger")
    assert jobs.cancelled_elsewhere(job)


# ---- who comes next ----------------------------------------------------------------------------


def test_a_short_job_does_not_wait_for_two_long_ones(ask: Asks, tmp_path: Path) -> None:
    long = [
        ask(name, name, slow_work.steps, tmp_path / name, 60.0, short=False)
        for name in ("one", "two")
    ]
    running(long[0])
    begun = time.monotonic()
    small = ended(ask("three", "small", slow_work.echo, short=True))
    assert small.state == "done"
    assert time.monotonic() - begun < 5
    assert [job.state for job in long] == ["running", "waiting"]


def test_one_running_job_a_session_and_the_place_in_the_queue(
    ask: Asks, pool: workers.Pool, tmp_path: Path
) -> None:
    first = running(ask("one", "1", slow_work.steps, tmp_path / "1", 60.0))
    second = ask("one", "2", slow_work.steps, tmp_path / "2", 60.0)
    time.sleep(0.3)
    assert second.state == "waiting"  # though a process is idle
    assert pool.busy(second)
    other = running(ask("two", "3", slow_work.steps, tmp_path / "3", 60.0))
    third = ask("three", "4", slow_work.echo)
    assert not pool.busy(third)
    assert pool.place(third) == 0  # it was never served
    assert pool.place(second) == 1
    pool.withdraw(other, "two")
    assert ended(third).state == "done"
    pool.withdraw(first, "one")
    running(second)


def test_work_beside_what_was_asked_for_gives_way_to_what_its_session_asks_next(
    ask: Asks, tmp_path: Path
) -> None:
    assert slow_work.ASIDE.startswith(workers.work.ALSO)
    aside = running(ask("one", "0", slow_work.aside, tmp_path / "0", 60.0))
    until(lambda: aside.text)
    assert ended(ask("two", "1", slow_work.echo)).state == "done"
    assert aside.state == "running", "another session's request does not end it"
    assert ended(ask("one", "2", slow_work.echo)).state == "done"
    assert aside.state == "cancelled"


def test_what_is_done_beside_gives_way_when_somebody_waits(
    ask: Asks, pool: workers.Pool, tmp_path: Path
) -> None:
    aside = running(ask("one", "0", slow_work.aside, tmp_path / "0", 60.0))
    until(lambda: aside.text)
    busy = running(ask("two", "1", slow_work.steps, tmp_path / "1", 60.0))
    assert aside.state == "running", "the other process was free"
    assert ended(ask("three", "2", slow_work.echo)).state == "done"
    assert (aside.state, busy.state) == ("cancelled", "running")


def test_a_short_job_goes_to_the_process_that_is_ready(ask: Asks, pool: workers.Pool) -> None:
    pool.warm()
    processes = dict(pool._processes)
    until(lambda: all(process is not None and process.ready for process in processes.values()))
    short, other = processes["short"], processes["any"]
    assert short is not None
    assert other is not None
    short.ready = False  # as if it had just been replaced
    assert ended(ask("one", "k", slow_work.process)).result == other.pid
    short.ready = True
    assert ended(ask("one", "l", slow_work.process)).result == short.pid


def test_a_session_does_not_wait_for_what_is_done_beside_its_own_request(
    ask: Asks, pool: workers.Pool, tmp_path: Path
) -> None:
    aside = running(ask("one", "0", slow_work.aside, tmp_path / "0", 60.0))
    waiting = ask("one", "1", slow_work.echo)  # asked before anything is done beside
    assert ended(waiting).state == "done"
    assert aside.state == "cancelled"


def test_who_was_served_longest_ago_comes_next(
    ask: Asks, pool: workers.Pool, tmp_path: Path
) -> None:
    busy = running(ask("greedy", "0", slow_work.steps, tmp_path / "0", 60.0, short=False))
    for number in range(1, 4):
        ask("greedy", str(number), slow_work.steps, tmp_path / "g", 60.0, short=False)
    modest = ask("modest", "m", slow_work.steps, tmp_path / "m", 60.0, short=False)
    pool.withdraw(busy, "greedy")
    running(modest)


def test_a_worker_greets_first_and_answers_for_a_job_stopped_before_it_began() -> None:
    ours, theirs = socket.socketpair()
    with theirs, Connection(ours.detach()) as channel:
        for number in range(1, 4):  # they wait in the socket before there is a worker
            channel.send(("run", number, "tests.app.slow_work:process", ()))
            channel.send(("stop", number))
        command = [sys.executable, "-m", "app.shell.worker", str(theirs.fileno()), "0",
                   "tests.app.slow_work:nothing"]  # fmt: skip
        process = subprocess.Popen(
            command, cwd=REPO, pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL
        )
        try:
            assert channel.poll(60)
            assert channel.recv() == ("ready",)
            answered = set()
            while answered < {1, 2, 3}:
                assert channel.poll(30), answered
                _, run, *_ = channel.recv()
                answered.add(run)
        finally:
            process.kill()
            process.wait()


def test_an_idle_worker_gives_memory_back_and_takes_the_next_job(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "_REST_SEC", 0.05)
    ours, theirs = socket.socketpair()
    rested = threading.Event()
    with Connection(ours.detach()) as channel:
        one = worker._Worker(Connection(theirs.detach()))
        body = partial(one.work, (), rested.set)
        threading.Thread(target=body, daemon=True).start()
        for number in (1, 2):
            rested.clear()
            one._waiting.put((number, "tests.app.slow_work:process", ()))
            assert channel.poll(30)
            assert channel.recv()[:2] == ("done", number)
            assert rested.wait(30)


def test_idle_moments_go_to_what_is_spare_until_a_job_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "_IDLE_SEC", 0.05)
    ours, theirs = socket.socketpair()
    begun, rested, calls = threading.Event(), threading.Event(), list[str]()

    def endless_at_first() -> None:
        calls.append("first")
        begun.set()
        while calls.count("first") == 1:
            check_stop()
            time.sleep(0.01)

    with Connection(ours.detach()) as channel:
        one = worker._Worker(Connection(theirs.detach()))
        monkeypatch.setattr(worker, "_REST_SEC", 0.05)
        spare = (endless_at_first, lambda: calls.append("second"))
        threading.Thread(target=partial(one.work, spare, rested.set), daemon=True).start()
        assert begun.wait(30)
        one._waiting.put((1, "tests.app.slow_work:process", ()))
        assert channel.poll(30), "a job does not wait for what is spare"
        assert channel.recv()[:2] == ("done", 1)
        assert rested.wait(30)
    assert calls == ["first", "first", "second"], "what was left is begun again, each is done once"


def test_idle_processes_that_have_worked_are_replaced_and_no_others(
    ask: Asks, pool: workers.Pool
) -> None:
    used = ended(ask("one", "k", slow_work.process)).result
    until(lambda: len(pool.pids()) == 2)
    (unused,) = set(pool.pids()) - {used}
    busy = running(ask("two", "b", slow_work.process_for, 60.0))
    until(lambda: busy.text)
    held = int(busy.text)
    pool.renew()
    assert busy.state == "running"
    pool.withdraw(busy, "two")
    until(lambda: all(p.job is None for p in pool._processes.values() if p))
    pool.renew()
    until(lambda: held not in pool.pids() and used not in pool.pids())
    assert held != used or unused in pool.pids(), "what has done nothing stays"
    assert ended(ask("one", "next", slow_work.process)).result in pool.pids()


def test_what_is_asked_while_a_process_is_replaced_waits_for_the_next(
    ask: Asks, pool: workers.Pool
) -> None:
    for number in range(3):
        used = ended(ask("one", f"a{number}", slow_work.process)).result
        pool.renew()
        after = ended(ask("one", f"b{number}", slow_work.process))
        assert (after.state, after.error) == ("done", "")
        assert after.result != used


def test_an_answer_that_overtakes_the_greeting_lets_the_next_job_begin(
    ask: Asks, pool: workers.Pool, tmp_path: Path
) -> None:
    stopped = ask("one", "0", slow_work.steps, tmp_path / "0", 60.0, short=False)
    waiting = ask("one", "1", slow_work.steps, tmp_path / "1", 60.0, short=False)
    process = pool._processes["any"]
    assert process is not None
    pool._heard(process, ("stopped", stopped.run, 0.0))
    assert (stopped.state, waiting.state) == ("cancelled", "running")


def test_a_session_cannot_fill_the_queue(ask: Asks, tmp_path: Path) -> None:
    running(ask("one", "0", slow_work.steps, tmp_path / "0", 60.0))
    waiting = [ask("one", str(n), slow_work.echo, n) for n in range(1, workers.MOST_WAITING + 1)]
    assert all(job.state == "waiting" for job in waiting)
    refused = ask("one", "more", slow_work.echo)
    assert refused.state == "failed"
    assert "waiting already" in refused.error


def test_a_short_job_that_is_long_makes_room(
    ask: Asks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "SHORT_SEC", 0.5)
    running(ask("one", "long", slow_work.steps, tmp_path / "1", 60.0, short=False))
    liar = running(ask("two", "liar", slow_work.steps, tmp_path / "2", 60.0, short=True))
    assert ended(ask("three", "small", slow_work.echo), 10).state == "done"
    assert (liar.state, liar.short) == ("waiting", False)


def test_what_costs_too_much_is_refused_before_it_starts(
    ask: Asks, pool: workers.Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "most_passes", lambda: 1000.0)
    cost = {"n_coalitions": 900.0, "n_noise": 200.0}
    job = ask("one", "k", slow_work.noted, tmp_path / "f", cost=cost)
    assert job.state == "failed"
    assert "lower n_coalitions first" in job.error
    assert pool.pids() == ()
    assert not (tmp_path / "f").exists()
    assert ended(ask("one", "j", slow_work.echo, cost={"n_noise": 200.0})).state == "done"


# ---- how long it takes -------------------------------------------------------------------------


def test_the_time_left_never_rises(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(workers.time, "monotonic", lambda: clock[0])
    job = workers.job_of("k", "t", slow_work.echo, (), passes=1000.0)
    job.state, job.started = "running", 100.0
    shown = []
    for passes in (10, 100, 110, 111, 112, 400, 700, 701, 950):
        clock[0] += 2.0
        job.computed = passes
        shown.append(job.seconds_left)
    told = [value for value in shown if value is not None]
    assert shown[0] is None  # too early to say
    assert len(told) >= 6
    assert told == sorted(told, reverse=True)


def test_a_server_bound_to_this_machine_has_an_operator_and_no_ceiling(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def most(address: str, **given: Any) -> float | None:
        monkeypatch.setattr(
            server_settings, "server_settings", lambda: server_settings.ServerSettings(**given)
        )
        monkeypatch.setattr(server_settings.st, "get_option", lambda _name: address)
        return server_settings.most_passes()

    assert most("127.0.0.1") is None
    assert most("localhost") is None
    assert most("0.0.0.0") == 200_000
    assert most("") == 200_000
    assert most("192.168.1.5", operator=True) is None
    assert most("127.0.0.1", operator=False, page_passes=50) == 50
