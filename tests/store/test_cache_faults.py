"""Every fault of the cache is a miss: the work goes on, one warning is logged."""

from __future__ import annotations

import errno
import logging
import os
import resource
import shutil
import sqlite3
import subprocess
import tempfile
import threading
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from diskcache import Timeout

from ecgxai_core.store import Store, cache
from ecgxai_core.store.cache import info
from ecgxai_core.store.database import WAIT_SEC, BoundedCache, EnvelopeDisk, is_damage, reason

KEY = {"k": 1}
fork = get_context("fork")


def works(store: Store, arrays, seed: int = 0) -> None:
    """The result is right, whatever state the cache is in."""
    entry = store.get_or_compute({"k": 1, "seed": seed}, lambda: (arrays, {"seed": seed}))
    assert entry.meta == {"seed": seed}
    assert np.array_equal(entry.arrays["weights"], arrays["weights"])


def warnings_of(caplog) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]


# ---------------------------------------------------------------- a damaged database


def flipped(data: bytes) -> bytes:
    bad = bytearray(data)
    for place in range(0, len(bad), 97):
        bad[place] ^= 0x55
    return bytes(bad)


def other_database(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as con:
        con.execute("CREATE TABLE patients (name TEXT)")
    con.close()


def deep_damage(path: Path) -> None:
    """Spoil the root page of the entries; the rest, which opening reads, stays sound."""
    with sqlite3.connect(path) as con:
        ((page,),) = con.execute("SELECT rootpage FROM sqlite_master WHERE name = 'Cache'")
        ((size,),) = con.execute("PRAGMA page_size")
    con.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)


DAMAGE = {
    "deep": deep_damage,
    "emptied": lambda path: path.write_bytes(b""),
    "cut in half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "cut to 100 bytes": lambda path: os.truncate(path, 100),
    "zeroed": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "random": lambda path: path.write_bytes(np.random.default_rng(0).bytes(50_000)),
    "flipped": lambda path: path.write_bytes(flipped(path.read_bytes())),
    "replaced": other_database,
    "deleted": lambda path: path.unlink(),
    "folder deleted": lambda path: shutil.rmtree(path.parent),
}


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("under_way", [True, False])
def test_a_damaged_database_is_lost_not_served(
    how, under_way, store, folder, arrays, database, caplog
):
    for seed in range(20):
        works(store, arrays, seed)
    path = database(folder)
    if not under_way:
        store.close()
    DAMAGE[how](path)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            for seed in range(20):
                works(store, arrays, seed)
    assert len(warnings_of(caplog)) <= 2
    # The cache heals, at the latest in the next process (this one may have its pages in memory).
    for seed in range(20):
        works(Store(folder, 1 << 28), arrays, seed)
    after = Store(folder, 1 << 28)
    found = sum(after.get({"k": 1, "seed": seed}) is not None for seed in range(20))
    assert found == 20
    assert after.stats()["faults"] == 0


def test_one_flipped_byte_anywhere_in_the_file_is_survived(tmp_path, arrays):
    clean = tmp_path / "clean"
    first = Store(clean, 1 << 28)
    for seed in range(4):
        works(first, arrays, seed)
    first.close()
    path = clean / "cache.db"
    data = path.read_bytes()
    for place in range(0, len(data), 97 * 13):
        bad = bytearray(data)
        bad[place] ^= 0xFF
        path.write_bytes(bytes(bad))
        store = Store(clean, 1 << 28)
        for seed in range(4):
            works(store, arrays, seed)
        store.close()
        path.write_bytes(data)


# ---------------------------------------------------------------- a hostile database


def hostile(path: Path, *statements: str) -> None:
    with sqlite3.connect(path) as con:
        for statement in statements:
            con.execute(statement)
    con.close()


HOSTILE = {
    "a method as setting": ["INSERT INTO Settings VALUES ('get', 'x')"],
    "the disk as setting": ["INSERT INTO Settings VALUES ('_disk', 'x')"],
    "a disk method": ["INSERT INTO Settings VALUES ('disk_fetch', 'x')"],
    "an unknown pragma": ["INSERT INTO Settings VALUES ('sqlite_writable_schema', 1)"],
    "a pragma with more": [
        "UPDATE Settings SET value = '1; DROP TABLE Cache' WHERE key = 'sqlite_mmap_size'"
    ],
    "a text as size": ["UPDATE Settings SET value = 'many' WHERE key = 'size'"],
    "a huge size": [f"UPDATE Settings SET value = {10**17} WHERE key = 'size'"],
    "a negative count": ["UPDATE Settings SET value = -5 WHERE key = 'count'"],
    "no settings": ["DELETE FROM Settings"],
    "no settings table": ["DROP TABLE Settings"],
    "no cache table": ["DROP TABLE Cache"],
    "other columns": ["DROP TABLE Cache", "CREATE TABLE Cache (key, raw)"],
    "an endless view": [
        "DROP TABLE Cache",
        "CREATE VIEW Cache AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"
        " SELECT x AS rowid, '0' AS key, 1 AS raw, 0 AS store_time, NULL AS expire_time, NULL AS"
        " tag, 0 AS mode, NULL AS filename, NULL AS value FROM c WHERE x < 0",
    ],
    "a trigger": [
        "CREATE TRIGGER t AFTER INSERT ON Cache BEGIN DELETE FROM Cache; END",
    ],
}  # fmt: skip


