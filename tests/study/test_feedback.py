"""Feedback: nothing is lost, changed or seen by the wrong session."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from ecgxai_core.study.feedback import (
    SCHEMA,
    Feedback,
    FeedbackError,
    FeedbackStore,
    feedback,
    summary,
)

REPO = Path(__file__).resolve().parents[2]


def item(**changes) -> Feedback:
    values = {
        "record": "A0001", "record_digest": "a" * 64, "model": "m", "model_digest": "b" * 64,
        "target": "164889003", "probability": 0.9, "map": "fused", "map_digest": "c" * 64,
        "settings": {"topk": 3},
        "answer": {
            "verdict": "disagree", "diagnosis": "flutter", "relevance": -2, "helpfulness": 1,
            "harm": True, "comment": "P waves in V1",
            "regions": [{"lead": "V1", "from_sec": 1.0, "to_sec": 1.2, "kind": "missing",
                         "wave": "P"}],
            "rater": {"pseudonym": "r1", "role": "cardiologist", "years": 12},
            "seconds": {"read": 20.5, "rate": 4.0},
        },
    }  # fmt: skip
    answer = {**values["answer"], **changes.pop("answer", {})}
    return feedback(**{**values, **changes, "answer": answer})


@pytest.fixture
def store(tmp_path) -> FeedbackStore:
    return FeedbackStore(tmp_path / "new" / "feedback.sqlite")


def test_an_answer_comes_back_whole(store):
    assert store.rows() == []
    number = store.add(item(), "s1")
    (row,) = store.rows()
    assert row["id"] == number
    assert not row["withdrawn"]
    kept = {key: row[key] for key in Feedback.model_fields}
    assert feedback(**kept) == item()
    frame = store.frame()
    assert frame.loc[0, "rater_years"] == 12
    assert frame.loc[0, "seconds"] == 24.5
    assert json.loads(frame.loc[0, "regions"])[0]["lead"] == "V1"


@pytest.mark.parametrize(
    ("called", "verdict", "present"),
    [(True, "agree", True), (True, "disagree", False), (False, "agree", False),
     (False, "disagree", True), (True, "unsure", None), (None, "agree", None)],
)  # fmt: skip
def test_what_a_verdict_says_of_the_target(store, called, verdict, present):
    store.add(item(called=called, answer={"verdict": verdict}), "s1")
    assert store.frame().loc[0, "present"] is present or store.frame().loc[0, "present"] == present


def test_sessions_see_and_take_back_their_own_only(store):
    number = store.add(item(), "s1")
    store.add(item(), "s2")
    assert [row["id"] for row in store.rows("s1")] == [number]
    with pytest.raises(FeedbackError, match="was not given in this session"):
        store.withdraw(number, "s2")
    store.withdraw(number, "s1")
    assert [row["withdrawn"] for row in store.rows("s1")] == [True]
    assert len(store.rows()) == 2
    assert "session" not in store.frame().columns


def test_no_row_is_changed_or_deleted(store):
    store.add(item(), "s1")
    with sqlite3.connect(store.path) as con:
        for statement in ("UPDATE entries SET body = '{}'", "DELETE FROM entries"):
            with pytest.raises(sqlite3.IntegrityError, match="never"):
                con.execute(statement)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"answer": {"verdict": "maybe"}}, "answer.verdict"),
        ({"answer": {"relevance": 4}}, "answer.relevance"),
        ({"answer": {"comment": "x" * 2001}}, "answer.comment"),
        ({"answer": {"regions": [{"lead": "V9", "from_sec": 0, "to_sec": 1, "kind": "wrong"}]}},
         "answer.regions.0.lead"),
        ({"record_digest": "short"}, "record_digest"),
        ({"probability": float("nan")}, "probability"),
        ({"patient": "Doe"}, "patient"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(changes, field):
    with pytest.raises(FeedbackError) as caught:
        item(**changes)
    assert caught.value.field == field


def test_a_file_that_is_no_store_is_refused_by_name_and_kept(tmp_path):
    path = tmp_path / "feedback.sqlite"
    path.write_bytes(b"no database" * 100)
    for call in (lambda s: s.rows(), lambda s: s.add(item(), "s")):
        with pytest.raises(FeedbackError, match=r"feedback\.sqlite.*cannot be used"):
            call(FeedbackStore(path))
    assert path.read_bytes() == b"no database" * 100


def test_answers_of_a_newer_version_are_refused_by_name(store):
    store.add(item(), "s")
    with sqlite3.connect(store.path) as con:
        con.execute("INSERT INTO entries VALUES ('x', '2030', 's', ?, NULL, '{}')", (SCHEMA + 1,))
    with pytest.raises(FeedbackError, match="newer"):
        store.rows()


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(FeedbackError, match="cannot be written"):
        FeedbackStore(tmp_path / "file" / "feedback.sqlite").add(item(), "s")


def test_the_summary_counts_what_was_not_taken_back(store):
    store.add(item(), "s1")
    store.add(item(answer={"verdict": "agree", "relevance": 2, "harm": False}), "s1")
    gone = store.add(item(answer={"verdict": "unsure"}), "s1")
    store.withdraw(gone, "s1")
    store.add(item(map="timeshap", answer={"relevance": None}), "s2")
    table = summary(store.frame()).set_index("map")
    fused = table.loc["fused"]
    assert (fused["n"], fused["agree"], fused["disagree"], fused["unsure"]) == (2, 1, 1, 0)
    assert (fused["harm"], fused["relevance"], fused["raters"]) == (1, 0.0, 1)
    assert pd.isna(table.loc["timeshap", "relevance"])
    assert summary(FeedbackStore(store.path.with_name("none")).frame()).empty


WRITER = """
import sys
from pathlib import Path
from tests.study.test_feedback import item
from ecgxai_core.study.feedback import FeedbackStore
store = FeedbackStore(Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    print(store.add(item(), sys.argv[3]), flush=True)
"""


def writer(path: Path, count: int, session: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(count), session],
        cwd=REPO, text=True, stdout=subprocess.PIPE,
    )  # fmt: skip


def test_four_writers_lose_and_double_nothing(store):
    processes = [writer(store.path, 250, f"s{n}") for n in range(4)]
    said = [process.communicate(timeout=120)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    numbers = [number for part in said for number in part]
    assert len(numbers) == len(set(numbers)) == 1_000
    assert sorted(row["id"] for row in store.rows()) == sorted(numbers)


@pytest.mark.parametrize("after_sec", [0.0, 0.05, 0.2])
def test_what_was_confirmed_survives_a_kill(store, after_sec):
    process = writer(store.path, 100_000, "s")
    assert process.stdout is not None
    first = process.stdout.readline().strip()
    time.sleep(after_sec)
    os.kill(process.pid, signal.SIGKILL)
    confirmed = [first, *process.stdout.read().split()]
    process.wait()
    kept = [row["id"] for row in store.rows()]
    assert len(kept) == len(set(kept))
    whole = {number for number in confirmed if len(number) == 32}  # the last line may be cut
    assert whole <= set(kept)
    assert len(kept) - len(whole) <= 1
    store.add(item(), "later")
    assert len(store.rows()) == len(kept) + 1
