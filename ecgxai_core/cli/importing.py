"""``ecgxai import``: records of carts, archives and data sets become WFDB records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ecgxai_core.cli.console import progress_bar, say, say_error

__all__ = ["import_"]

_MOST_SHOWN = 20


def import_(
    source: Annotated[Path, typer.Argument(help="file, or folder of files", metavar="SRC")],
    dest: Annotated[Path, typer.Argument(help="folder to write WFDB records to", metavar="DEST")],
    fs: Annotated[
        float | None, typer.Option("--fs", help="sampling rate in Hz, where the file has none")
    ] = None,
    units: Annotated[
        str | None, typer.Option("--units", help="mV, uV or V, where the file has none")
    ] = None,
    leads: Annotated[
        str | None, typer.Option("--leads", help="names in the order of the file: I,II,III,...")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="data set whose arrays are known: sph")
    ] = None,
    keep_patient: Annotated[
        bool, typer.Option("--keep-patient", help="keep names, numbers and dates of patients")
    ] = False,
) -> None:
    """Import SCP-ECG, HL7 aECG, MUSE XML, Philips XML, EDF, HDF5, MATLAB 5, NumPy or CSV files."""
    from ecgxai_core.records.foreign.importing import import_records
    from ecgxai_core.records.foreign.waveform import Given

    names = tuple(name.strip() for name in leads.split(",")) if leads else None
    given = Given(fs=fs, units=units, leads=names, dataset=dataset)
    with progress_bar("import") as report:
        done = import_records(
            source,
            dest,
            given,
            keep_patient=keep_patient,
            progress=lambda number, of: report(number, of, ""),
        )
    for failure in done.failures[:_MOST_SHOWN]:
        say_error(str(failure))
    if len(done.failures) > _MOST_SHOWN:
        say_error(f"{len(done.failures) - _MOST_SHOWN} more files were refused")
    kinds = ", ".join(f"{n} from {title}" for title, n in sorted(done.formats.items()))
    say(f"{len(done.written)} records written to {dest}" + (f": {kinds}" if kinds else ""))
    if done.warnings:
        say("warnings: " + ", ".join(f"{code} {n}" for code, n in sorted(done.warnings.items())))
    if done.failures:
        raise typer.Exit(3 if done.written else 2)
