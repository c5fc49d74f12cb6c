"""One verb for every kind of record: :func:`read_record`.

Strict by design: a record is either read with its sampling rate, scale, lead names and length all
known and checked, or refused with one :class:`~ecgxai_core.errors.RecordError`.
"""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Collection, Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ecgxai_core import diagnoses
from ecgxai_core.errors import RecordError
from ecgxai_core.records.assembly import Scale, assemble
from ecgxai_core.records.dat import NAN_COUNTS as _NAN_COUNTS
from ecgxai_core.records.dat import RAILS, ChecksumPolicy, read_dat, read_mat4, verify
from ecgxai_core.records.metadata import parse_comments
from ecgxai_core.records.quality import check_labels
from ecgxai_core.records.wfdb_header import Header, SignalSpec, read_header
from ecgxai_core.types import Float32Array, Record

__all__ = ["find_records", "read_record", "read_records"]

log = logging.getLogger(__name__)

_DICOM = {".dcm", ".dicom"}
_WFDB_DATA = {".mat", ".dat"}


def read_record(
    path: str | os.PathLike[str],
    *,
    checksum: ChecksumPolicy = "warn",
    known_codes: Collection[str] | None = None,
) -> Record:
    """Read one ECG record.

    Parameters
    ----------
    path
        A WFDB header (``.hea``), its ``.mat`` or ``.dat``, a DICOM file (``.dcm``), or a WFDB
        record without suffix.
    checksum
        What a wrong WFDB checksum is where the first value is right: a quality warning (``"warn"``)
        or an error (``"error"``).
    known_codes
        Codes that labels may have without a warning; ``None`` = the SNOMED-CT codes of the
        PhysioNet Challenges and of the table of diagnoses.

    Returns
    -------
    Record
        mV, leads in standard order. ``signal`` holds NaN where the device recorded nothing (then
        it has the warning ``nan_run``), and is finite everywhere else.

    Raises
    ------
    RecordError
        The record is refused; the error names the file, the field, the problem and a remedy.
    """
    file = _record_file(Path(path))
    try:
        record = _read(file, checksum)
    except MemoryError:
        problem = "is larger than the free memory of this machine"
        fix = "split the record, or close other programs"
        raise RecordError(file.name, "size", problem, fix) from None
    codes = diagnoses.known_codes() if known_codes is None else known_codes
    extra = check_labels(record.labels, codes)
    return dataclasses.replace(record, warnings=record.warnings + extra) if extra else record


def _read(file: Path, checksum: ChecksumPolicy) -> Record:
    if file.suffix.lower() == ".hea":
        return _read_wfdb(file, checksum)
    _refuse_foreign(file)
    from ecgxai_core.records.dicom import read_dicom

    return read_dicom(file)


def _refuse_foreign(file: Path) -> None:
    """Name the format of a file that is read by importing it, and the way."""
    from ecgxai_core.records.foreign.formats import FORMATS, foreign_format

    key = foreign_format(file)
    if key is not None:
        raise RecordError(
            file.name, "format", f"is {FORMATS[key].title}, not a WFDB or DICOM record",
            "import it first: ecgxai import SRC DEST",
        )  # fmt: skip


def _record_file(path: Path) -> Path:
    """The header or DICOM file that a path stands for."""
    suffix = path.suffix.lower()
    if suffix == ".hea" or suffix in _DICOM:
        return path
    if suffix in _WFDB_DATA:
        beside = path.with_suffix(".hea")
        if not os.path.lexists(beside) and path.is_file():
            _refuse_foreign(path)
        return beside
    header = path.with_name(path.name + ".hea") if path.name else path
    if os.path.lexists(header):
        return header
    if os.path.lexists(path) and not os.path.isdir(path):
        return path  # DICOM files often have no suffix; the reader looks at the content
    problem = "there is no header or DICOM file of this name"
    fix = "give a .hea, .mat, .dat or .dcm file"
    raise RecordError(path.name or "record", "file", problem, fix)


