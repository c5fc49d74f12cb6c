"""Foreign files into WFDB records of our own: ``ecgxai import``.

Every file is read in a child process, written, and read back. Names, numbers and dates of patients
stay behind unless the caller wants them; where a record came from is said in its header.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ecgxai_core.errors import RecordError
from ecgxai_core.records.foreign.formats import ENDINGS, Imported, foreign_format
from ecgxai_core.records.foreign.waveform import Given
from ecgxai_core.records.guarded import import_guarded
from ecgxai_core.records.read import read_record
from ecgxai_core.records.write import write_record
from ecgxai_core.types import QualityWarning, Record

__all__ = ["ImportSummary", "foreign_files", "import_in_place", "import_records", "write_imported"]

_OURS = {".hea", ".dat", ".xyz", ".dcm", ".dicom"}
_DROPPED_AT_WRITING = "leads_derived"
"""Derived leads are not written: reading derives them again, and says so again."""


@dataclass(slots=True)
class ImportSummary:
    """What became of the files: records written, those refused, formats and warnings met."""

    written: list[Path] = field(default_factory=list)
    failures: list[RecordError] = field(default_factory=list)
    formats: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)


def foreign_files(source: Path) -> list[Path]:
    """The file, or the files of a folder (and below it) that have the ending of a foreign format.

    Raises
    ------
    RecordError
        There is none.
    """
    if not source.is_dir():
        return [source]
    found = [
        Path(place) / name
        for place, _, files in os.walk(source)
        for name in files
        if Path(name).suffix.lower() in ENDINGS
        and not (Path(place) / name).with_suffix(".hea").exists()  # the data of a WFDB record
    ]
    if not found:
        raise RecordError(
            source.name or "folder", "content", f"holds no {', '.join(ENDINGS)} file",
            "give the folder that holds the exported ECGs",
        )  # fmt: skip
    return sorted(found)


def import_records(
    source: Path,
    dest: Path,
    given: Given = Given(),  # noqa: B008 - frozen
    *,
    keep_patient: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ImportSummary:
    """Import a file or a folder of files; a file that is refused does not end the others.

    Parameters
    ----------
    source
        A file, or a folder that is searched with everything below it.
    dest
        Folder to write to; it is made where it does not exist. Records that are there already are
        replaced only by themselves.
    given
        What the files do not say themselves.
    keep_patient
        Whether names, numbers and dates of patients are written into the headers.
    progress
        Called with the number of files done and their number.

    Raises
    ------
    RecordError
        There is no file to import, or ``dest`` cannot be written.
    """
    files = foreign_files(source)
    try:
        dest.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordError(
            dest.name, "folder", f"cannot be made ({error.strerror})", "give another folder"
        ) from None
    summary, digest = ImportSummary(), ""
    for done, file in enumerate(files, start=1):
        try:
            for number, found in enumerate(_records(file, given)):
                digest = _digest(file) if number == 0 else digest
                _refuse_other(dest / f"{found.record.name}.hea", file.name, digest)
                written = write_imported(dest, found, digest, keep_patient=keep_patient)
                summary.written.append(written)
                summary.formats[found.format] += 1
                summary.warnings.update({w.code for w in read_record(written).warnings})
        except RecordError as error:
            summary.failures.append(error)
        if progress is not None:
            progress(done, len(files))
    return summary


def import_in_place(folder: Path) -> None:
    """Replace the foreign files of a folder by WFDB records, without the data of patients.

    Raises
    ------
    RecordError
        A file is refused, holds several records, or has the name of another record.
    """
    for file in sorted(folder.iterdir()):
        suffix, header = file.suffix.lower(), file.with_suffix(".hea")
        data_of_a_record = suffix == ".mat" and header.exists()
        if suffix in _OURS or data_of_a_record or (not suffix and foreign_format(file) is None):
            continue
        if header.exists():
            raise RecordError(
                file.name, "name", "is the name of another record too", "rename one of them"
            )
        found = import_guarded(file, Given())
        if found.n_records > 1:
            raise RecordError(
                file.name, "records", f"holds {found.n_records} records; one is taken at a time",
                "import it first: ecgxai import SRC DEST",
            )  # fmt: skip
        write_imported(folder, found, _digest(file))
        file.unlink()


def _records(file: Path, given: Given) -> Iterator[Imported]:
    """The records of a file, one after the other."""
    first = import_guarded(file, given)
    yield first
    for index in range(given.index + 1, first.n_records):
        yield import_guarded(file, replace(given, index=index))


def _refuse_other(header: Path, file: str, digest: str) -> None:
    """A record of this name that came from elsewhere stays as it is."""
    if header.exists() and digest not in header.read_text("utf-8", "replace"):
        raise RecordError(
            file, "name", f"{header.name} is there already, from another file",
            "import into another folder, or rename the file",
        )  # fmt: skip


def _digest(file: Path) -> str:
    sha = hashlib.sha256()
    with open(file, "rb") as stream:
        while block := stream.read(1 << 20):
            sha.update(block)
    return sha.hexdigest()


def write_imported(
    folder: Path, found: Imported, digest: str, *, keep_patient: bool = False
) -> Path:
    """Write one imported record, and make sure that it reads back as it was.

    Parameters
    ----------
    folder
        Where to write.
    found
        What was read.
    digest
        SHA-256 of the source, so that it can be found again without its name.
    keep_patient
        Whether names, numbers and dates are written.

    Raises
    ------
    RecordError
        The record cannot be written, or does not read back.
    """
    from ecgxai_core import __version__

    record = found.record
    derived = {x for w in record.warnings if w.code == _DROPPED_AT_WRITING for x in w.leads}
    rows = [n for n, lead in enumerate(record.leads) if lead not in derived]
    assert record.adc_gain is not None
    comments = [
        f"Source: {found.format}, sha256 {digest}",
        f"Imported: ecgxai {__version__}",
        *(_comment(warning) for warning in record.warnings if warning.code in _LASTING),
        *(f"{key}: {text}" for key, text in found.patient.items() if keep_patient),
    ]
    header = write_record(
        folder,
        record.name,
        record.signal[rows],
        record.fs,
        [record.leads[n] for n in rows],
        age=record.age,
        sex=record.sex,
        gain=[record.adc_gain[n] for n in rows],
        fmt="dat",
        comments=comments,
    )
    _check_written(header, record)
    return header


_LASTING = frozenset(
    {"leads_left_out", "lead_turned", "calibration_left_out", "channel_status", "outside_range"}
)
"""Warnings that the written record cannot give again by itself."""


def _comment(warning: QualityWarning) -> str:
    """The form that :func:`ecgxai_core.records.metadata.parse_comments` reads."""
    leads = f" ({', '.join(warning.leads)})" if warning.leads else ""
    return f"Warning: {warning.code}: {warning.message}{leads}"


def _check_written(header: Path, record: Record) -> None:
    """The written record has the same samples within half a count, the same leads and rate, and
    is of the same person: a child whose age is lost is measured by what is normal in adults."""
    back = read_record(header)
    same = back.leads == record.leads and back.fs == record.fs
    same = same and back.signal.shape == record.signal.shape
    if same and record.adc_gain is not None:
        half = np.array([[1.01 / gain] for gain in record.adc_gain])
        error = np.abs(back.signal - record.signal)
        same = bool(np.all((error <= half) | (np.isnan(back.signal) & np.isnan(record.signal))))
    if not same:
        raise RecordError(
            header.name, "samples", "do not read back as they were imported",
            "report it, with the format of the file",
        )  # fmt: skip
    old, new = record.age, back.age
    same_age = old == new if old is None or new is None else abs(old - new) <= 1e-6
    if back.sex != record.sex or not same_age:
        raise RecordError(
            header.name, "age and sex", "do not read back as they were imported",
            "report it, with the format of the file",
        )  # fmt: skip