@pytest.mark.parametrize("how", HOSTILE)
def test_a_planted_database_is_replaced(how, store, folder, arrays, database):
    works(store, arrays)
    store.close()
    hostile(database(folder), *HOSTILE[how])
    start = time.monotonic()
    fresh = Store(folder, 1 << 28)
    works(fresh, arrays, 1)
    works(fresh, arrays, 1)
    assert time.monotonic() - start < 5
    assert fresh.stats()["hits"] == 1
    assert fresh._cache.get("0" * 64) is None
    assert "trigger" not in how or fresh.stats()["entries"] == 1


def test_a_pickled_setting_is_not_opened(store, folder, arrays, database, bomb):
    data, went_off = bomb
    works(store, arrays)
    store.close()
    with sqlite3.connect(database(folder)) as con:
        con.execute("UPDATE Settings SET value = ?", (data,))
        con.execute("INSERT INTO Settings VALUES ('pickled', ?)", (data,))
    con.close()
    works(Store(folder, 1 << 28), arrays)
    assert not went_off()


def test_no_more_than_an_entry_is_read_into_memory(store, arrays):
    works(store, arrays)
    with pytest.raises(sqlite3.DataError, match="too big"):
        store._cache._sql("SELECT zeroblob(70000000)").fetchall()


def test_an_endless_statement_is_stopped(store, arrays, folder, database):
    works(store, arrays)
    endless = (
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT COUNT(*) FROM c"
    )
    start = time.monotonic()
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        store._cache._sql(endless).fetchall()
    assert time.monotonic() - start < 10


def test_links_and_pipes_in_place_of_the_database_are_not_followed(
    store, folder, arrays, database, tmp_path
):
    works(store, arrays)
    store.close()
    path = database(folder)
    target = tmp_path / "elsewhere"
    shutil.copy(path, target)
    before = target.read_bytes()
    for make in (os.mkfifo, lambda place: place.symlink_to(target)):
        path.unlink()
        make(path)
        works(Store(folder, 1 << 28), arrays)
        works(Store(folder, 1 << 28), arrays, 1)
        assert target.read_bytes() == before


def test_the_cache_of_version_0_1_is_missed_and_makes_way(store, folder, arrays):
    old = folder / "generation-0123456789abcdef"
    old.mkdir(parents=True)
    (old / "cache.db").write_bytes(b"old")
    works(store, arrays)
    assert store.clear() == 1
    assert not old.exists()


# ---------------------------------------------------------------- a disk that refuses


def test_an_error_of_the_operating_system_is_a_miss(folder, arrays, monkeypatch, caplog):
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(cache, "BoundedCache", refuse)
    store = Store(folder, 1 << 28)
    with caplog.at_level(logging.WARNING):
        for seed in range(5):
            works(store, arrays, seed)
    assert len(warnings_of(caplog)) == 1
    assert "Read-only file system" in caplog.text
    assert str(folder) not in caplog.text
    assert store.stats()["faults"] == 1  # not asked again and again


def test_full_under_way(store, arrays, caplog):
    works(store, arrays)
    store._cache._con.execute("PRAGMA max_page_count = 20")  # SQLITE_FULL, as from a full disk
    with caplog.at_level(logging.WARNING):
        for seed in range(20):
            works(store, arrays, seed)
    assert len(warnings_of(caplog)) == 1
    assert "full" in caplog.text
    store.stats()
    assert store.get({"k": 1, "seed": 0}) is not None  # what is there is still served


def _limited(folder: Path, arrays, result) -> None:
    """A disk without room: no file may grow beyond 64 KB."""
    store = Store(folder, 1 << 28)
    works(store, arrays)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, 65_536))
    for seed in range(40):
        works(store, arrays, seed)
    assert store.stats()["faults"] > 0
    result.put("fine")