def _read_wfdb(path: Path, policy: ChecksumPolicy) -> Record:
    header = read_header(path)
    kept = header.arrangement
    wanted = {header.signals[position].file for position in kept.positions}
    warnings = list(header.warnings)
    columns: list[npt.NDArray[Any] | None] = []
    for (file, form), group in groupby(header.signals, key=lambda s: (s.file, s.format)):
        specs = tuple(group)
        _refuse_split_files(header, file, specs)
        if file not in wanted:  # a file of channels that are left out
            columns += [None] * len(specs)
            continue
        reader = read_mat4 if file.lower().endswith(".mat") else read_dat
        counts = reader(path.with_name(file), form, len(specs), header.n_samples)
        used = [n for n, spec in enumerate(specs) if spec.lead in kept.leads]
        read = counts if len(used) == len(specs) else counts[:, used]
        warnings += verify(read, [specs[n] for n in used], policy)
        columns += list(counts.T)
    signal = np.empty((len(kept.leads), header.n_samples), dtype=np.float32)
    scales: list[Scale] = []
    for row, (position, sign) in enumerate(zip(kept.positions, kept.signs, strict=True)):
        column, spec = columns[position], header.signals[position]
        assert column is not None
        signal[row] = sign * _millivolts(column, spec)
        scales.append(_scale(spec, sign))
    metadata = parse_comments(header.comments)
    return assemble(
        signal,
        kept.leads,
        scales,
        name=header.name,
        fs=header.fs,
        labels=metadata.labels,
        age=metadata.age,
        sex=metadata.sex,
        synthetic=metadata.synthetic,
        before=warnings,
        after=metadata.warnings,
        file=path.name,
    )


def _refuse_split_files(header: Header, file: str, specs: tuple[SignalSpec, ...]) -> None:
    """All signals of one file stand together and have one format."""
    if sum(spec.file == file for spec in header.signals) != len(specs):
        problem = f"the signals of {file} do not stand together, or differ in format"
        fix = "list the signals of each file one after the other, in one format"
        raise RecordError(header.where, "file names and formats", problem, fix)


def _millivolts(counts: npt.NDArray[Any], spec: SignalSpec) -> Float32Array:
    """``float32[sample]``: (counts - baseline) / gain, rounded once; NaN where no sample is."""
    values = (counts.astype(np.float64) - spec.baseline) / spec.gain
    values[counts == _NAN_COUNTS[spec.format]] = np.nan
    return values.astype(np.float32)


def _scale(spec: SignalSpec, sign: int) -> Scale:
    """Of a lead that was turned round where ``sign`` is -1: its counts are those negated."""
    rails = sorted(sign * (count - spec.baseline) / spec.gain for count in RAILS[spec.format])
    return Scale(spec.gain, float(sign * spec.baseline), (rails[0], rails[1]))


def find_records(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Headers and DICOM files that files and folders stand for: sorted, each once.

    A folder is searched with everything below it (links to folders are not followed); what looks
    like a record by its name is listed, whether or not it can be read. A file named by the caller
    is always listed, so that what is wrong with it is said by :func:`read_record`.

    Raises
    ------
    RecordError
        A folder without any record.
    """
    found: dict[str, Path] = {}
    for given in map(Path, paths):
        looks_like_a_file = given.suffix.lower() in (".hea", *_DICOM)
        inside = _walk(given) if os.path.isdir(given) and not looks_like_a_file else [given]
        if not inside:
            problem = "holds no .hea and no .dcm file"
            fix = "give the folder of the records; other formats: ecgxai import SRC DEST"
            raise RecordError(given.name or "folder", "content", problem, fix)
        for path in inside:
            path = _header_of(path)
            found.setdefault(os.path.abspath(path), path)
    return sorted(found.values(), key=str)


def _header_of(path: Path) -> Path:
    """The header beside a data file or bare record name, so that one record has one path."""
    suffix = path.suffix.lower()
    if suffix == ".hea" or suffix in _DICOM or not path.name:
        return path
    bare = suffix not in _WFDB_DATA
    header = path.with_name(path.name + ".hea") if bare else path.with_suffix(".hea")
    return header if os.path.lexists(header) else path


def _walk(folder: Path) -> list[Path]:
    found, headers, data = [], set(), set()
    for place, folders, files in os.walk(folder):
        here = Path(place)
        for name in [*files, *(f for f in folders if f.lower().endswith(".hea"))]:
            suffix = Path(name).suffix.lower()
            if suffix == ".hea" or suffix in _DICOM:
                found.append(here / name)
                headers.add((place, Path(name).stem))
            elif suffix in _WFDB_DATA:
                data.add((place, Path(name).stem))
        folders[:] = [f for f in folders if not f.lower().endswith(".hea")]
    if data - headers:
        log.warning("%d .mat or .dat files have no header and are not read", len(data - headers))
    return found


def read_records(
    paths: Iterable[str | os.PathLike[str]],
    *,
    checksum: ChecksumPolicy = "warn",
    known_codes: Collection[str] | None = None,
) -> Iterator[tuple[Path, Record | RecordError]]:
    """Read the records of files and folders one after the other.

    Yields
    ------
    tuple
        The path of :func:`find_records`, and the record or the reason why it is refused. Only one
        record is in memory at a time.
    """
    for path in find_records(paths):
        try:
            yield path, read_record(path, checksum=checksum, known_codes=known_codes)
        except RecordError as error:
            yield path, error
