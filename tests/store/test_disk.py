"""diskcache's serialisation, without pickle and without files."""

from __future__ import annotations

import sqlite3

import pytest
from diskcache.core import MODE_BINARY, MODE_PICKLE, MODE_RAW, MODE_TEXT

from ecgxai_core.errors import CacheError
from ecgxai_core.store.database import EnvelopeDisk
from ecgxai_core.store.envelope import MAGIC, MAX_ENVELOPE_BYTES

KEY = "0" * 64


@pytest.fixture
def disk(tmp_path):
    return EnvelopeDisk(str(tmp_path))


def test_an_envelope_lies_in_the_row(disk):
    size, mode, filename, value = disk.store(MAGIC + b"x", False, key=KEY)
    assert (size, mode, filename) == (0, MODE_RAW, None)
    assert disk.fetch(mode, filename, bytes(value), False) == MAGIC + b"x"


@pytest.mark.parametrize("value", [b"", b"plain", "text", 3, 3.0, None, {"a": 1}, [MAGIC]])
def test_nothing_else_is_stored(disk, value, tmp_path):
    with pytest.raises(CacheError):
        disk.store(value, False, key=KEY)
    assert list(tmp_path.iterdir()) == []


def test_an_oversized_envelope_is_not_stored(disk):
    with pytest.raises(CacheError):
        disk.store(MAGIC + b"\0" * MAX_ENVELOPE_BYTES, False, key=KEY)


def test_pickles_texts_and_files_are_refused_unread(disk, bomb, tmp_path):
    data, went_off = bomb
    (tmp_path / "planted.val").write_bytes(data)
    for mode in (MODE_PICKLE, MODE_BINARY, MODE_TEXT, MODE_RAW, None, 99):
        for filename, value in (("planted.val", None), (None, data), ("/etc/passwd", None)):
            with pytest.raises(CacheError):
                disk.fetch(mode, filename, value, False)
    for mode, filename in ((MODE_PICKLE, None), (MODE_BINARY, None), (MODE_RAW, "planted.val")):
        with pytest.raises(CacheError):
            disk.fetch(mode, filename, MAGIC + b"x", False)
    with pytest.raises(CacheError):
        disk.get(sqlite3.Binary(data), False)
    assert not went_off()


@pytest.mark.parametrize(
    "key", ["", "0" * 63, "G" * 64, b"0" * 64, 5, None, ("0" * 64,), KEY + "\n"]
)
def test_other_keys_are_refused(disk, key):
    with pytest.raises(CacheError):
        disk.put(key)


def test_a_file_that_a_row_names_is_never_removed(disk, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("keep")
    disk.remove("victim")
    disk.remove(str(victim))
    assert victim.read_text() == "keep"
