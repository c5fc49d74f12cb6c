"""Finished runs that pages show: of the operator's folders, and imported ones.

An imported run is a checked copy beside the cache: only files that a run writes are copied, into a
folder of their own. Nothing of it reaches a cache: it is a result of others, with its own digests.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from app.shell.server_settings import needs_operator
from ecgxai_core.errors import RunError, cannot_be_written
from ecgxai_core.pipeline.run.finished import FinishedRun, read_finished_run
from ecgxai_core.pipeline.run.units import UNIT_FOLDER
from ecgxai_core.settings import settings

_MOST_RUNS = 100
_FILES = (
    "manifest.json",
    "request.json",
    "sel_df.csv",
    "predictions.csv",
    "df_eval_attauc_deletion.csv",
    "df_eval_stability.csv",
    "summary_per_class.csv",
    "failures.csv",
    "ledger.jsonl",
)
_MOST_BYTES = 2 << 30


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


def import_run(path: Path) -> FinishedRun:
    """Check a run directory and copy it, so that the Evaluation and Stability pages can show it.

    Raises
    ------
    RunError
        It holds no finished run, its tables are not as the run left them, it is larger than 2 GB,
        a run of that name is there already, the copy cannot be written, or a visitor asks.
    """
    needs_operator()
    source = path.expanduser().resolve()
    run = read_finished_run(source)
    if run.altered:
        raise RunError(
            source.name, run.altered[0], "was changed after the run ended", "repeat the run"
        )
    files = _files(source)
    if sum(file.stat().st_size for file in files) > _MOST_BYTES:
        raise RunError(source.name, "", "is larger than 2 GB", "name it in ECGXAI_RUNS instead")
    dest = imported_folder() / source.name
    if dest.exists():
        raise RunError(source.name, "", "is there already", "take the old one off the list first")
    try:
        imported_folder().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".import-", dir=imported_folder()) as name:
            part = Path(name) / source.name
            for file in files:
                target = part / file.relative_to(source)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
            part.rename(dest)
    except OSError as error:
        raise RunError(
            source.name, "", cannot_be_written(dest, error), "free space there"
        ) from None
    return read_finished_run(dest)


def forget_run(choice: RunChoice) -> None:
    """Delete the copy of a run; the run that it was copied from stays."""
    needs_operator()
    if choice.imported and choice.path.parent == imported_folder():
        shutil.rmtree(choice.path, ignore_errors=True)


def _files(source: Path) -> list[Path]:
    """Files of a run that are there; links are not followed."""
    units = sorted((source / UNIT_FOLDER).glob("*.safetensors"))
    every = [*(source / name for name in _FILES), *units]
    return [file for file in every if file.is_file() and not file.is_symlink()]
