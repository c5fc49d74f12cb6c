"""A data set whose records are explained already, for the pages that evaluate."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from ecgxai_core.case import Case
from ecgxai_core.explainers import params_for
from ecgxai_core.models.loading import LazyClassifier
from ecgxai_core.params import profile, profile_with
from ecgxai_core.pipeline.explain import Explained, explain_case, fused_map
from ecgxai_core.pipeline.extra_beat import extra_beat_test
from ecgxai_core.pipeline.run.request import RunRequest, choose_records
from ecgxai_core.pipeline.run.run import run_pipeline
from ecgxai_core.records.read import read_record
from ecgxai_core.settings import settings
from ecgxai_core.store.cache import Store
from tests.small import AF, write_data, write_model

REPO = Path(__file__).resolve().parents[2]
QUICK = ["n_coalitions=32", "n_lead_coalitions=16", "top_events=2", "deletion_steps=4",
         "n_bootstrap=100"]  # fmt: skip
METHODS = profile("default").methods
EXPLAINED, SHAKEN = ("T000", "T002"), "T000"
"""Records whose explanations are cached, and the one whose extra-beat experiment is too."""


@lru_cache(maxsize=1)
def folder() -> Path:
    """Made once a process: ``data``, ``models``, ``cache``."""
    root = Path(tempfile.mkdtemp(prefix="ecgxai-evaluated-"))
    write_data(root / "data", 4)
    classifier = LazyClassifier(write_model(root / "models"))
    chosen = profile("default")
    params = params_for(chosen, METHODS)
    store = Store(root / "cache", int(1e9))
    for name in EXPLAINED:
        record = read_record(root / "data" / f"{name}.hea")
        found = explain_case(Case(record, classifier, AF), params, store)
        if name == SHAKEN:
            whole = Explained(found, fused_map(found, chosen))
            extra_beat_test(Case(record, classifier, AF), whole, chosen, store)
    store.close()
    return root


@lru_cache(maxsize=1)
def finished_run() -> Path:
    """A finished run over the same records, with quick parameters."""
    root = folder()
    settings_ = profile_with(profile("default"), QUICK)
    model, out = root / "models" / "tiny.keras", root / "runs" / "first"
    request = RunRequest(root / "data", model, out, settings_, choose_records())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ECGXAI_CACHE_DIR", str(root / "run-cache"))
        settings.cache_clear()
        run_pipeline(request)
    settings.cache_clear()
    return root / "runs"


@contextmanager
def environment(monkeypatch: pytest.MonkeyPatch, **changes: str) -> Iterator[Path]:
    """Folders of the dashboard, with a copy of the cache: what a test adds, no other test finds."""
    root = folder()
    with tempfile.TemporaryDirectory(prefix="ecgxai-cache-", ignore_cleanup_errors=True) as own:
        usual = {
            "ECGXAI_DATA": str(root / "data"),
            "ECGXAI_MODELS": str(root / "models"),
            "ECGXAI_CACHE_DIR": str(shutil.copytree(root / "cache", Path(own) / "cache")),
            "ECGXAI_RUNS": "",
        }
        for name, value in {**usual, **changes}.items():
            monkeypatch.setenv(name, value)
        settings.cache_clear()
        st.cache_resource.clear()
        yield root
    settings.cache_clear()
    st.cache_resource.clear()


def opened(page: str, **query: str) -> AppTest:
    """A page alone, run until the jobs that it waits for have ended."""
    at = AppTest.from_file(str(REPO / "pages" / f"{page}.py"), default_timeout=180)
    for name, value in query.items():
        at.query_params[name] = value
    return settled(at.run())


def unfolded(at: AppTest, panel: str) -> AppTest:
    """The page with a panel open whose contents are made only then."""
    at.session_state[panel] = True
    return settled(at.run())


def settled(at: AppTest) -> AppTest:
    """Run again while a job is being shown."""
    import time

    for _ in range(1000):
        if not any(button.label == "Cancel" for button in at.button):
            break
        time.sleep(0.25)
        at.run()
    assert not at.exception, [item.value for item in at.exception]
    return at


def viewers(at: AppTest) -> list[dict[str, Any]]:
    """The data of every ECG viewer on the page."""
    found = [json.loads(item.proto.json or "null") for item in at.get("bidi_component")]
    return [data for data in found if isinstance(data, dict) and "record" in data]


def texts(at: AppTest) -> str:
    """All text that a reader sees, joined."""
    parts: list[Any] = [*at.markdown, *at.caption, *at.info, *at.warning, *at.error, *at.subheader]
    return "\n".join(str(part.value) for part in parts)
