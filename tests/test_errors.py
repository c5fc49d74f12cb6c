"""Errors are one line that names place, problem and remedy, whatever a hostile file put in them."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgxai_core import errors


def test_an_error_says_where_what_and_what_to_do():
    error = errors.RecordError("a.hea", "fs", "0 Hz is not a sampling rate", "correct line 1")
    assert str(error) == "a.hea: fs: 0 Hz is not a sampling rate. Fix: correct line 1"
    assert isinstance(error, errors.EcgXaiError)


def test_an_empty_field_leaves_no_gap():
    assert str(errors.ModelError("m.keras", "", "is empty", "give a model")).startswith(
        "m.keras: is empty."
    )


@given(st.text(max_size=2000))
def test_any_text_becomes_one_bounded_printable_line(text):
    line = str(errors.RecordError(text, text, text, text))
    assert "\n" not in line
    assert "\x00" not in line
    assert len(line) < 1300


def test_an_error_survives_the_way_back_from_a_worker_process():
    error = errors.RunError("run", "--out", "is not empty", "give another")
    back = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes, as multiprocessing does
    assert str(back) == str(error)
    assert back.fix == "give another"


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name.endswith("Error")])
def test_every_error_is_of_one_tree(name):
    assert issubclass(getattr(errors, name), errors.EcgXaiError)
