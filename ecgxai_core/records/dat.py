"""WFDB sample formats: bytes -> counts, and the check that they are what the header describes.

Formats as in the WFDB Applications Guide, ``signal(5)``
(https://physionet.org/physiotools/wag/signal-5.htm).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ecgxai_core.errors import RecordError
from ecgxai_core.records.files import open_regular
from ecgxai_core.records.wfdb_header import SignalSpec
from ecgxai_core.settings import settings
from ecgxai_core.types import QualityWarning

__all__ = [
    "NAN_COUNTS",
    "RAILS",
    "ChecksumPolicy",
    "Counts",
    "decode",
    "frame_bytes",
    "read_dat",
    "verify",
]

Counts = npt.NDArray[np.signedinteger[Any]]
ChecksumPolicy = Literal["warn", "error"]

_BYTES = {"16": 2.0, "24": 3.0, "32": 4.0, "61": 2.0, "80": 1.0, "160": 2.0, "212": 1.5}
NAN_COUNTS = {
    "16": -(2**15), "24": -(2**23), "32": -(2**31), "61": -(2**15), "80": -128,
    "160": -(2**15), "212": -2048,
}  # fmt: skip
"""The count that means 'no sample here' in each format."""
RAILS = {form: (lowest + 1, -lowest - 1) for form, lowest in NAN_COUNTS.items()}
"""Least and greatest count that a format can hold."""
_SWAPPED = {"16", "61"}
_SMOOTHER = 8.0
"""How much smoother byte-swapped samples must be before they are taken for the real ones. An ECG
moves slowly between samples; with its bytes swapped every step of 1 becomes one of 256."""
_ROUGHNESS_SAMPLES = 50_000


def frame_bytes(form: str, n_values: int) -> int:
    """Bytes that ``n_values`` samples take in a format."""
    return int(np.ceil(_BYTES[form] * n_values))


def decode(data: bytes, form: str, n_values: int) -> Counts:
    """``int[n_values]``: the counts in ``data``, whose length must fit."""
    if form in ("16", "61"):
        return np.frombuffer(data, dtype="<i2" if form == "16" else ">i2", count=n_values)
    if form == "32":
        return np.frombuffer(data, dtype="<i4", count=n_values)
    if form == "160":
        shifted = np.frombuffer(data, dtype="<u2", count=n_values).astype(np.int32)
        return (shifted - 2**15).astype(np.int16)
    raw = np.frombuffer(data, dtype=np.uint8)
    if form == "80":
        return raw[:n_values].astype(np.int16) - np.int16(128)
    if form == "24":
        whole = np.zeros((n_values, 4), dtype=np.uint8)
        whole[:, 1:] = raw[: 3 * n_values].reshape(n_values, 3)
        return whole.view("<i4")[:, 0] >> 8
    return _decode_212(raw, n_values)


def _decode_212(raw: npt.NDArray[np.uint8], n_values: int) -> Counts:
    """Two 12-bit two's-complement samples in three bytes; a last odd one in two."""
    triples = np.zeros(-(-n_values // 2) * 3, dtype=np.uint8)
    triples[: min(len(raw), len(triples))] = raw[: len(triples)]
    low, shared, high = triples.reshape(-1, 3).astype(np.int16).T
    both = np.empty((len(low), 2), dtype=np.int16)
    both[:, 0] = low | ((shared & 0x0F) << 8)
    both[:, 1] = high | ((shared & 0xF0) << 4)
    counts = both.reshape(-1)[:n_values]
    return np.where(counts > 2047, counts - np.int16(4096), counts).astype(np.int16)


def read_dat(path: Path, form: str, n_signals: int, n_samples: int) -> Counts:
    """``int[sample, signal]``: the counts of a ``.dat`` file.

    Raises
    ------
    RecordError
        The file is missing, or its length is not exactly that of the samples claimed.
    """
    n_values = n_signals * n_samples
    expected = frame_bytes(form, n_values)
    with open_regular(path, int(settings().max_file_mb * 1e6)) as (file, size):
        # an odd number of 12-bit samples may be filled up to whole triples
        padded = form == "212" and n_values % 2 == 1 and size == expected + 1
        if size != expected and not padded:
            raise RecordError(
                path.name, "length",
                f"holds {size} bytes; the header claims {n_signals} signals x {n_samples} samples "
                f"in format {form}, which are {expected}",
                "copy the file again, or correct the header",
            )  # fmt: skip
        data = file.read(expected)
    return decode(data, form, n_values).reshape(n_samples, n_signals)


def verify(
    counts: Counts, specs: Sequence[SignalSpec], policy: ChecksumPolicy
) -> tuple[QualityWarning, ...]:
    """Compare one data file with the first values and checksums that its header gives.

    Parameters
    ----------
    counts
        ``int[sample, signal]`` as stored.
    specs
        The signal lines of this file.
    policy
        What a wrong checksum is where the first value is right: a warning or an error.

    Returns
    -------
    tuple
        The warning ``checksum`` with the leads concerned, or nothing.

    Raises
    ------
    RecordError
        The samples are byte-swapped, or a signal does not begin with its first value.
    """
    wrong_first = [int(c) != spec.first for c, spec in zip(counts[0], specs, strict=True)]
    if any(wrong_first):
        _refuse_swapped(counts, specs)
        raise _other_samples(specs[wrong_first.index(True)], "first value", "")
    wrong_sum = _wrong_sums(counts, specs)
    if not any(wrong_sum):
        return ()
    _refuse_swapped(counts, specs)
    if policy == "error":
        way_out = ", or accept it with --checksum=warn"
        raise _other_samples(specs[wrong_sum.index(True)], "checksum", way_out)
    leads = tuple(spec.lead for spec, bad in zip(specs, wrong_sum, strict=True) if bad)
    text = "the header's checksum is wrong: samples may have been changed"
    return (QualityWarning("checksum", text, leads),)


def _wrong_sums(counts: Counts, specs: Sequence[SignalSpec]) -> list[bool]:
    """Which signals do not add up to their checksum (16 bits)."""
    sums = counts.sum(axis=0, dtype=np.int64)
    return [(int(s) - spec.checksum) % 65536 != 0 for s, spec in zip(sums, specs, strict=True)]


def _other_samples(spec: SignalSpec, what: str, way_out: str) -> RecordError:
    return RecordError(
        spec.file, f"lead {spec.lead}, {what}", "the samples are not those of the header",
        f"copy the record again from its source{way_out}",
    )  # fmt: skip


def _refuse_swapped(counts: Counts, specs: Sequence[SignalSpec]) -> None:
    """Refuse 16-bit samples that make sense only with their bytes swapped."""
    if specs[0].format not in _SWAPPED:
        return
    swapped = counts.view(counts.dtype.newbyteorder())  # the same bytes, not a copy of them
    if _roughness(swapped) * _SMOOTHER < _roughness(counts) or not any(_wrong_sums(swapped, specs)):
        form = specs[0].format
        raise RecordError(
            specs[0].file, "byte order",
            f"the samples are byte-swapped: format {form} has the other byte order",
            f"write the samples in format {form}, or correct the format in the header",
        )  # fmt: skip


def _roughness(counts: Counts) -> float:
    """Sum of the steps between neighbouring samples at the beginning of a file."""
    start = counts[:_ROUGHNESS_SAMPLES].astype(np.int32)
    return float(np.abs(np.diff(start, axis=0)).sum(dtype=np.float64))
