"""Every real record reads without a refusal, and to wfdb's physical values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecgxai_core.records import find_records, read_record
from ecgxai_core.records.leads import lead_name

pytestmark = pytest.mark.data


@pytest.mark.parametrize(("folder", "n_records"), [("cinc2020_sample", 50), ("ludb/data", 100)])
def test_all_records_read_as_wfdb_reads_them(data_dir: Path, folder: str, n_records: int) -> None:
    import wfdb

    paths = find_records([data_dir / folder])
    assert len(paths) == n_records
    for path in paths:
        record = read_record(path, checksum="error")
        theirs = wfdb.rdrecord(str(path.with_suffix("")))
        order = [[lead_name(name) for name in theirs.sig_name].index(x) for x in record.leads]
        np.testing.assert_array_equal(record.signal, theirs.p_signal.T[order].astype(np.float32))
        assert len(record.leads) == 12
        assert record.fs == theirs.fs
        assert record.adc_gain == tuple(theirs.adc_gain[i] for i in order)
        assert record.age is not None
        assert record.sex in {"male", "female"}


def test_real_records_have_few_warnings(data_dir: Path) -> None:
    """What is said of the Challenge's sample was looked at by eye and is true of these records.

    The leads of Q1179 may be in order: one false alarm in 50 is what that check allows itself.
    """
    found = {
        path.stem: {w.code for w in read_record(path).warnings} - {"implausible_amplitude"}
        for path in find_records([data_dir / "cinc2020_sample"])
    }
    assert {name: codes for name, codes in found.items() if codes} == {
        "HR00431": {"saturated"},  # its last 0.1 s repeat one value, which is the least of lead II
        "HR01111": {"large_amplitude"},  # spikes of -20.8 mV in V2
        "HR03278": {"large_amplitude"},  # spikes of -28.3 mV in V3
        "Q1179": {"leads_exchanged"},
    }


def test_records_five_times_too_large_are_told(data_dir: Path) -> None:
    """All 30 of PTB-XL in the sample state 200 counts per mV of data at 1000; no other does."""
    for path in find_records([data_dir / "cinc2020_sample"]):
        codes = {warning.code for warning in read_record(path).warnings}
        assert ("implausible_amplitude" in codes) == path.stem.startswith("HR"), path.stem


def test_ludb_gains_are_found_wrong(data_dir: Path) -> None:
    """LUDB's counts obey Einthoven's law to the count; its gains break it, and we say so."""
    for path in find_records([data_dir / "ludb" / "data"]):
        warnings = {w.code: w.message for w in read_record(path).warnings}
        assert "mixed_gain" in warnings
        assert "gains" in warnings["limb_leads_inconsistent"], path.stem
