"""The foreign formats, how each is recognised by its first bytes, and the one way to read them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from ecgxai_core.errors import RecordError
from ecgxai_core.records.assembly import Scale, assemble
from ecgxai_core.records.files import open_regular
from ecgxai_core.records.foreign.aecg import read_aecg
from ecgxai_core.records.foreign.arrays import read_csv, read_hdf5, read_mat5, read_npy
from ecgxai_core.records.foreign.edf import read_edf
from ecgxai_core.records.foreign.muse import read_muse
from ecgxai_core.records.foreign.scp import is_scp, read_scp
from ecgxai_core.records.foreign.sierra import read_sierra
from ecgxai_core.records.foreign.waveform import Given, Waveform, checked_age, refused
from ecgxai_core.records.leads import arrange
from ecgxai_core.settings import settings
from ecgxai_core.types import Record

__all__ = [
    "ENDINGS",
    "FORMATS",
    "Foreign",
    "Imported",
    "foreign_format",
    "given_facts",
    "given_from",
    "read_foreign",
    "record_name",
]

Reader = Callable[[bytes, str, Given], Waveform]


@dataclass(frozen=True, slots=True)
class Foreign:
    """One format: its name for people, its usual endings, and its reader, if any."""

    title: str
    endings: tuple[str, ...]
    read: Reader | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """A record of a foreign file.

    Attributes
    ----------
    record
        As :func:`ecgxai_core.records.read_record` gives it.
    format
        Title of the format.
    patient
        What names the person or the day.
    n_records
        How many records the file holds.
    """

    record: Record
    format: str
    patient: Mapping[str, str]
    n_records: int


FORMATS: Mapping[str, Foreign] = MappingProxyType(
    {
        "scp": Foreign("an SCP-ECG file", (".scp", ".ecg"), read_scp),
        "aecg": Foreign("an HL7 aECG file", (".xml",), read_aecg),
        "muse": Foreign("a MUSE XML file", (".xml",), read_muse),
        "sierra": Foreign("a Philips (Sierra) XML file", (".xml",), read_sierra),
        "edf": Foreign("an EDF file", (".edf", ".rec"), read_edf),
        "npy": Foreign("a NumPy array", (".npy",), read_npy),
        "mat5": Foreign("a MATLAB version 5 file", (".mat",), read_mat5),
        "hdf5": Foreign("an HDF5 file", (".h5", ".hdf5", ".hdf"), None),
        "csv": Foreign("a CSV table", (".csv", ".tsv"), read_csv),
        "bdf": Foreign("a BDF file (24 bits), which is not read", (".bdf",)),
        "xml": Foreign("an XML file of no known ECG format", ()),
        "npz": Foreign("an archive (.npz, .zip), which is not read", (".npz", ".zip")),
    }
)
"""A format that is added here is recognised, imported, uploaded and listed by itself."""

ENDINGS = tuple(dict.fromkeys(e for key, f in FORMATS.items() for e in f.endings
                              if f.read or key == "hdf5"))  # fmt: skip

_HEAD_BYTES = 4096
_XML_ROOTS = {"AnnotatedECG": "aecg", "RestingECG": "muse", "restingecgdata": "sierra"}
_UNNAMEABLE = re.compile(r"[^A-Za-z0-9_.+-]", re.ASCII)
_ROOT = re.compile(r"<(?:\w{1,40}:)?(\w{1,60})[\s/>]", re.ASCII)
_MAGIC = (
    (b"\x89HDF\r\n\x1a\n", "hdf5"), (b"\x93NUMPY", "npy"), (b"PK\x03\x04", "npz"),
    (b"\xffBIOSEMI", "bdf"), (b"MATLAB 5.0", "mat5"),
)  # fmt: skip


def foreign_format(path: Path) -> str | None:
    """Key in :data:`FORMATS` of a file by its first bytes (CSV: by its name), else ``None``.

    Raises
    ------
    RecordError
        The file cannot be opened.
    """
    with open_regular(path, 2**62) as (file, _):
        head = file.read(_HEAD_BYTES)
    for magic, key in _MAGIC:
        if head.startswith(magic):
            return key
    if is_scp(head):
        return "scp"
    if head.startswith(b"0       ") and head[236:256].strip(b"0123456789. -") == b"":
        return "edf"
    xml = _xml_format(head)
    if xml is not None:
        return xml
    return "csv" if path.suffix.lower() in FORMATS["csv"].endings else None


def _xml_format(head: bytes) -> str | None:
    utf16 = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    text = head.decode("utf-16" if utf16 else "latin-1", "replace").removeprefix("\xef\xbb\xbf")
    if not text.lstrip().startswith("<"):
        return None
    while "<!--" in text:  # comments before the root may name anything
        before, _, rest = text.partition("<!--")
        text = before + rest.partition("-->")[2]
    roots = (match[1] for match in _ROOT.finditer(text))
    return next((_XML_ROOTS[root] for root in roots if root in _XML_ROOTS), "xml")


def read_foreign(path: Path, given: Given = Given()) -> Imported:  # noqa: B008 - frozen
    """Read a file of a foreign format.

    Files of strangers are read through :func:`ecgxai_core.records.guarded.import_guarded`.

    Parameters
    ----------
    path
        The file.
    given
        What the file does not say itself.

    Raises
    ------
    RecordError
        The file is of no known format, or breaks a rule of its own.
    """
    key = foreign_format(path)
    if key is None:
        known = ", ".join(f.title.split(" ", 1)[1] for f in FORMATS.values() if f.read)
        raise refused(path.name, "format", f"is none of the formats that are read: {known}", "-")
    form = FORMATS[key]
    if key == "hdf5":
        with open_regular(path, 2**62):
            pass
        waveform = read_hdf5(path, path.name, given)
    elif form.read is None:
        raise refused(path.name, "format", f"is {form.title}", "export it in another format")
    else:
        with open_regular(path, int(settings().max_file_mb * 1e6)) as (file, size):
            data = file.read(size)
        try:
            waveform = form.read(data, path.name, given)
        except RecordError as error:
            problem = f"{error.problem} (it is {form.title})"
            raise RecordError(error.where, error.field, problem, error.fix) from error.__cause__
    record = _record(path, waveform, given)
    return Imported(record, form.title.split(" ", 1)[1], waveform.patient, waveform.n_records)


def _record(path: Path, waveform: Waveform, given: Given) -> Record:
    """Leads in standard order, scales, and what is said of the person."""
    where = path.name
    kept = arrange(where, waveform.leads, "lead")
    signal = np.stack(
        [s * waveform.signal[p] for p, s in zip(kept.positions, kept.signs, strict=True)]
    )
    if not np.isfinite(signal[~np.isnan(signal)]).all() or np.isnan(signal).all():
        raise refused(where, "samples", "are infinite, or there are none")
    known = np.abs(np.nan_to_num(signal)).max(axis=1)
    asked = [waveform.gains[p] if waveform.gains else None for p in kept.positions]
    gains = _gains(where, known, asked)
    age, odd = checked_age(waveform.age)
    return assemble(
        signal.astype(np.float32),
        kept.leads,
        [Scale(gain, 0.0, (-32767 / gain, 32767 / gain)) for gain in gains],
        name=record_name(path, given.index if waveform.n_records > 1 else None),
        file=where,
        fs=waveform.fs,
        age=age,
        sex=waveform.sex,
        before=(*waveform.warnings, *kept.warnings),
        after=odd,
    )


def _gains(where: str, largest: np.ndarray, asked: list[float | None]) -> list[float]:
    """Counts per mV at which 16 bits hold each lead: the file's own, else one for all leads."""
    if all(g is not None and m * g <= 32767 for m, g in zip(largest, asked, strict=True)):
        return [float(gain) for gain in asked if gain is not None]
    for gain in (10_000.0, 1000.0, 100.0, 10.0):
        if largest.max() * gain <= 32767:
            return [gain] * len(asked)
    raise refused(where, "samples", f"reach {largest.max():g} mV, which no ECG does")


def record_name(path: Path, index: int | None) -> str:
    """Name of the record: that of the file in plain letters, with a number where it holds many."""
    stem = _UNNAMEABLE.sub("_", path.stem[:80]).lstrip(".+-") or "record"
    return stem if index is None else f"{stem}_{index:06d}"


def given_from(facts: Mapping[str, object]) -> Given:
    """:class:`Given` from plain JSON."""
    values = dict(facts)
    if isinstance(values.get("leads"), list):
        values["leads"] = tuple(values["leads"])  # type: ignore[arg-type]
    return Given(**values)  # type: ignore[arg-type]


def given_facts(given: Given) -> dict[str, object]:
    """Plain JSON of :class:`Given`."""
    return dataclasses.asdict(given)
