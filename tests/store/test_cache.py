"""The disk cache as its users see it: hits, misses, damage that is never served."""

from __future__ import annotations

import logging
import pickle
import sqlite3
import threading

import numpy as np
import pytest
from diskcache.core import MODE_PICKLE

from ecgxai_core.errors import CacheError
from ecgxai_core.store import Store
from ecgxai_core.store.cache import info
from ecgxai_core.store.envelope import Entry, encode, key_digest

KEY = {"record": "r", "seed": 0}
OTHER = {"record": "r", "seed": 1}
META = {"probability": 0.25, "list": [1, None, "x"]}


def same(entry: Entry | None, arrays) -> bool:
    return (
        entry is not None
        and entry.meta == META
        and set(entry.arrays) == set(arrays)
        and all(np.array_equal(entry.arrays[name], array) for name, array in arrays.items())
    )


def test_what_is_put_comes_back_read_only(store, arrays):
    assert store.get(KEY) is None
    assert store.put(KEY, arrays, META)
    entry = store.get(KEY)
    assert same(entry, arrays)
    assert not any(array.flags.writeable for array in entry.arrays.values())
    facts = store.stats()
    assert (facts["hits"], facts["misses"], facts["entries"], facts["faults"]) == (1, 1, 1, 0)
    assert facts["bytes"] > 0


def test_nothing_happens_on_disk_before_the_first_use(folder):
    Store(folder, 1 << 20)
    assert not folder.exists()
    assert info(folder)["state"] == "absent"
    assert not folder.exists()


def test_another_store_on_the_folder_finds_it(store, folder, arrays):
    store.put(KEY, arrays, META)
    assert same(Store(folder, 1 << 20).get(KEY), arrays)
    assert same(pickle.loads(pickle.dumps(store)).get(KEY), arrays)  # noqa: S301  (our own)


def test_a_computed_value_looks_like_a_stored_one(store, arrays):
    calls = []

    def compute():
        calls.append(1)
        return arrays, {**META, "list": (1, None, "x")}

    for given in (store, Store.disabled()):
        calls.clear()
        first, second = given.get_or_compute(KEY, compute), given.get_or_compute(KEY, compute)
        assert same(first, arrays)
        assert same(second, arrays)
        assert not first.arrays["weights"].flags.writeable
        assert len(calls) == (1 if given is store else 2)
    assert store.stats()["hits"] == 1
    assert store.stats()["misses"] == 1


