"""Files that are old or new, never in between."""

from __future__ import annotations

import io
import json
import os
import resource
import signal
import struct
import time
from multiprocessing import get_context

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from ecgxai_core.errors import RunError
from ecgxai_core.store import atomic
from ecgxai_core.store.atomic import (
    csv_bytes,
    read_arrays,
    remove_temporaries,
    write_arrays_atomic,
    write_bytes_atomic,
    write_csv_atomic,
    write_json_atomic,
)
from ecgxai_core.store.csv_cells import original

fork = get_context("fork")


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "a.txt"
    write_bytes_atomic(path, b"old")
    write_bytes_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_the_file_is_on_the_disk_before_its_name_is(tmp_path, monkeypatch):
    order = []
    monkeypatch.setattr(atomic.os, "fsync", lambda _: order.append("fsync"))
    replace = os.replace
    monkeypatch.setattr(atomic.os, "replace", lambda *a: (order.append("rename"), replace(*a))[1])
    write_bytes_atomic(tmp_path / "a", b"x")
    assert order == ["fsync", "rename", "fsync"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a"
    write_bytes_atomic(path, b"old")

    def fail(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    for name in ("fsync", "replace"):  # a full disk: the test below
        with monkeypatch.context() as patch:
            patch.setattr(atomic.os, name, fail)
            with pytest.raises(RunError, match="No space left") as caught:
                write_bytes_atomic(path, b"new" * 1000)
        assert path.read_bytes() == b"old"
        assert os.listdir(tmp_path) == ["a"]
        assert str(tmp_path) not in str(caught.value)
        assert f"the folder '{tmp_path.name}'" in str(caught.value)


def _no_room(path, result) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    try:
        write_bytes_atomic(path, b"n" * 5000)
    except RunError as error:
        result.put(str(error))


def test_no_room_on_the_disk(tmp_path):
    path = tmp_path / "a"
    write_bytes_atomic(path, b"old")
    result = fork.SimpleQueue()
    process = fork.Process(target=_no_room, args=(path, result))
    process.start()
    process.join(30)
    assert "cannot be written" in result.get()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("where", ["missing/a", "file/a", "folder"])
def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path, where):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(RunError, match="cannot be written"):
        write_bytes_atomic(tmp_path / where, b"x")


def _rewrite(path, started) -> None:
    for number in range(10**9):
        write_bytes_atomic(path, bytes([number % 251]) * 200_000)
        if number == 3:
            started.set()


@pytest.mark.parametrize("round_number", range(6))
def test_kill_9_leaves_the_old_or_the_new_content(tmp_path, round_number):
    path = tmp_path / "a"
    started = fork.Event()
    writer = fork.Process(target=_rewrite, args=(path, started))
    writer.start()
    assert started.wait(30)
    time.sleep(0.003 * round_number)
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    data = path.read_bytes()
    assert len(data) == 200_000
    assert len(set(data)) == 1
    remove_temporaries(tmp_path)
    assert os.listdir(tmp_path) == ["a"]


def test_only_temporaries_are_removed(tmp_path):
    (tmp_path / "deep").mkdir()
    left = [tmp_path / ".writing-0123456789abcdef", tmp_path / "deep" / ".writing-fedcba9876543210"]
    kept = [tmp_path / ".writing", tmp_path / "deep" / "writing-0123456789abcdef"]
    for path in left + kept:
        path.write_text("x")
    assert remove_temporaries(tmp_path) == 2
    assert all(path.exists() for path in kept)
    assert not any(path.exists() for path in left)


def test_json_is_sorted_indented_and_strict(tmp_path):
    path = tmp_path / "a.json"
    write_json_atomic(path, {"b": np.float64(0.1), "a": [np.int64(1), True, None, "é"]})
    text = path.read_text()
    assert text == '{\n  "a": [\n    1,\n    true,\n    null,\n    "\\u00e9"\n  ],\n  "b": 0.1\n}\n'
    assert json.loads(text) == {"a": [1, True, None, "é"], "b": 0.1}
    for bad, error in (
        (float("nan"), ValueError),
        (np.float32("inf"), ValueError),
        ({1, 2}, TypeError),
    ):
        with pytest.raises(error):
            write_json_atomic(path, {"a": bad})
    assert path.read_text() == text


# ---------------------------------------------------------------- tables


@settings(deadline=None, max_examples=60)
@given(npst.arrays(np.float64, st.integers(0, 30), elements=st.floats(width=64)))
def test_floats_in_a_table_round_trip(values):
    data = csv_bytes(pd.DataFrame({"i": np.arange(len(values)), "x": values}))
    back = pd.read_csv(io.BytesIO(data), float_precision="round_trip", dtype={"x": float})
    assert np.array_equal(back["x"].to_numpy(), values, equal_nan=True)
    assert csv_bytes(back) == data or not len(values)


@settings(deadline=None, max_examples=60)
@given(npst.arrays(np.float32, st.integers(1, 10), elements=st.floats(width=32)))
def test_single_precision_is_as_short_as_it_can_be(values):
    data = csv_bytes(pd.DataFrame({"i": 0, "x": values}))
    back = pd.read_csv(io.BytesIO(data), float_precision="round_trip")
    assert np.array_equal(back["x"].to_numpy(np.float32), values, equal_nan=True)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text().filter(lambda t: "\0" not in t and t), min_size=1))
