"""A strict reader of WFDB headers (``.hea``).

The format is that of the WFDB Applications Guide, ``header(5)`` (Moody, Pollard & Moody,
https://physionet.org/physiotools/wag/header-5.htm), with the date forms of the PhysioNet/CinC
Challenges. Every field that a result depends on must be there: neither the sampling rate, nor the
gain, nor the length takes the default that WFDB would give it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ecgxai_core.errors import RecordError
from ecgxai_core.records.files import open_regular
from ecgxai_core.records.leads import MAX_CHANNELS, Arrangement, arrange, signed_lead
from ecgxai_core.settings import settings
from ecgxai_core.types import QualityWarning

__all__ = [
    "DATA_ENDINGS",
    "FS_RANGE",
    "MIN_SECONDS",
    "NUMBER",
    "Header",
    "SignalSpec",
    "parse_header",
    "read_header",
]

MAX_HEADER_BYTES = 256 * 1024
MAX_LINE, MAX_COMMENT, MAX_FIELD = 1024, 16 * 1024, 200
"""Characters. A longer line, comment or field is refused before any pattern sees it."""
FS_RANGE = (50.0, 100_000.0)
"""Hz. Below 50 Hz a QRS complex has no shape; no ECG device samples faster than 100 kHz."""
GAIN_RANGE = (1e-2, 1e12)
"""Counts per mV; the upper end leaves room for 32-bit files scaled to a small range."""
DATA_ENDINGS = frozenset({".mat", ".dat", ".xyz"})
"""Of data files; the PTB Diagnostic ECG Database keeps Frank's leads in ``.xyz`` files."""
MIN_SECONDS = 0.5
"""Anything shorter cannot hold a heart beat."""

