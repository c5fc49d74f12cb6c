"""The journal: a key is taken once, also by two processes at a time."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys

import pytest

from ecgxai_core.study.journal import Journal
from ecgxai_core.study.protocol import StudyError
from tests.conftest import REPO

WRITER = """
import sys
from pathlib import Path
from ecgxai_core.study.journal import Journal
journal = Journal(Path(sys.argv[1]), 1)
print(sum(journal.add({"by": sys.argv[2]}, key=f"k{i}") is not None for i in range(40)))
"""


def test_a_key_is_taken_once(tmp_path):
    journal = Journal(tmp_path / "j.sqlite", 1)
    assert journal.add({"a": 1}, session="s", key="k") == "k"
    assert journal.add({"a": 2}, session="s", key="k") is None
    (row,) = journal.rows()
    assert (row.key, row.session, row.withdraws, json.loads(row.body)) == ("k", "s", None, {"a": 1})
    assert journal.rows("other") == []
    assert journal.add({}, session="s") not in (None, "k")


def test_two_writers_of_the_same_keys_write_each_once(tmp_path):
    path = tmp_path / "j.sqlite"
    both = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), name],
            cwd=REPO, stdout=subprocess.PIPE, text=True,
        )
        for name in "ab"
    ]  # fmt: skip
    written = [int(one.communicate()[0]) for one in both]
    assert sum(written) == 40
    assert sorted(row.key for row in Journal(path, 1).rows()) == sorted(f"k{i}" for i in range(40))


def test_no_row_is_changed_or_deleted_and_errors_are_of_the_asked_class(tmp_path):
    journal = Journal(tmp_path / "j.sqlite", 1, StudyError)
    journal.add({})
    with sqlite3.connect(journal.path) as con:
        for statement in ("UPDATE entries SET body = '{}'", "DELETE FROM entries"):
            with pytest.raises(sqlite3.IntegrityError, match="never"):
                con.execute(statement)
        con.execute("INSERT INTO entries VALUES ('x', '2030', '', 2, NULL, '{}')")
    with pytest.raises(StudyError, match="newer"):
        journal.rows()