def test_texts_in_a_table_round_trip(values):
    import csv

    values = [value.encode("utf-8", "ignore").decode() or "x" for value in values]
    data = csv_bytes(pd.DataFrame({"n": range(len(values)), "t": values}))
    rows = list(csv.reader(io.StringIO(data.decode(), newline="")))
    assert [original(row[1]) for row in rows[1:]] == values


def test_a_table_looks_like_this(tmp_path):
    frame = pd.DataFrame(
        {
            "record": ["A0001", "a,b", 'say "x"', None],
            "whole": np.array([1, 2, 3, 4]),
            "x": [0.1, np.nan, np.inf, 1e-300],
            "f": np.array([0.1, 2, 3, 4], np.float32),
            "yes": [True, False, True, False],
            "list": [["I", "II"], (1, 2.5), {"b": 1, "a": None}, np.array([1.5])],
            "maybe": pd.array([1, None, 3, 4], dtype="Int64"),
        },
        index=[9, 8, 7, 6],
    )
    path = tmp_path / "t.csv"
    write_csv_atomic(path, frame)
    assert path.read_bytes() == (
        b"record,whole,x,f,yes,list,maybe\n"
        b'A0001,1,0.1,0.1,True,"[""I"",""II""]",1\n'
        b'"a,b",2,,2.0,False,"[1,2.5]",\n'
        b'"say ""x""",3,inf,3.0,True,"{""a"":null,""b"":1}",3\n'
        b",4,1e-300,4.0,False,[1.5],4\n"
    )


def test_an_empty_table_has_its_header():
    assert csv_bytes(pd.DataFrame({"a": [], "b": []})) == b"a,b\n"
    with pytest.raises(TypeError):
        csv_bytes(pd.DataFrame({"a": [object()]}))


# ---------------------------------------------------------------- arrays


def test_arrays_round_trip_with_the_same_bytes(tmp_path, arrays):
    path, twin = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    write_arrays_atomic(path, arrays, {"b": 1, "a": [0.1, None]})
    write_arrays_atomic(twin, dict(reversed(arrays.items())), {"a": [0.1, None], "b": 1})
    assert path.read_bytes() == twin.read_bytes()
    entry = read_arrays(path)
    assert entry.meta == {"a": [0.1, None], "b": 1}
    for name, array in arrays.items():
        assert np.array_equal(entry.arrays[name], array)
    from safetensors.numpy import load_file

    assert np.array_equal(load_file(path)["weights"], arrays["weights"])


def test_every_flipped_byte_is_noticed(tmp_path, arrays):
    path = tmp_path / "a.safetensors"
    write_arrays_atomic(path, arrays, {"a": 1})
    data = path.read_bytes()
    for place in {*range(0, len(data), 97), *range(600), len(data) - 1}:
        bad = bytearray(data)
        bad[place] ^= 1 << (place % 8)
        path.write_bytes(bytes(bad))
        with pytest.raises(RunError):
            read_arrays(path)
    for bad in (b"", data[:-1], data[:100], data + b"x"):
        path.write_bytes(bad)
        with pytest.raises(RunError):
            read_arrays(path)


def test_files_of_others_are_refused(tmp_path, bomb):
    from safetensors.numpy import save

    data, went_off = bomb
    path = tmp_path / "a.safetensors"
    for bad in (
        data,
        save({"a": np.zeros(3)}),
        save({"a": np.zeros(3)}, metadata={"note": "[]"}),
        save({"a": np.zeros(3)}, metadata={"note": '{"meta":{},"sha256":""}'}),
        struct.pack("<Q", 2**62) + b"{}",
    ):
        path.write_bytes(bad)
        with pytest.raises(RunError):
            read_arrays(path)
    assert not went_off()


def test_what_is_too_large_or_no_file_is_not_read(tmp_path):
    path = tmp_path / "big"
    with path.open("wb") as file:
        file.truncate(atomic.MAX_ARRAY_FILE_BYTES + 1)
    os.mkfifo(tmp_path / "pipe")
    for bad in (path, tmp_path / "pipe", tmp_path, tmp_path / "missing"):
        with pytest.raises(RunError):
            read_arrays(bad)