_UNITS_PER_MV = {"mV": 1.0, "mv": 1.0, "uV": 1e3, "uv": 1e3, "µV": 1e3, "μV": 1e3, "V": 1e-3}
# No two neighbouring repeats can match the same text, so that every pattern is linear.
NUMBER = r"[+-]?(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})(?:[eE][+-]?\d{1,4})?"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}", re.ASCII)
_FS = re.compile(rf"({NUMBER})(?:/{NUMBER}(?:\({NUMBER}\))?)?", re.ASCII)
_GAIN = re.compile(rf"({NUMBER})(?:\(([+-]?\d{{1,10}})\))?(?:/(\S{{1,16}}))?", re.ASCII)
_FORMAT = re.compile(r"(\d{1,4})(?:x(\d{1,9}))?(?::(\d{1,9}))?(?:\+(\d{1,9}))?", re.ASCII)
_TIME = re.compile(r"\d{1,2}:\d{1,2}(?::\d{1,2}(?:\.\d{1,9})?)?", re.ASCII)
_DATE = re.compile(r"\d{1,4}([-/.])(?:\d{1,2}|[A-Za-z]{3,9})\1\d{1,4}", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d{1,25}", re.ASCII)
_LINE_END = re.compile(r"\r\n|\r|\n")
_SPACES = re.compile(r"[ \t]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_DAT_FORMATS = ("16", "24", "32", "61", "80", "160", "212")

_LEAST_SIGNALS, _MOST_ODD = 6, 2
"""Where so many leads are in a file, and at most so many of them differ, a zero is odd."""


@dataclass(frozen=True, slots=True)
class SignalSpec:
    """One signal line.

    ``lead`` is the standard name, or what the file says of a channel that is no standard lead;
    ``gain`` is in counts per mV whatever unit the file used, ``baseline`` the counts at 0 mV,
    ``first`` the first sample and ``checksum`` the 16-bit sum of all samples that the header
    claims.
    """

    lead: str
    file: str
    format: str
    offset: int
    gain: float
    baseline: int
    first: int
    checksum: int


@dataclass(frozen=True, slots=True)
class Header:
    """A header that has passed every check; ``signals`` in the order of the file, ``arrangement``
    which of them are the standard leads."""

    name: str
    where: str
    fs: float
    n_samples: int
    signals: tuple[SignalSpec, ...]
    arrangement: Arrangement
    comments: tuple[str, ...]
    warnings: tuple[QualityWarning, ...]


def read_header(path: Path) -> Header:
    """Read and check one header file.

    Raises
    ------
    RecordError
        The file, or any field of it, breaks a rule.
    """
    with open_regular(path, MAX_HEADER_BYTES) as (file, size):
        data = file.read(size)
    return parse_header(data, path.name)


def parse_header(data: bytes, where: str) -> Header:
    """Check the content of a header file called ``where`` (``NAME.hea``)."""
    lines = _lines(data, where)
    comments = tuple(line[1:].strip() for _, line in lines if line.startswith("#"))
    content = [(number, line) for number, line in lines if not line.startswith("#")]
    if not content:
        problem = "the header is empty"
        raise RecordError(where, "record line", problem, "copy the header again from its source")
    number, line = content[0]
    name, n_signals, fs, n_samples = _record_line(where, f"line {number}", line)
    if len(content) - 1 != n_signals:
        problem = f"says {n_signals} signals, but {len(content) - 1} signal lines follow"
        fix = "make the number and the signal lines agree"
        raise RecordError(where, f"line {number}, number of signals", problem, fix)
    parsed = [_signal_line(where, f"line {n}", text, name) for n, text in content[1:]]
    arrangement = arrange(where, [text for _, text, _ in parsed])
    assumed = tuple(
        s.lead for s, _, has_unit in parsed if not has_unit and s.lead in arrangement.leads
    )
    warnings = arrangement.warnings
    if assumed:
        text = "the header gives no unit; mV taken, as WFDB says"
        warnings += (QualityWarning("units_assumed", text, assumed),)
    signals = tuple(spec for spec, _, _ in parsed)
    warnings += _odd_zeros([spec for spec in signals if spec.lead in arrangement.leads])
    return Header(name, where, fs, n_samples, signals, arrangement, comments, warnings)


def _odd_zeros(signals: Sequence[SignalSpec]) -> tuple[QualityWarning, ...]:
    """One or two leads whose counts at 0 mV differ from those that all others share.

    Neither first values nor checksums protect that number, and a few counts move a lead by less
    than any other check sees. Files that give every lead its own are not meant.
    """
    if len(signals) < _LEAST_SIGNALS:
        return ()
    usual, count = Counter(spec.baseline for spec in signals).most_common(1)[0]
    if not len(signals) - _MOST_ODD <= count < len(signals):
        return ()
    text = f"has another count at 0 mV than the other leads ({usual}): check the header"
    odd = tuple(spec.lead for spec in signals if spec.baseline != usual)
    return (QualityWarning("mixed_zero", text, odd),)


def _lines(data: bytes, where: str) -> list[tuple[int, str]]:
    """Numbered, stripped, non-empty lines; CR, LF and CRLF all end a line."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data:
        fix = "save the header as plain text (ASCII or UTF-8)"
        raise RecordError(where, "encoding", "is UTF-16, or binary (it holds NUL bytes)", fix)
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    if _CONTROL.search(text):
        problem = "holds control characters: this is not a text file"
        raise RecordError(where, "encoding", problem, "give the header (.hea), not the data file")
    stripped = ((n, line.strip()) for n, line in enumerate(_LINE_END.split(text), start=1))
    numbered = [(number, line) for number, line in stripped if line]
    for number, line in numbered:
        limit = MAX_COMMENT if line.startswith("#") else MAX_LINE
        if len(line) > limit:
            problem = f"has {len(line)} characters; at most {limit} are read"
            fix = "copy the header again, or shorten the line"
            raise RecordError(where, f"line {number}", problem, fix)
    return numbered


def _fields(where: str, at: str, line: str, most: int = 0) -> list[str]:
    """The fields of a line; the last of ``most`` (0 = all are split) takes the rest."""
    fields = _SPACES.split(line, maxsplit=max(most - 1, 0))
    for number, field in enumerate(fields, start=1):
        if len(field) > MAX_FIELD:
            problem = f"has {len(field)} characters; at most {MAX_FIELD} are read"
            raise RecordError(where, f"{at}, field {number}", problem, "correct the header")
    return fields


def _record_line(where: str, at: str, line: str) -> tuple[str, int, float, int]:
    """``NAME N_SIGNALS FS[/COUNTER] N_SAMPLES [TIME] [DATE]`` -> name, signals, fs, samples."""
    fields = _fields(where, at, line)
    name = fields[0]
    if "/" in name:
        problem = "is a multi-segment record, or a path"
        raise RecordError(where, f"{at}, record name", problem, "give the header of one segment")
    stem = where.removesuffix(Path(where).suffix)
    if not _NAME.fullmatch(name):
        problem = f"{name!r} is not a record name"
        raise RecordError(where, f"{at}, record name", problem, "use letters, digits and _ only")
    if name != stem:
        problem = f"says {name!r}, but the file is called {stem!r}"
        fix = "correct the name in the header, and check that the header belongs to this data"
        raise RecordError(where, f"{at}, record name", problem, fix)
    if len(fields) < 4:
        problem = "must give the number of signals, sampling rate and number of samples"
        raise RecordError(where, at, problem, "complete the line: NAME SIGNALS FS SAMPLES")
    n_signals = _integer(where, f"{at}, number of signals", fields[1], 1, MAX_CHANNELS)
    fs = _sampling_rate(where, f"{at}, sampling rate", fields[2])
    most = settings().max_record_values // n_signals
    n_samples = _integer(where, f"{at}, number of samples", fields[3], 1, most)
    if n_samples < MIN_SECONDS * fs:
        problem = f"{n_samples} samples at {fs:g} Hz are shorter than {MIN_SECONDS:g} s"
        fix = "give a record that holds at least one heart beat"
        raise RecordError(where, f"{at}, number of samples", problem, fix)
    _check_dates(where, at, fields[4:])
    return name, n_signals, fs, n_samples


def _check_dates(where: str, at: str, fields: list[str]) -> None:
    """Base time and date, in either order; they are not kept, but must be nothing else."""
    if len(fields) > 2 or not all(_TIME.fullmatch(f) or _DATE.fullmatch(f) for f in fields):
        fix = "write HH:MM:SS and DD/MM/YYYY or DD-Mon-YYYY, or leave them out"
        raise RecordError(where, f"{at}, time and date", f"cannot read {' '.join(fields)!r}", fix)


def _sampling_rate(where: str, at: str, text: str) -> float:
    match = _FS.fullmatch(text)
    fs = float(match[1]) if match else math.nan
    if not FS_RANGE[0] <= fs <= FS_RANGE[1]:
        problem = f"{text!r} is not a rate from {FS_RANGE[0]:g} to {FS_RANGE[1]:g} Hz"
        raise RecordError(where, at, problem, "give the sampling rate in Hz as a plain number")
    return fs


def _integer(where: str, at: str, text: str, least: int, most: int) -> int:
    value = int(text) if _WHOLE.fullmatch(text) else None
    if value is None or not least <= value <= most:
        problem = f"{text!r} is not a whole number from {least} to {most}"
        raise RecordError(where, at, problem, "correct the header")
    return value


def _signal_line(where: str, at: str, line: str, record: str) -> tuple[SignalSpec, str, bool]:
    """``FILE FORMAT GAIN RESOLUTION ZERO FIRST CHECKSUM BLOCK LEAD``; with it the lead as it is
    written, and whether there is a unit."""
    fields = _fields(where, at, line, 9)
    if len(fields) < 9:
        fix = "complete it: FILE FORMAT GAIN/mV RESOLUTION ZERO FIRST CHECKSUM BLOCK LEAD"
        raise RecordError(where, at, f"has {len(fields)} of the 9 fields of a signal line", fix)
    _check_data_file(where, f"{at}, file name", fields[0], record)
    form, offset = _format(where, f"{at}, format", fields[1], fields[0])
    gain, baseline, has_unit = _gain(where, f"{at}, gain", fields[2])
    _integer(where, f"{at}, ADC resolution", fields[3], 0, 32)
    zero = _integer(where, f"{at}, ADC zero", fields[4], -(2**31), 2**31 - 1)
    first = _integer(where, f"{at}, first value", fields[5], -(2**31), 2**31 - 1)
    checksum = _integer(where, f"{at}, checksum", fields[6], -(2**31), 2**32 - 1)
    _integer(where, f"{at}, block size", fields[7], 0, 2**31 - 1)
    lead = (signed_lead(fields[8]) or (fields[8], 1))[0]
    baseline = zero if baseline is None else baseline
    spec = SignalSpec(lead, fields[0], form, offset, gain, baseline, first, checksum)
    return spec, fields[8], has_unit


def _check_data_file(where: str, at: str, name: str, record: str) -> None:
    """A data file is ``RECORD`` with a known ending beside its header, and nothing else."""
    if not _NAME.fullmatch(name):
        problem = f"{name!r} is not a plain file name (paths and addresses are refused)"
        fix = "put the data file beside its header and give its name only"
        raise RecordError(where, at, problem, fix)
    path = Path(name)
    if path.suffix.lower() not in DATA_ENDINGS:
        problem = f"{name!r} is none of {', '.join(sorted(DATA_ENDINGS))}"
        raise RecordError(where, at, problem, "convert the record to WFDB .dat or MATLAB v4 .mat")
    if path.stem != record:
        problem = f"{name!r} is the data of record {path.stem!r}, not of {record!r}"
        fix = f"name the file that belongs to this header: {record}{path.suffix}"
        raise RecordError(where, at, problem, fix)


def _format(where: str, at: str, text: str, file: str) -> tuple[str, int]:
    """Storage format and byte offset; one sample per frame, no skew."""
    match = _FORMAT.fullmatch(text)
    if match is None or match[1] not in _DAT_FORMATS:
        problem = f"{text!r} is not one of the formats {', '.join(_DAT_FORMATS)}"
        raise RecordError(where, at, problem, "convert the record with WFDB: xform -O 16")
    if int(match[2] or 1) != 1 or int(match[3] or 0) != 0:
        fix = "convert the record with WFDB so that all leads share one clock"
        raise RecordError(where, at, f"{text!r} has several samples per frame, or a skew", fix)
    offset = int(match[4] or 0)
    expected = 24 if file.lower().endswith(".mat") else 0
    if offset != expected:
        problem = f"{text!r}: the samples of {file} start at byte {expected}, not {offset}"
        fix = "write 16+24 for a MATLAB v4 file and 16 for a .dat file"
        raise RecordError(where, at, problem, fix)
    return match[1], offset


def _gain(where: str, at: str, text: str) -> tuple[float, int | None, bool]:
    """``GAIN[(BASELINE)][/UNIT]`` -> counts per mV, baseline, whether a unit is there."""
    match = _GAIN.fullmatch(text)
    unit = (match[3] or "mV") if match else ""
    if match is not None and unit not in _UNITS_PER_MV:
        raise RecordError(where, at, f"unit {unit!r} is not a voltage", "use mV, uV or V")
    gain = float(match[1]) * _UNITS_PER_MV[unit] if match else math.nan
    if match is None or not GAIN_RANGE[0] <= gain <= GAIN_RANGE[1]:
        low, high = GAIN_RANGE
        problem = f"{text!r} is not a gain from {low:g} to {high:g} counts per mV"
        raise RecordError(where, at, problem, "give the gain as in 1000/mV or 200(0)/mV")
    baseline = int(match[2]) if match[2] else None
    if baseline is not None and abs(baseline) > 2**31:
        raise RecordError(where, at, f"baseline {baseline} is out of range", "correct the header")
    return gain, baseline, match[3] is not None
