"""Background jobs: what streamlit does after a run of a page leaves them alone."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from streamlit.runtime.scriptrunner import script_runner
from streamlit.testing.v1 import AppTest

import app.jobs  # noqa: F401  (what it does to streamlit is tested)


def test_the_end_of_a_run_does_not_clear_what_keras_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    cleared: list[bool] = []
    keras = SimpleNamespace(backend=SimpleNamespace(clear_session=lambda: cleared.append(True)))
    monkeypatch.setitem(sys.modules, "keras", keras)
    AppTest.from_string("import streamlit as st; st.write(1)").run()
    assert cleared == []


def test_streamlit_still_has_the_function_that_is_left_out() -> None:
    source = Path(script_runner.__file__).read_text("utf-8")
    assert source.count("_clean_problem_modules") >= 2