def test_files_that_cannot_grow(folder, arrays):
    result = fork.SimpleQueue()
    process = fork.Process(target=_limited, args=(folder, arrays, result))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert result.get() == "fine"
    # Nothing half-written is left: the next process reads what there is.
    after = Store(folder, 1 << 28)
    assert after.get({"k": 1, "seed": 0}) is not None
    assert after.stats()["faults"] == 0


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KB."""
    path = tmp_path / "small"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(path)]
    if (
        os.geteuid()
        or shutil.which("mount") is None
        or subprocess.run(command, check=False, capture_output=True).returncode
    ):
        pytest.skip("cannot mount a small file system here")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


def test_a_really_full_disk(small_disk, arrays, caplog):
    store = Store(small_disk / "cache", 1 << 28)
    with caplog.at_level(logging.WARNING):
        for seed in range(100):
            works(store, arrays, seed)
    assert store.stats()["faults"] > 0
    assert len(warnings_of(caplog)) == 1
    assert store.get({"k": 1, "seed": 0}) is not None
    store.close()
    (small_disk / "filler").write_bytes(b"")
    fresh = Store(small_disk / "cache", 1 << 28)
    for seed in range(100):
        works(fresh, arrays, seed)


def test_a_disk_that_turns_read_only(small_disk, arrays, caplog):
    store = Store(small_disk / "cache", 1 << 28)
    works(store, arrays)
    store.close()  # a file open for writing would forbid the change
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with caplog.at_level(logging.WARNING):
        for seed in range(5):
            works(store, arrays, seed)
            works(Store(small_disk / "new", 1 << 28), arrays, seed)
    messages = [text for text in warnings_of(caplog) if "without it" in text]
    assert len(messages) == 6  # one for each of six stores


def _as_nobody(folder: Path, arrays, result) -> None:
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    with pytest.raises(PermissionError):
        (folder / "x").write_text("")
    store = Store(folder, 1 << 28)
    for seed in range(3):
        works(store, arrays, seed)
    assert store.stats()["faults"] == 1
    result.put("fine")


@pytest.mark.parametrize("filled", [True, False])
def test_a_folder_without_permission(filled, arrays):
    base = Path(tempfile.mkdtemp())
    try:
        store = Store(base, 1 << 28)
        works(store, arrays)  # also loads everything that the child needs
        if not filled:
            store.close()
            shutil.rmtree(base)
            base.mkdir()
        for path in (base, *base.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        result = fork.SimpleQueue()
        process = fork.Process(target=_as_nobody, args=(base, arrays, result))
        process.start()
        process.join(60)
        assert process.exitcode == 0
        assert result.get() == "fine"
    finally:
        for path in (base, *base.rglob("*")):
            path.chmod(0o755)
        shutil.rmtree(base)


def test_a_folder_that_is_a_file(tmp_path, arrays):
    (tmp_path / "cache").write_text("")
    store = Store(tmp_path / "cache", 1 << 28)
    works(store, arrays)
    assert store.stats()["faults"] >= 1
    assert store.clear() == 0
    assert info(tmp_path / "cache")["state"] == "absent"


# ---------------------------------------------------------------- a database that is locked


@pytest.mark.parametrize("under_way", [True, False])
def test_a_locked_database_costs_a_moment_once(under_way, store, folder, arrays, database, caplog):
    works(store, arrays)
    if not under_way:
        store.close()
    blocker = sqlite3.connect(database(folder), isolation_level=None, check_same_thread=False)
    blocker.execute("BEGIN EXCLUSIVE")
    start = time.monotonic()
    with caplog.at_level(logging.WARNING):
        for seed in range(50):
            works(store, arrays, seed)
    waited = time.monotonic() - start
    blocker.execute("ROLLBACK")
    blocker.close()
    assert waited < 4  # one wait of a second; the rest is left for a busy machine
    assert len(warnings_of(caplog)) == 1
    store._paused_until = 0.0
    works(store, arrays, 99)
    assert store.get({"k": 1, "seed": 99}) is not None


def test_a_short_lock_is_waited_for(store, folder, arrays, database):
    works(store, arrays)
    blocker = sqlite3.connect(database(folder), isolation_level=None, check_same_thread=False)
    blocker.execute("BEGIN EXCLUSIVE")
    timer = threading.Timer(0.2, lambda: blocker.execute("ROLLBACK"))
    timer.start()
    works(store, arrays, 1)
    timer.join()
    blocker.close()
    assert store.stats()["faults"] == 0
    assert store.get({"k": 1, "seed": 1}) is not None


def test_diskcache_does_not_repeat_for_a_minute_on_a_locked_database(
    store, folder, arrays, database
):
    works(store, arrays)
    blocker = sqlite3.connect(database(folder), isolation_level=None)
    blocker.execute("BEGIN EXCLUSIVE")
    start = time.monotonic()
    # diskcache's own loops, one for statements and one for opening, wait up to 60 s.
    assert store.stats()["entries"] == 0
    with pytest.raises(sqlite3.OperationalError):
        BoundedCache(str(database(folder).parent), disk=EnvelopeDisk)
    assert time.monotonic() - start < 10
    blocker.close()


def test_waits_are_bounded(store, arrays):
    works(store, arrays)
    assert store._cache.timeout == WAIT_SEC <= 2


def test_a_lock_is_no_damage_wherever_diskcache_meets_it(store, arrays, folder, database):
    works(store, arrays)
    blocker = sqlite3.connect(database(folder), isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")  # readers go on, writers wait
    store._cache.size_limit = 1
    for act in (store._cache.cull, lambda: store._cache.delete("0" * 64)):
        with pytest.raises(Timeout) as caught:
            act()
        assert not is_damage(caught.value)
        assert reason(caught.value) == "database is locked"
    blocker.close()
