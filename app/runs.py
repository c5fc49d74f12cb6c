"""Finished runs that pages show: of the operator's folders, and those that were imported."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from ecgxai_core.pipeline.finished import FinishedRun, read_finished_run
from ecgxai_core.settings import settings

__all__ = ["RunChoice", "imported_folder", "read", "runs"]

_MOST_RUNS = 100


@dataclass(frozen=True, slots=True)
class RunChoice:
    """A run directory; ``imported``: a copy that the settings page made."""

    name: str
    path: Path
    imported: bool = False


def imported_folder() -> Path:
    """Where imported runs are kept."""
    return settings().cache_dir / "runs"


def runs() -> tuple[RunChoice, ...]:
    """Finished runs in the folders of ``ECGXAI_RUNS`` (run directories, or folders of them;
    separated as in ``PATH``), then the imported ones."""
    named: dict[str, RunChoice] = {}
    given = [Path(text) for text in os.environ.get("ECGXAI_RUNS", "").split(os.pathsep) if text]
    for folder in (*given, imported_folder()):
        inside = sorted(folder.iterdir()) if folder.is_dir() else ()
        for path in (folder, *inside):
            if (path / "manifest.json").is_file() and len(named) < _MOST_RUNS:
                name = path.name
                while name in named:
                    name += "'"
                named[name] = RunChoice(name, path, folder == imported_folder())
    return tuple(named.values())


def read(choice: RunChoice) -> FinishedRun:
    """The tables of a run, kept in memory while its manifest stays as it is.

    Raises
    ------
    RunError
        It is not finished, or damaged.
    """
    return _read(str(choice.path), (choice.path / "manifest.json").stat().st_mtime_ns)


@st.cache_resource(show_spinner=False, max_entries=16)
def _read(path: str, *_stamps: int) -> FinishedRun:
    return read_finished_run(Path(path))