def test_an_error_of_the_computation_is_passed_on_and_nothing_is_kept(store, folder):
    with pytest.raises(ZeroDivisionError):
        store.get_or_compute(KEY, lambda: 1 // 0)
    assert store.get(KEY) is None
    assert list((folder / "locks").iterdir()) == []


def test_a_computation_may_ask_for_other_keys_and_even_its_own(store, arrays):
    def outer():
        inner = store.get_or_compute(OTHER, lambda: (arrays, META))
        again = store.get_or_compute(KEY, lambda: (arrays, {"again": True}))
        assert again.meta == {"again": True}
        return inner

    assert same(store.get_or_compute(KEY, outer), arrays)
    assert same(store.get(KEY), arrays)


def test_mistakes_of_the_caller_are_raised(store):
    with pytest.raises(TypeError):
        store.put(KEY, {"a": np.array([object()])}, {})
    with pytest.raises(ValueError, match="JSON"):
        store.put(KEY, {}, {"a": float("inf")})
    with pytest.raises(TypeError):
        store.get({"a": {1, 2}})
    assert store.stats()["faults"] == 0


def test_a_disabled_store_holds_nothing(arrays, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = Store.disabled()
    assert not store.put(KEY, arrays, META)
    assert store.get(KEY) is None
    assert store.clear() == 0
    assert store.stats()["misses"] == 1
    assert list(tmp_path.iterdir()) == []


def test_clear_empties_the_folder(store, folder, arrays):
    store.put(KEY, arrays, META)
    store.put(OTHER, arrays, META)
    assert info(folder)["entries"] == 2
    assert store.clear() == 2
    assert store.get(KEY) is None
    assert store.stats()["entries"] == 0
    assert info(folder)["entries"] == 0
    assert store.put(KEY, arrays, META)
    assert same(store.get(KEY), arrays)


def test_clear_by_another_process_is_noticed(store, folder, arrays, caplog):
    store.put(KEY, arrays, META)
    Store(folder, 1 << 20).clear()
    with caplog.at_level(logging.WARNING):
        assert store.get(KEY) is None
        assert store.put(KEY, arrays, META)
    assert same(Store(folder, 1 << 20).get(KEY), arrays)
    assert len(caplog.records) == 1


def test_the_size_limit_holds_and_the_newest_stay(folder):
    limit = 2 << 20
    store = Store(folder, limit)
    block = np.random.default_rng(0).normal(size=8_000)
    for seed in range(100):
        assert store.put({"seed": seed}, {"a": block + seed}, {})
        assert store.stats()["bytes"] <= limit
    assert store.get({"seed": 0}) is None
    assert store.get({"seed": 99}) is not None
    assert 10 < store.stats()["entries"] < 40


def test_large_values_after_many_small_ones_keep_to_the_limit(folder):
    limit = 2 << 20
    store = Store(folder, limit)
    for seed in range(600):
        store.put({"small": seed}, {"a": np.full(400, seed, float)}, {})
    for seed in range(30):
        assert store.put({"large": seed}, {"a": np.full(16_000, seed, float)}, {})
        assert store.stats()["bytes"] <= limit
        assert store.get({"large": seed}) is not None


def test_a_value_larger_than_the_cache_is_not_kept(folder, arrays):
    store = Store(folder, 1 << 20)
    store.put(KEY, arrays, META)
    assert not store.put(OTHER, {"a": np.zeros(1 << 17)}, {})
    assert same(store.get(KEY), arrays)
    entry = store.get_or_compute(OTHER, lambda: ({"a": np.zeros(1 << 17)}, {}))
    assert entry.arrays["a"].nbytes == 1 << 20


def plant(path, key, value, mode=1, filename=None, raw=1) -> None:
    with sqlite3.connect(path) as con:
        changed = con.execute(
            "UPDATE Cache SET value = ?, mode = ?, filename = ? WHERE key = ? AND raw = ?",
            (value, mode, filename, key_digest(key), raw),
        ).rowcount
        if not changed:
            con.execute(
                "INSERT INTO Cache (key, raw, store_time, access_time, mode, filename, value)"
                " VALUES (?, ?, 0, 0, ?, ?, ?)",
                (key_digest(key), raw, mode, filename, value),
            )
    con.close()


def rejected_then_recomputed(store, arrays) -> None:
    before = store.stats()
    assert store.get(KEY) is None
    after = store.stats()
    assert after["rejected"] == before["rejected"] + 1
    assert after["misses"] == before["misses"] + 1
    assert after["faults"] == 0
    assert same(store.get_or_compute(KEY, lambda: (arrays, META)), arrays)
    assert same(store.get(KEY), arrays)


def test_flipped_bits_are_never_served(store, folder, database, arrays):
    store.put(KEY, arrays, META)
    data = encode(KEY, arrays, META)
    for place in range(0, len(data), 97):
        bad = bytearray(data)
        bad[place] ^= 1 << (place % 8)
        plant(database(folder), KEY, bytes(bad))
        rejected_then_recomputed(store, arrays)


def test_entries_of_other_keys_cut_ones_and_empty_ones_are_never_served(
    store, folder, database, arrays
):
    store.put(KEY, arrays, META)
    data = encode(KEY, arrays, META)
    other = encode(OTHER, arrays, {"wrong": True})
    for value in (other, data[:-1], data[:60], data[: len(data) // 2], b"", None, "text", 5):
        plant(database(folder), KEY, value)
        rejected_then_recomputed(store, arrays)


def test_a_planted_pickle_is_never_opened(store, folder, database, arrays, bomb):
    data, went_off = bomb
    store.put(KEY, arrays, META)
    (database(folder).parent / "planted.val").write_bytes(data)
    for mode, filename, value in (
        (MODE_PICKLE, None, data),
        (MODE_PICKLE, "planted.val", None),
        (1, None, data),
        (2, "planted.val", None),
        (3, "/etc/hostname", None),
    ):
        plant(database(folder), KEY, value, mode, filename)
        rejected_then_recomputed(store, arrays)
    plant(database(folder), OTHER, data, MODE_PICKLE, None, raw=0)
    assert store.get(OTHER) is None
    assert not went_off()
    assert (database(folder).parent / "planted.val").exists()


def test_a_planted_file_name_removes_no_file(store, folder, database, arrays, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("keep")
    for act in (
        lambda: store.get(KEY),
        lambda: store.put(KEY, arrays, META),
        lambda: store.clear(),
    ):
        store.put(KEY, arrays, META)
        plant(database(folder), KEY, None, 2, str(victim))
        act()
        assert victim.read_text() == "keep"


def test_a_row_too_large_to_read_is_a_miss(store, folder, database, arrays):
    store.put(KEY, arrays, META)
    with sqlite3.connect(database(folder)) as con:
        con.execute("UPDATE Cache SET value = zeroblob(70000000)")
    con.close()
    assert store.get(KEY) is None
    assert same(store.get_or_compute(KEY, lambda: (arrays, META)), arrays)


def test_threads_share_a_store(store, arrays):
    calls, failures = [], []

    def work() -> None:
        try:
            for seed in range(20):
                entry = store.get_or_compute(
                    {"seed": seed}, lambda: calls.append(1) or (arrays, META)
                )
                assert same(entry, arrays)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(calls) == 20
    assert store.stats()["entries"] == 20
    assert store.stats()["faults"] == 0


def test_info_reads_without_changing(store, folder, arrays, database):
    store.put(KEY, arrays, META)
    store.close()
    before = database(folder).read_bytes()
    facts = info(folder)
    assert facts["state"] == "ok"
    assert facts["entries"] == 1
    assert facts["limit_bytes"] == 1 << 28
    assert database(folder).read_bytes() == before
    database(folder).write_bytes(b"no database" * 100)
    assert info(folder)["state"] == "unusable"
    assert info(folder)["problem"]


def test_the_error_of_an_unsound_entry_is_one_line():
    with pytest.raises(CacheError) as caught:
        raise CacheError("cache entry", "checksum", "does\nnot match", "none")
    assert "\n" not in str(caught.value)
