"""The command line in this process: what it prints and the exit code it gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ecgxai_core.cli.main import run_cli
from ecgxai_core.settings import settings
from tests.small import write_data, write_model

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """``code, out, err = cli("predict", ...)`` with a cache of its own."""
    monkeypatch.setenv("ECGXAI_CACHE_DIR", str(tmp_path / "cache"))
    settings.cache_clear()

    def run(*arguments: object) -> tuple[int, str, str]:
        code = run_cli([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    yield run
    settings.cache_clear()


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("tiny") / "data", 4)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"))
