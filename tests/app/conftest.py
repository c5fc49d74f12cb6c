"""The dashboard on a tiny data set and model, without a browser."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app.shell.server_settings import server_settings
from ecgxai_core.settings import settings
from tests.app.evaluated import environment
from tests.small import write_data, write_model

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with ``data`` (four records), ``models`` (one) and ``empty`` (nothing)."""
    folder = tmp_path_factory.mktemp("tiny")
    write_data(folder / "data", 4)
    write_model(folder / "models")
    (folder / "empty").mkdir()
    return folder


@pytest.fixture
def folders(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Path]]:
    """``folders(data=..., models=...)`` sets where the dashboard finds things."""

    def use(data: str = "data", models: str = "models", **paths: Path) -> Path:
        monkeypatch.setenv("ECGXAI_DATA", str(paths.get("path", tiny / data)))
        monkeypatch.setenv("ECGXAI_MODELS", str(tiny / models))
        monkeypatch.setenv("ECGXAI_CACHE_DIR", str(tmp_path / "cache"))
        monkeypatch.setenv("ECGXAI_WARM", "0")
        server_settings.cache_clear()
        if models == "empty":  # nor the shipped ones
            monkeypatch.setattr("app.data.services.assets_dir", lambda: tiny / "empty")
        settings.cache_clear()
        st.cache_resource.clear()
        return tiny

    yield use
    settings.cache_clear()
    st.cache_resource.clear()


@pytest.fixture
def evaluated_folders(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the dashboard finds records that are explained already; the folder of all of it."""
    with environment(monkeypatch) as root:
        yield root


def open_page(name: str, *, navigation: bool = False, **query: str) -> AppTest:
    """A page in a session of its own, run until no job is under way."""
    file = "app/main.py" if navigation else f"pages/{name}.py"
    app = AppTest.from_file(str(REPO / file), default_timeout=180)
    for key, value in query.items():
        app.query_params[key] = value
    app.run()
    if navigation and name != "start":
        app.switch_page(str(REPO / "pages" / f"{name}.py")).run()
    return settle(app)


def settle(app: AppTest, seconds: float = 240) -> AppTest:
    """Run again until no job is shown, under way or waiting."""
    for _ in range(int(seconds / 0.3)):
        if not app.get("progress") and not any(one.label == "Cancel" for one in app.button):
            return app
        time.sleep(0.3)
        app.run()
    raise AssertionError("a job does not end")


def texts(app: AppTest) -> str:
    """Everything that is written on the page."""
    kinds = ("markdown", "caption", "info", "warning", "error", "title", "subheader")
    return "\n".join(str(item.value) for kind in kinds for item in app.get(kind))


def tables(app: AppTest) -> list[Any]:
    """All tables as data frames."""
    return [item.value for item in app.dataframe]
