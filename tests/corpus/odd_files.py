"""Odd but legal records: they must be read, each with exactly the warnings named beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ecgxai_core.records.write import write_record
from ecgxai_core.types import STANDARD_LEADS
from tests.corpus.base import (
    FS,
    RECORD,
    Edit,
    ecg,
    good_record,
    header,
    joined,
    lines,
    record_field,
    signal_field,
)
from tests.corpus.dicom_files import dicom_bytes, group

__all__ = ["CASES"]

Make = Callable[[Path], Path]


def _signal(change: Callable[[npt.NDArray[np.float64]], None], **changes: object) -> Make:
    """The sound record with its signal changed in place before it is written."""

    def make(folder: Path) -> Path:
        signal = ecg()
        change(signal)
        return good_record(folder, signal_mv=signal, **changes)

    return make


def _flat(signal: npt.NDArray[np.float64]) -> None:
    signal[8] = 0.0


def _flat_part(signal: npt.NDArray[np.float64]) -> None:
    signal[9, 700:1400] = 0.0123


def _clipped(signal: npt.NDArray[np.float64]) -> None:
    signal[10, 500:560] = 1.5


def _on_rail(signal: npt.NDArray[np.float64]) -> None:
    signal[11, 100:1000:50] = 32.767


def _large(signal: npt.NDArray[np.float64]) -> None:
    signal[11, 100] = 25.0


def _gap(signal: npt.NDArray[np.float64]) -> None:
    signal[7, 1000:1100] = np.nan


def _swapped(signal: npt.NDArray[np.float64]) -> None:
    signal[[0, 1]] = signal[[1, 0]]


def _resampled(seconds: float, fs: float) -> Make:
    return lambda folder: good_record(folder, signal_mv=ecg(seconds, fs), fs=fs)


def _some_leads(positions: list[int]) -> Make:
    def make(folder: Path) -> Path:
        leads = [STANDARD_LEADS[i] for i in positions]
        return good_record(folder, signal_mv=ecg()[positions], leads=leads)

    return make


def _in_format(code: str) -> Make:
    """The sound record stored in another WFDB format by ``wfdb`` itself."""

    def make(folder: Path) -> Path:
        import wfdb

        counts = np.rint(ecg().T * 50 if code == "80" else ecg().T * 200).astype(np.int64)
        wfdb.wrsamp(
            RECORD, fs=FS, units=["mV"] * 12, sig_name=list(STANDARD_LEADS), d_signal=counts,
            fmt=[code] * 12, adc_gain=[50 if code == "80" else 200] * 12, baseline=[0] * 12,
            write_dir=str(folder),
        )  # fmt: skip
        return folder / f"{RECORD}.hea"

    return make


def _packed(code: str, samples: int = 3000, n_leads: int = 12) -> Make:
    """The sound record in a format that ``wfdb`` reads but does not write."""

    def make(folder: Path) -> Path:
        path = good_record(
            folder, fmt="dat", gain=200.0, signal_mv=ecg()[:n_leads, :samples],
            leads=STANDARD_LEADS[:n_leads],
        )  # fmt: skip
        path.write_bytes(path.read_bytes().replace(b".dat 16 ", f".dat {code} ".encode()))
        body = path.with_suffix(".dat")
        values = np.frombuffer(body.read_bytes(), "<i2").astype(np.int32)
        body.write_bytes(_pack_160(values) if code == "160" else _pack_212(values))
        return path

    return make


def _pack_160(values: npt.NDArray[np.int32]) -> bytes:
    return (values + 2**15).astype("<u2").tobytes()


def _pack_212(values: npt.NDArray[np.int32]) -> bytes:
    """Two samples in three bytes, one pair at a time, straight from the definition."""
    packed = bytearray()
    for position in range(0, len(values), 2):
        pair = [int(v) & 0xFFF for v in values[position : position + 2]]
        second = pair[1] if len(pair) == 2 else 0
        packed += bytes([pair[0] & 0xFF, (pair[0] >> 8) | ((second >> 8) << 4)])
        packed += bytes([second & 0xFF]) if len(pair) == 2 else b""
    return bytes(packed)


def _dotted(folder: Path) -> Path:
    return write_record(folder, "a.b-c_1", ecg(), FS, STANDARD_LEADS)


def _big_endian_dat(folder: Path) -> Path:
    path = good_record(folder, fmt="dat")
    path.write_bytes(path.read_bytes().replace(b".dat 16 ", b".dat 61 "))
    body = path.with_suffix(".dat")
    body.write_bytes(np.frombuffer(body.read_bytes(), "<i2").byteswap().tobytes())
    return path


def _two_files(folder: Path) -> Path:
    """Limb leads in ``rec.mat``, chest leads in ``rec.dat``."""
    limb = good_record(folder, signal_mv=ecg()[:6], leads=STANDARD_LEADS[:6]).read_bytes()
    path = good_record(folder, signal_mv=ecg()[6:], leads=STANDARD_LEADS[6:], fmt="dat")
    rows = lines(limb)[:7] + lines(path.read_bytes())[1:7]
    rows[0][1] = b"12"
    path.write_bytes(joined(rows))
    return path


def _gains(folder: Path) -> Path:
    return good_record(folder, gain=[1000.0] * 6 + [500.0] * 6)


def _baselines(folder: Path) -> Path:
    return good_record(folder, zero=list(range(-60, 60, 10)))


def _odd_baseline(folder: Path) -> Path:
    return good_record(folder, zero=[0] * 11 + [4])


def _upper_case_mat(folder: Path) -> Path:
    path = good_record(folder)
    path.with_suffix(".mat").rename(folder / "rec.MAT")
    path.write_bytes(path.read_bytes().replace(b"rec.mat", b"rec.MAT"))
    return path


def _linked(folder: Path) -> Path:
    """Header and data are links to a store elsewhere, as git-annex and DVC make them."""
    (folder / "store").mkdir()
    path = good_record(folder / "store")
    for name in (path.name, path.with_suffix(".mat").name):
        (folder / name).symlink_to(folder / "store" / name)
    return folder / path.name


def _ludb_style(text: bytes) -> bytes:
    rows = [[*row[:8], row[8].lower()] if len(row) == 9 else row for row in lines(text)]
    return joined(rows[:13]) + b"#<age>: 51\n#<sex>: F\n#<diagnoses>:\n#Rhythm: Sinus rhythm.\n"


def _challenge_2021(text: bytes) -> bytes:
    return text.replace(b"16+24", b"16x1+24").replace(b"#", b"# ")


def _wrong_sum(text: bytes) -> bytes:
    rows = lines(text)
    rows[3][6] = str(int(rows[3][6]) ^ 1).encode()
    return joined(rows)


def _upper(text: bytes) -> bytes:
    return text.replace(b" aV", b" AV")


def _scaled(gain: bytes) -> Edit:
    return signal_field(2, gain)


def _append(text: bytes) -> Edit:
    return lambda content: content + text


def _lead_prefix(text: bytes) -> bytes:
    return joined([[*row[:8], b"Lead " + row[8]] if len(row) == 9 else row for row in lines(text)])


HEADERS: dict[str, tuple[Edit, set[str]]] = {
    "plain": (lambda text: text, set()),
    "lead_frank": (signal_field(8, b"vx", range(5, 6)), {"leads_left_out", "leads_derived"}),
    "lead_v7": (signal_field(8, b"V7", range(12, 13)), {"leads_left_out", "few_leads"}),
    "rate_with_counter": (record_field(2, b"500/100"), set()),
    "rate_with_counter_and_base": (record_field(2, b"500/100(17)"), set()),
    "rate_decimal": (record_field(2, b"500.0"), set()),
    "line_ends_cr": (lambda text: text.replace(b"\n", b"\r"), set()),
    "line_ends_crlf": (lambda text: text.replace(b"\n", b"\r\n"), set()),
    "byte_order_mark": (lambda text: b"\xef\xbb\xbf" + text, set()),
    "latin_1_comment": (_append("#Hx: Übelkeit\n".encode("latin-1")), set()),
    "utf_8_comment": (_append("#Hx: Übelkeit ❤\n".encode()), set()),
    "latin_1_microvolt": (_scaled("1(0)/µV".encode("latin-1")), set()),
    "utf_8_microvolt": (_scaled("1(0)/µV".encode()), set()),
    "greek_microvolt": (_scaled("1(0)/μV".encode()), set()),
    "microvolt": (_scaled(b"1/uV"), set()),
    "volt": (_scaled(b"1000000/V"), set()),
    "gain_decimal": (_scaled(b"1000.0(0)/mV"), set()),
    "gain_exponent": (_scaled(b"1e3/mV"), set()),
    "gain_without_unit": (_scaled(b"1000"), {"units_assumed"}),
    "date_2020": (record_field(3, b"3000 12-May-2020 12:33:59"), set()),
    "date_2020_february": (record_field(3, b"3000 05-Feb-2020 11:39:16"), set()),
    "date_wfdb": (record_field(3, b"3000 12:33:59 12/05/2020"), set()),
    "date_wfdb_fraction": (record_field(3, b"3000 12:33:59.125 1/5/1995"), set()),
    "date_iso": (record_field(3, b"3000 2020-05-12 12:33:59"), set()),
    "date_zero": (record_field(3, b"3000 00:00:00 00/00/0000"), set()),
    "time_only": (record_field(3, b"3000 12:33"), set()),
    "tabs": (lambda text: text.replace(b" ", b"\t"), set()),
    "several_spaces": (lambda text: text.replace(b" ", b"   "), set()),
    "trailing_spaces": (lambda text: text.replace(b"\n", b" \t\n"), set()),
    "blank_lines": (lambda text: b"\n\n" + text.replace(b"\n", b"\n\n"), set()),
    "comment_first": (lambda text: b"# made by a cart\n" + text, set()),
    "no_last_line_end": (lambda text: text.rstrip(b"\n"), set()),
    "leads_upper_case": (_upper, set()),
    "leads_with_the_word": (_lead_prefix, set()),
    "ludb_style": (_ludb_style, set()),
    "challenge_2021": (_challenge_2021, set()),
    "no_comments": (lambda text: joined(lines(text)[:13]), set()),
    "age_unknown": (lambda text: text.replace(b"#Age: 60", b"#Age: NaN"), set()),
    "age_300": (lambda text: text.replace(b"#Age: 60", b"#Age: 300"), {"odd_age"}),
    "age_text": (lambda text: text.replace(b"#Age: 60", b"#Age: <b>old"), {"odd_age"}),
    "sex_unknown": (lambda text: text.replace(b"Female", b"Unknown"), set()),
    "dx_unknown": (lambda text: text.replace(b"426783006", b"Unknown"), set()),
    "dx_empty": (lambda text: text.replace(b" 426783006", b""), set()),
    "dx_twice": (_append(b"#Dx: 164889003\n"), {"duplicate_dx"}),
    "dx_unknown_code": (lambda text: text.replace(b"426783006", b"123456789"), {"unknown_code"}),
    "dx_html": (
        lambda text: text.replace(b"426783006", b"426783006,<script>x</script>"),
        {"unreadable_dx"},
    ),
    "synthetic": (_append(b"#Synthetic: true\n"), set()),
    "checksum_wrong": (_wrong_sum, {"checksum"}),
    "rate_trailing_point": (record_field(2, b"500."), set()),
    "rate_exponent": (record_field(2, b"5e2"), set()),
    "signs": (record_field(1, b"+12"), set()),
    "comment_of_16_kb": (_append(b"#Hx: " + b"x" * 16_000 + b"\n"), set()),
    "comments_5000": (_append(b"#Hx: x\n" * 5000), set()),
    "digits_of_other_scripts_in_the_age": (
        lambda text: text.replace(b"#Age: 60", "#Age: ٦٠".encode()),
        {"odd_age"},
    ),
    "age_of_16000_digits": (
        lambda text: text.replace(b"#Age: 60", b"#Age: " + b"6" * 16_000),
        {"odd_age"},
    ),
    "formula_as_a_code": (
        lambda text: text.replace(b"426783006", b"426783006,=cmd|' /C calc'!A0"),
        {"unreadable_dx"},
    ),
    "html_comment": (_append(b"#Hx: <img src=x onerror=alert(1)>\n"), set()),
}

SIGNALS: dict[str, tuple[Make, set[str]]] = {
    "flat_lead": (_signal(_flat), {"flat_lead"}),
    "flat_part": (_signal(_flat_part), {"flat_part"}),
    "clipped": (_signal(_clipped), {"saturated"}),
    "on_the_rail": (_signal(_on_rail), {"saturated", "large_amplitude"}),
    "large": (_signal(_large), {"large_amplitude", "isolated_spike"}),
    "gap": (_signal(_gap), {"nan_run"}),
    "gap_in_dat": (_signal(_gap, fmt="dat"), {"nan_run"}),
    "leads_swapped": (_signal(_swapped), {"limb_leads_inconsistent"}),
    "mixed_gain": (_gains, {"mixed_gain"}),
    "baselines": (_baselines, set()),
    "odd_baseline": (_odd_baseline, {"mixed_zero"}),
    "rate_530": (_resampled(10, 530), {"unusual_rate"}),
    "rate_100": (_resampled(10, 100), set()),
    "rate_257": (_resampled(10, 257), set()),
    "rate_1000": (_resampled(10, 1000), set()),
    "short": (_resampled(1, 500), {"short_record"}),
    "long": (_resampled(70, 100), {"long_record"}),
    "leads_permuted": (_some_leads([*range(11, -1, -1)]), set()),
    "leads_8": (_some_leads([0, 1, 6, 7, 8, 9, 10, 11]), {"leads_derived"}),
    "leads_1": (_some_leads([1]), {"few_leads"}),
    "dat_16": (lambda folder: good_record(folder, fmt="dat"), set()),
    "dat_61": (_big_endian_dat, set()),
    "two_data_files": (_two_files, set()),
    "suffix_upper_case": (_upper_case_mat, set()),
    "links": (_linked, set()),
    "mat_given": (lambda folder: good_record(folder).with_suffix(".mat"), set()),
    "dat_given": (lambda folder: good_record(folder, fmt="dat").with_suffix(".dat"), set()),
    "name_given": (lambda folder: good_record(folder).with_suffix(""), set()),
    "name_with_dots": (_dotted, set()),
    "dat_24": (_in_format("24"), set()),
    "dat_32": (_in_format("32"), set()),
    "dat_80": (_in_format("80"), set()),
    "dat_160": (_packed("160"), set()),
    "dat_212": (_packed("212"), set()),
    "dat_212_odd": (_packed("212", 2999, 11), {"few_leads"}),
}


def _dicom(
    name: str, change: Callable[[Any], None] | None = None, syntax: str | None = None
) -> Make:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(dicom_bytes(change, syntax))
        return folder / name

    return make


def _with_median(dataset: Any) -> None:
    dataset.WaveformSequence = [group(600, "MEDIAN BEAT"), *dataset.WaveformSequence]


def _twice(dataset: Any) -> None:
    dataset.WaveformSequence = [*dataset.WaveformSequence, group()]


def _mdc(dataset: Any) -> None:
    dataset.WaveformSequence = [group(scheme="MDC")]


def _skewed(dataset: Any) -> None:
    dataset.WaveformSequence[0].ChannelDefinitionSequence[4].ChannelSampleSkew = "0.5"


def _shifted(dataset: Any) -> None:
    for channel in dataset.WaveformSequence[0].ChannelDefinitionSequence[6:]:
        channel.ChannelBaseline = "-120"


def _general(dataset: Any) -> None:
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.9.1.2"


def _anonymous(dataset: Any) -> None:
    del dataset.PatientAge, dataset.PatientSex, dataset.PatientName


def _channel(name: str, value: object) -> Callable[[Any], None]:
    def change(dataset: Any) -> None:
        setattr(dataset.WaveformSequence[0].ChannelDefinitionSequence[4], name, value)

    return change


def _age_999(dataset: Any) -> None:
    dataset.PatientAge = "999Y"


def _long_name(dataset: Any) -> None:
    dataset.PatientName = "N" * 60_000


def _no_such_characters(dataset: Any) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 999"


def _reversed(dataset: Any) -> None:
    item = dataset.WaveformSequence[0]
    item.ChannelDefinitionSequence = list(item.ChannelDefinitionSequence)[::-1]
    item.WaveformData = np.frombuffer(item.WaveformData, "<i2").reshape(-1, 12)[:, ::-1].tobytes()


DICOM: dict[str, tuple[Make, set[str]]] = {
    "dicom_plain": (_dicom("ecg.dcm"), set()),
    "dicom_implicit": (_dicom("ecg.dcm", syntax="1.2.840.10008.1.2"), set()),
    "dicom_without_suffix": (_dicom("IM0001"), set()),
    "dicom_long_suffix": (_dicom("ecg.dicom"), set()),
    "dicom_with_median": (_dicom("ecg.dcm", _with_median), set()),
    "dicom_two_rhythms": (_dicom("ecg.dcm", _twice), {"several_groups"}),
    "dicom_mdc_codes": (_dicom("ecg.dcm", _mdc), set()),
    "dicom_time_skew_of_1_ms": (
        _dicom("ecg.dcm", _channel("ChannelTimeSkew", "0.001")),
        {"channel_skew"},
    ),
    "dicom_questionable": (
        _dicom("ecg.dcm", _channel("ChannelStatus", "QUESTIONABLE")),
        {"channel_status"},
    ),
    "dicom_age_999": (_dicom("ecg.dcm", _age_999), {"odd_age"}),
    "dicom_long_name": (_dicom("ecg.dcm", _long_name), set()),
    "dicom_unknown_characters": (_dicom("ecg.dcm", _no_such_characters), set()),
    "dicom_skew": (_dicom("ecg.dcm", _skewed), {"channel_skew"}),
    "dicom_baseline": (_dicom("ecg.dcm", _shifted), set()),
    "dicom_general": (_dicom("ecg.dcm", _general), set()),
    "dicom_anonymous": (_dicom("ecg.dcm", _anonymous), set()),
    "dicom_leads_reversed": (_dicom("ecg.dcm", _reversed), set()),
}

CASES: dict[str, tuple[Make, set[str]]] = (
    {name: (header(edit), codes) for name, (edit, codes) in HEADERS.items()} | SIGNALS | DICOM
)
