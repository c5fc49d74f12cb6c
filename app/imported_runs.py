"""Finished runs that the Settings page brings in: checked copies beside the cache.

Only files that a run writes are copied, into a folder of their own; what they say reaches no cache,
because it is somebody's result with its own digests.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from app.runs import RunChoice, imported_folder
from ecgxai_core.errors import RunError
from ecgxai_core.pipeline.finished import FinishedRun, read_finished_run
from ecgxai_core.pipeline.units import UNIT_FOLDER

__all__ = ["forget_run", "import_run"]

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


def import_run(path: Path) -> FinishedRun:
    """Check a run directory and copy it, so that the Evaluation and Stability pages can show it.

    Raises
    ------
    RunError
        It holds no finished run, its tables are not as the run left them, it is larger than 2 GB,
        a run of that name is there already, or the copy cannot be written.
    """
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
            source.name, "", f"cannot be copied ({error.strerror})", "free some space"
        ) from None
    return read_finished_run(dest)


def forget_run(choice: RunChoice) -> None:
    """Delete the copy of a run; the run that it was copied from stays."""
    if choice.imported and choice.path.parent == imported_folder():
        shutil.rmtree(choice.path, ignore_errors=True)


def _files(source: Path) -> list[Path]:
    """Files of a run that are there; links are not followed."""
    units = sorted((source / UNIT_FOLDER).glob("*.safetensors"))
    every = [*(source / name for name in _FILES), *units]
    return [file for file in every if file.is_file() and not file.is_symlink()]
