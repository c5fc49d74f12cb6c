"""The demonstration: simulated records and one real ECG, where the command line and the dashboard
find them."""

from __future__ import annotations

import shutil
from pathlib import Path

from ecgxai_core.progress import Progress, no_progress
from ecgxai_core.settings import settings

__all__ = ["demonstration_folder", "demonstration_run", "write_demonstration"]

_SIZE, _SEED = 60, 1
_COMPLETE = ".complete"


def demonstration_folder() -> Path:
    """Folder of its records."""
    return settings().cache_dir / "demonstration"


def demonstration_run() -> Path:
    """Folder of its run, among the runs that the dashboard shows."""
    return settings().cache_dir / "runs" / "demonstration"


def write_demonstration(progress: Progress = no_progress) -> Path:
    """Write its records where they are not there: simulated ones, and the 12-lead DICOM ECG that
    ships with pydicom. Returns their folder.

    Raises
    ------
    ParameterError
        The folder cannot be written.
    """
    from ecgxai_core.simulation.dataset import write_set

    folder = demonstration_folder()
    if (folder / _COMPLETE).is_file():
        return folder

    def simulated(done: int, total: int) -> None:
        progress(done, total, "simulating the demonstration set")

    write_set(folder, _SIZE, _SEED, progress=simulated)
    from pydicom.data import get_testdata_file

    real = get_testdata_file("waveform_ecg.dcm", download=False)
    if isinstance(real, str):
        shutil.copyfile(real, folder / "waveform_ecg.dcm")
    (folder / _COMPLETE).touch()
    return folder
