"""Sound files of foreign formats, built from the sound record, and what can go wrong with them."""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ecgxai_core.types import STANDARD_LEADS
from tests.corpus.base import FS, SAMPLES, ecg, mat5_bomb, mat5_crash, written_by_scipy

__all__ = ["BAD", "GIVEN", "GOOD", "counts8", "edf", "muse", "scp"]

Make = Callable[[Path], Path]
CASES = Path(__file__).resolve().parents[1] / "cases" / "formats"
EIGHT = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
EIGHT_NUMBERS = (1, 2, 3, 4, 5, 6, 7, 8)
MICROVOLTS = 4.88
GIVEN = {"fs": FS, "units": "mV", "leads": list(STANDARD_LEADS)}


def counts8() -> np.ndarray:
    """``int16[8, sample]``: counts of 4.88 uV of I, II, V1-V6."""
    rows = [STANDARD_LEADS.index(lead) for lead in EIGHT]
    return np.rint(ecg()[rows] * 1000 / MICROVOLTS).astype(np.int16)


# ---- SCP-ECG ---------------------------------------------------------------------------------


def _section(number: int, body: bytes) -> bytes:
    body += b"\0" * (len(body) % 2)
    rest = struct.pack("<HIBB6x", number, 16 + len(body), 20, 20) + body
    return struct.pack("<H", binascii.crc_hqx(rest, 0xFFFF)) + rest


def default_huffman(values: list[int]) -> bytes:
    """Numbers in the default table of EN 1064, first bit first."""
    bits = ""
    for value in values:
        size = abs(value)
        if size == 0:
            bits += "0"
        elif size <= 8:
            bits += "1" * size + "0" + ("1" if value < 0 else "0")
        elif -128 <= value <= 127:
            bits += "1" * 9 + "0" + format(value & 0xFF, "08b")
        else:
            bits += "1" * 10 + format(value & 0xFFFF, "016b")
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def scp(
    counts: np.ndarray | None = None, *, order: int = 0, huffman: bool = False,
    person: bytes | None = None, leads: bytes | None = None, table: int = 19_999,
    rhythm: bytes | None = None, flags: int = 4, thinned: int = 0, microseconds: int = 2000,
    nanovolts: int = 4880,
) -> bytes:  # fmt: skip
    """An SCP-ECG file of eight leads; every part can be replaced."""
    counts = counts8() if counts is None else counts
    n = counts.shape[1]
    if person is None:
        tags = {
            0: b"Muster\0", 1: b"Erika\0", 2: b"4711\0", 4: struct.pack("<HB", 60, 1), 8: b"\x02",
            25: struct.pack("<HBB", 2020, 2, 3),
        }  # fmt: skip
        parts = [struct.pack("<BH", tag, len(v)) + v for tag, v in tags.items()]
        person = b"".join(parts) + b"\xff\0\0"
    if leads is None:
        rows = [struct.pack("<IIB", 1, n, lead) for lead in EIGHT_NUMBERS]
        leads = bytes([len(rows), flags]) + b"".join(rows)
    if rhythm is None:
        steps = counts.astype(np.int64)
        if order:  # the first samples stand as they are
            steps[:, order:] = np.diff(steps, order, axis=1)
        packed = [
            default_huffman(row.tolist()) if huffman else row.astype("<i2").tobytes()
            for row in steps
        ]
        rhythm = struct.pack("<HHBB", nanovolts, microseconds, order, thinned)
        rhythm += struct.pack(f"<{len(packed)}H", *map(len, packed)) + b"".join(packed)
    bodies = {1: person, 3: leads, 6: rhythm}
    if huffman:
        bodies[2] = struct.pack("<H", table)
    sections = {number: _section(number, bodies[number]) for number in sorted(bodies)}
    pointers, position = b"", 6 + 16 + 10 * (len(sections) + 1) + 1
    head_length = 16 + 10 * (len(sections) + 1)
    pointers += struct.pack("<HII", 0, head_length, 7)
    for number, section in sections.items():
        pointers += struct.pack("<HII", number, len(section), position)
        position += len(section)
    rest = struct.pack("<HIBB", 0, head_length, 20, 20) + b"SCPECG" + pointers
    head = struct.pack("<H", binascii.crc_hqx(rest, 0xFFFF)) + rest
    return sealed(b"\0" * 6 + head + b"".join(sections.values()))


def sealed(data: bytes) -> bytes:
    """The file with its length and checksum made right."""
    data = data[:2] + struct.pack("<I", len(data)) + data[6:]
    return struct.pack("<H", binascii.crc_hqx(data[2:], 0xFFFF)) + data[2:]


# ---- MUSE XML --------------------------------------------------------------------------------


def muse(counts: np.ndarray | None = None, **changes: str) -> bytes:
    """A MUSE file after the structure of GE's ``restecg.dtd``; ``changes`` replace its fields."""
    counts = counts8() if counts is None else counts
    fields = {
        "encoding": "ISO-8859-1", "doctype": '<!DOCTYPE RestingECG SYSTEM "restecg.dtd">',
        "type": "Rhythm", "base": str(FS), "exponent": "0", "n": str(len(counts)),
        "per_bit": str(MICROVOLTS), "units": "MICROVOLTS", "total": str(counts.shape[1]),
        "size": "2", "offset": "0", "off": "FALSE", "age": "60", "last": "Muster",
        "age_units": "YEARS", "born": "", "taken": "",
    } | changes  # fmt: skip
    leads = "".join(
        f"<LeadData><LeadByteCountTotal>{2 * counts.shape[1]}</LeadByteCountTotal>"
        f"<LeadTimeOffset>{fields['offset']}</LeadTimeOffset>"
        f"<LeadSampleCountTotal>{fields['total']}</LeadSampleCountTotal>"
        f"<LeadAmplitudeUnitsPerBit>{fields['per_bit']}</LeadAmplitudeUnitsPerBit>"
        f"<LeadAmplitudeUnits>{fields['units']}</LeadAmplitudeUnits><LeadID>{name}</LeadID>"
        f"<LeadSampleSize>{fields['size']}</LeadSampleSize><LeadOff>{fields['off']}</LeadOff>"
        f"<WaveFormData>{fields.get('data') or _base64(row)}</WaveFormData></LeadData>"
        for name, row in zip(fields.get("leads", " ".join(EIGHT)).split(), counts, strict=False)
    )
    median = "<Waveform><WaveformType>Median</WaveformType><SampleBase>500</SampleBase></Waveform>"
    text = (
        f'<?xml version="1.0" encoding="{fields["encoding"]}"?>{fields["doctype"]}<RestingECG>'
        f"<PatientDemographics><PatientID>4711</PatientID><PatientAge>{fields['age']}</PatientAge>"
        f"<AgeUnits>{fields['age_units']}</AgeUnits><DateofBirth>{fields['born']}</DateofBirth>"
        f"<Gender>FEMALE</Gender>"
        f"<PatientLastName>{fields['last']}</PatientLastName></PatientDemographics>"
        f"<TestDemographics><AcquisitionDate>{fields['taken']}</AcquisitionDate>"
        f"</TestDemographics>{median}"
        f"<Waveform><WaveformType>{fields['type']}</WaveformType>"
        f"<NumberofLeads>{fields['n']}</NumberofLeads><SampleBase>{fields['base']}</SampleBase>"
        f"<SampleExponent>{fields['exponent']}</SampleExponent>{leads}</Waveform></RestingECG>"
    )
    return text.encode("latin-1")


def _base64(row: np.ndarray) -> str:
    text = base64.b64encode(row.astype("<i2").tobytes()).decode("ascii")
    return "\n".join(text[n : n + 76] for n in range(0, len(text), 76))


# ---- EDF -------------------------------------------------------------------------------------


def edf(
    *, reserved: str = "EDF+C", duration: str = "1",
    person: str = "4711 F 03-FEB-1960 Erika_Muster", recording: str = "Startdate 03-FEB-2020",
    **columns: list[str],
) -> bytes:  # fmt: skip
    """An EDF+ file of eight leads and annotations; ``columns`` replace its fields."""
    counts, width = counts8(), FS
    n_records, n = SAMPLES // width, len(counts) + 1
    scale = 32767 * MICROVOLTS / 1000
    fields = {
        "label": [f"ECG {lead}" for lead in EIGHT] + ["EDF Annotations"],
        "transducer": [""] * n, "unit": ["mV"] * n,
        "low": [f"{-scale:.5f}"[:8]] * n, "high": [f"{scale:.5f}"[:8]] * n,
        "least": ["-32767"] * n, "most": ["32767"] * n, "filter": [""] * n,
        "samples": [str(width)] * 8 + ["8"], "extra": [""] * n,
    } | columns  # fmt: skip
    widths = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)
    head = (
        f"{'0':8}{person:80}{recording:80}03.02.2010.00.00{256 * (n + 1):<8}"
        f"{reserved:44}{n_records:<8}{duration:8}{n:<4}"
    )
    head += "".join(
        text.ljust(size)[:size]
        for size, texts in zip(widths, fields.values(), strict=True)
        for text in texts
    )
    body = b""
    for k in range(n_records):
        for row in counts:
            body += row[k * width : (k + 1) * width].astype("<i2").tobytes()
        body += bytes(16)
    return head.encode("ascii") + body


# ---- arrays ----------------------------------------------------------------------------------


def npy(values: np.ndarray | None = None) -> bytes:
    """What :func:`numpy.save` makes of the sound record, ``[lead, sample]`` in mV."""
    buffer = io.BytesIO()
    np.save(buffer, ecg().astype("f4") if values is None else values, allow_pickle=True)
    return buffer.getvalue()


def table(values: np.ndarray | None = None, head: str = "", mark: str = ",") -> bytes:
    """A table with one column per lead."""
    values = ecg()[:, :1000].T if values is None else values
    rows = "\n".join(mark.join(f"{x:.4f}" for x in row) for row in values)
    return ((head + "\n" if head else "") + rows + "\n").encode()


def hdf5(fill: Callable[[object], None]) -> bytes:
    """An HDF5 file that a function fills."""
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        fill(file)
    return buffer.getvalue()


def _sound_hdf5(file: object) -> None:
    file["ecg"] = ecg().astype("f2")  # type: ignore[index]


HEAD = "time," + ",".join(f"{lead} (mV)" for lead in STANDARD_LEADS)


def _with_time() -> np.ndarray:
    return np.column_stack([np.arange(1000) / FS, ecg()[:, :1000].T])


def _file(name: str, content: Callable[[], bytes], given: dict[str, object] | None = None) -> Make:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content())
        if given is not None:
            (folder / "given.json").write_text(json.dumps(given), "utf-8")
        return folder / name

    return make


def _aecg(edit: Callable[[bytes], bytes] = lambda text: text) -> Make:
    packed = CASES / "aecg_example.xml.gz"
    return _file("e.xml", lambda: edit(gzip.decompress(packed.read_bytes())))


def _sierra(edit: Callable[[bytes], bytes] = lambda text: text) -> Make:
    return _file("e.xml", lambda: edit((CASES / "sierra_1_03.xml").read_bytes()))


def _swap(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def edit(text: bytes) -> bytes:
        assert old in text
        return text.replace(old, new, 1)

    return edit


def _billion(levels: int = 10) -> str:
    lines = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "lol"}">' for n in range(levels))
    return f"<!DOCTYPE RestingECG [{lines}]>"


def _scp(**changes: object) -> Make:
    return _file("e.scp", lambda: scp(**changes))  # type: ignore[arg-type]


def _scp_edit(edit: Callable[[bytes], bytes], *, seal: bool = True) -> Make:
    return _file("e.scp", lambda: sealed(edit(scp())) if seal else edit(scp()))


def _muse(**changes: str) -> Make:
    return _file("e.xml", lambda: muse(**changes))


def _edf(**changes: object) -> Make:
    return _file("e.edf", lambda: edf(**changes))  # type: ignore[arg-type]


def _npy(content: Callable[[], bytes], **changes: object) -> Make:
    return _file("e.npy", content, GIVEN | changes)


def _csv(content: Callable[[], bytes], **changes: object) -> Make:
    return _file("e.csv", content, GIVEN | changes)


def _mat(content: Callable[[], bytes]) -> Make:
    return _file("e.mat", content, GIVEN)


def _h5(fill: Callable[[object], None], edit: Callable[[bytes], bytes] = lambda x: x) -> Make:
    return _file("e.h5", lambda: edit(hdf5(fill)), GIVEN)


def _replace(text: str, position: int, new: bytes) -> bytes:
    return new


GOOD: dict[str, Make] = {
    "scp": _scp(),
    "scp_first_differences": _scp(order=1),
    "scp_huffman": _scp(order=2, huffman=True),
    "muse": _muse(),
    "muse_no_doctype": _muse(doctype="", encoding="UTF-8"),
    "aecg": _aecg(),
    "sierra": _sierra(),
    "edf": _edf(),
    "edf_plain": _edf(reserved=""),
    "npy": _npy(npy),
    "npy_by_sample": _npy(lambda: npy(np.ascontiguousarray(ecg().T))),
    "npy_fortran": _npy(lambda: npy(np.asfortranarray(ecg()))),
    "npy_records": _npy(lambda: npy(np.stack([ecg(), ecg()]))),
    "csv": _csv(table),
    "csv_named": _file("e.csv", lambda: table(_with_time(), HEAD), {"fs": FS}),
    "csv_semicolons": _csv(lambda: table(mark=";")),
    "mat5": _mat(lambda: written_by_scipy(ecg())),
    "mat5_compressed": _mat(lambda: written_by_scipy(ecg(), "x", compress=True)),
    "hdf5": _h5(_sound_hdf5),
}


def _links(file: object) -> None:
    import h5py

    file["ecg"] = h5py.ExternalLink("/etc/passwd", "/x")  # type: ignore[index]


def _soft(file: object) -> None:
    import h5py

    file["ecg"] = h5py.SoftLink("/ecg")  # type: ignore[index]


def _huge(file: object) -> None:
    file.create_dataset("ecg", (12, 10**12), "f4", chunks=(12, 1000))  # type: ignore[attr-defined]


def _huge_chunk(file: object) -> None:
    file.create_dataset("ecg", (12, 3000), "f8", chunks=(12, 3000), maxshape=(None, None))  # type: ignore[attr-defined]
    file.create_dataset("other", (12, 3000), "f8")  # type: ignore[attr-defined]


def _outside(file: object) -> None:
    file.create_dataset("ecg", (12, 3000), "f8", external=[("/dev/zero", 0, 12 * 3000 * 8)])  # type: ignore[attr-defined]


def _strings(file: object) -> None:
    file["ecg"] = np.full((12, 3000), b"1", "S1")  # type: ignore[index]


def _many(file: object) -> None:
    for n in range(300):
        file[f"x{n}"] = np.zeros((2, 2))  # type: ignore[index]


def _nan() -> np.ndarray:
    return np.full((12, SAMPLES), np.nan)


def _infinite() -> np.ndarray:
    values = ecg()
    values[3, 7] = np.inf
    return values


def _claims(shape: str) -> bytes:
    """A NumPy head of a shape, with the numbers of another."""
    head = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(head) + 1) + head + b"\n" + bytes(800)


def _second_chunk_cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


LONG_LEADS = bytes([255, 4]) + b"\0" * 20
TWO_TIMES = bytes([8, 4]) + b"".join(
    struct.pack("<IIB", 1 + 3000 * (k > 3), 3000 * (1 + (k > 3)), k + 1) for k in range(8)
)
MANY_SAMPLES = bytes([8, 4]) + b"".join(struct.pack("<IIB", 1, 2**32 - 1, k + 1) for k in range(8))
LEAD_TWICE = bytes([8, 4]) + b"".join(struct.pack("<IIB", 1, SAMPLES, 1) for _ in range(8))
LEAD_UNKNOWN = bytes([8, 4]) + b"".join(struct.pack("<IIB", 1, SAMPLES, k + 150) for k in range(8))

BAD: dict[str, Make] = {
    "scp_cut": _file("e.scp", lambda: scp()[:-100]),
    "scp_cut_sealed": _scp_edit(lambda data: data[:-100]),
    "scp_head_only": _scp_edit(lambda data: data[:40]),
    "scp_flipped_bit": _scp_edit(lambda d: d[:-9] + bytes([d[-9] ^ 1]) + d[-8:], seal=False),
    "scp_flipped_bit_sealed": _scp_edit(lambda d: d[:-9] + bytes([d[-9] ^ 1]) + d[-8:]),
    "scp_pointer_beyond": _scp_edit(lambda d: d[:52] + struct.pack("<I", 2**31) + d[56:]),
    "scp_section_0_huge": _scp_edit(lambda d: d[:10] + struct.pack("<I", 2**31) + d[14:]),
    "scp_no_leads": _scp(leads=b"\0\0"),
    "scp_255_leads": _scp(leads=LONG_LEADS),
    "scp_two_times": _scp(leads=TWO_TIMES),
    "scp_4e9_samples": _scp(leads=MANY_SAMPLES),
    "scp_lead_twice": _scp(leads=LEAD_TWICE),
    "scp_leads_unknown": _scp(leads=LEAD_UNKNOWN),
    "scp_beats_subtracted": _scp(flags=5),
    "scp_thinned": _scp(thinned=1),
    "scp_own_table": _scp(huffman=True, table=1),
    "scp_order_3": _scp(rhythm=struct.pack("<HHBB", 4880, 2000, 3, 0) + bytes(16)),
    "scp_rate_0": _scp(microseconds=0),
    "scp_rate_16_hz": _scp(microseconds=60_000),
    "scp_scale_0": _scp(nanovolts=0),
    "scp_rhythm_empty": _scp(rhythm=b""),
    "scp_rhythm_short": _scp(rhythm=struct.pack("<HHBB8H", 4880, 2000, 0, 0, *[6000] * 8)),
    "scp_field_beyond": _scp(person=b"\0\xff\xff" + b"x"),
    "muse_cut": _file("e.xml", lambda: muse()[:5000]),
    "muse_billion_laughs": _muse(doctype=_billion(), last="&l9;"),
    "muse_quadratic_entity": _muse(
        doctype=f'<!DOCTYPE RestingECG [<!ENTITY a "{"x" * 50_000}">]>', last="&a;" * 20_000
    ),
    "muse_external_entity": _muse(
        doctype='<!DOCTYPE RestingECG [<!ENTITY a SYSTEM "file:///etc/passwd">]>', last="&a;"
    ),
    "muse_undeclared_entity": _muse(last="&nbsp;"),
    "muse_parameter_entity": _muse(
        doctype='<!DOCTYPE RestingECG [<!ENTITY % a SYSTEM "http://127.0.0.1/x"> %a;]>'
    ),
    "muse_base64_wrong": _muse(data="AAA*"),
    "muse_base64_short": _muse(data="AAAA"),
    "muse_units_missing": _muse(units=""),
    "muse_units_mmhg": _muse(units="MMHG"),
    "muse_scale_nan": _muse(per_bit="nan"),
    "muse_scale_0": _muse(per_bit="0"),
    "muse_scale_minus": _muse(per_bit="-4.88"),
    "muse_rate_missing": _muse(base=""),
    "muse_rate_1": _muse(base="1"),
    "muse_rate_1e9": _muse(exponent="6"),
    "muse_rate_inf": _muse(base="inf"),
    "muse_exponent_999999": _muse(exponent="999999"),
    "muse_rate_long": _muse(base="5" * 20_000),
    "muse_count_other": _muse(total="2999"),
    "muse_count_1e15": _muse(total="1e15"),
    "muse_8_bits": _muse(size="1"),
    "muse_later_lead": _muse(offset="2500"),
    "muse_lead_twice": _muse(leads="I I V1 V2 V3 V4 V5 V6"),
    "muse_lead_unknown": _muse(leads="I II V1 V2 V3 V4 V5 Q9"),
    "muse_more_leads_said": _muse(n="12"),
    "muse_median_only": _muse(type="Median"),
    "muse_deep": _file("e.xml", lambda: b"<RestingECG>" + b"<a>" * 200_000),
    "muse_many_elements": _file(
        "e.xml", lambda: b"<RestingECG>" + b"<a/>" * 500_000 + b"</RestingECG>"
    ),
    "muse_encoding_unknown": _muse(encoding="x-nothing"),
    "xml_unknown": _file("e.xml", lambda: b"<?xml version='1.0'?><cda/>"),
    "xml_svg": _file("e.xml", lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
    "aecg_cut": _aecg(lambda text: text[:200_000]),
    "aecg_increment_0": _aecg(_swap(b'<increment value="0.002"', b'<increment value="0"')),
    "aecg_increment_mm": _aecg(
        _swap(b'<increment value="0.002" unit="s"', b'<increment value="0.002" unit="mm"')
    ),
    "aecg_scale_missing": _aecg(_swap(b"<scale ", b"<scala ")),
    "aecg_scale_kg": _aecg(_swap(b'<scale value="2.5" unit="uV"', b'<scale value="2.5" unit="kg"')),
    "aecg_digits_nan": _aecg(_swap(b"<digits> -2 -2", b"<digits> NaN -2")),
    "aecg_digits_float": _aecg(_swap(b"<digits> -2 -2", b"<digits> 1e9 -2")),
    "aecg_digits_long": _aecg(_swap(b"<digits> -2 -2", b"<digits> " + b"9" * 50_000 + b" -2")),
    "aecg_one_less": _aecg(_swap(b"<digits> -2 -2", b"<digits> -2")),
    "aecg_lead_twice": _aecg(_swap(b'"MDC_ECG_LEAD_II"', b'"MDC_ECG_LEAD_I"')),
    "aecg_no_rhythm": _aecg(_swap(b'code="RHYTHM"', b'code="REPRESENTATIVE_BEAT"')),
    "sierra_cut": _sierra(lambda text: text[:30_000]),
    "sierra_version": _sierra(_swap(b">1.03<", b">1.01<")),
    "sierra_rate_0": _sierra(_swap(b"<samplingrate>500", b"<samplingrate>0")),
    "sierra_rate_double": _sierra(_swap(b"<samplingrate>500", b"<samplingrate>1000")),
    "sierra_unpacked": _sierra(_swap(b'compressflag="True"', b'compressflag="False"')),
    "sierra_8_bits": _sierra(_swap(b"<bitspersample>16", b"<bitspersample>8")),
    "sierra_duration": _sierra(_swap(b'durationperchannel="11000"', b'durationperchannel="1e12"')),
    "sierra_base64": _sierra(_swap(b"7gUAAAEA", b"7gUA*AEA")),
    "sierra_block_size": _sierra(_swap(b"7gUAAAEA", b"////fwEA")),
    "sierra_block_negative": _sierra(_swap(b"7gUAAAEA", b"/////wEA")),
    "sierra_resolution": _sierra(_swap(b"<signalresolution>5", b"<signalresolution>")),
    "edf_cut": _file("e.edf", lambda: edf()[:-1]),
    "edf_head_cut": _file("e.edf", lambda: edf()[:300]),
    "edf_discontinuous": _edf(reserved="EDF+D"),
    "edf_duration_0": _edf(duration="0"),
    "edf_duration_nan": _edf(duration="nan"),
    "edf_unit": _edf(unit=["mmHg"] * 9),
    "edf_no_unit": _edf(unit=[""] * 9),
    "edf_no_range": _edf(low=["5"] * 9, high=["5"] * 9),
    "edf_digital_range": _edf(least=["7"] * 9, most=["7"] * 9),
    "edf_mixed_rates": _edf(samples=["500"] * 7 + ["250", "258"]),
    "edf_samples_1e9": _edf(samples=["1e9"] * 9),
    "edf_lead_unknown": _edf(label=["EEG Fpz"] * 8 + ["EDF Annotations"]),
    "edf_lead_twice": _edf(label=["ECG I"] * 8 + ["EDF Annotations"]),
    "bdf": _file("e.bdf", lambda: b"\xffBIOSEMI" + bytes(1000)),
    "npy_objects": _npy(lambda: npy(np.array([[{}] * 3000] * 12, dtype=object))),
    "npy_cut": _npy(lambda: npy()[:-8]),
    "npy_claims_1e15": _npy(lambda: _claims("(12, 1000000000000000)")),
    "npy_claims_negative": _npy(lambda: _claims("(-12, 5)")),
    "npy_head_code": _npy(lambda: b"\x93NUMPY\1\0\x20\0" + b"__import__('os').system('x')    "),
    "npy_head_deep": _npy(lambda: b"\x93NUMPY\1\0" + struct.pack("<H", 60000) + b"(" * 60000),
    "npy_1d": _npy(lambda: npy(np.zeros(3000))),
    "npy_strings": _npy(lambda: npy(np.full((12, 3000), "1"))),
    "npy_complex": _npy(lambda: npy(ecg().astype("c16"))),
    "npy_nan": _npy(lambda: npy(_nan())),
    "npy_inf": _npy(lambda: npy(_infinite())),
    "npy_huge_values": _npy(lambda: npy(ecg() * 1e30)),
    "npy_no_rate": _npy(npy, fs=None),
    "npy_no_units": _npy(npy, units=None),
    "npy_no_leads": _npy(npy, leads=None),
    "npy_rate_minus": _npy(npy, fs=-500.0),
    "npy_units_mmhg": _npy(npy, units="mmHg"),
    "npy_other_leads": _npy(npy, leads=["I", "II"]),
    "npy_square": _npy(lambda: npy(np.zeros((12, 12)))),
    "npz": _npy(lambda: b"PK\x03\x04" + bytes(100)),
    "csv_empty": _csv(lambda: b""),
    "csv_text": _csv(lambda: b"hello\nworld\n" * 100),
    "csv_ragged": _csv(lambda: table() + b"1,2,3\n"),
    "csv_hex": _csv(lambda: table().replace(b"0.0", b"0x1", 1)),
    "csv_hex_later": _csv(lambda: table()[:-9] + b"0x1\n"),
    "csv_column_numbers": _csv(lambda: table(head=",".join(map(str, range(12))))),
    "csv_decimal_comma": _csv(lambda: table(mark=";").replace(b".", b",")),
    "csv_nul": _csv(lambda: b"\0" * 1000),
    "csv_mixed_units": _file(
        "e.csv", lambda: table(_with_time(), HEAD.replace("V6 (mV)", "V6 (uV)")), {"fs": FS}
    ),
    "csv_no_units": _file(
        "e.csv", lambda: table(_with_time(), HEAD.replace(" (mV)", "")), {"fs": FS}
    ),
    "csv_long_field": _csv(lambda: b"1," * 100_000 + b"\n"),
    "csv_utf16": _csv(lambda: table().decode().encode("utf-16")),
    "mat5_type_8": _mat(lambda: mat5_crash(8)),
    "mat5_type_200": _mat(lambda: mat5_crash(200)),
    "mat5_bomb": _mat(mat5_bomb),
    "mat5_cut": _mat(lambda: written_by_scipy(ecg())[:-999]),
    "mat5_two": _mat(lambda: written_by_scipy(ecg(), "a") + written_by_scipy(ecg(), "b")[128:]),
    "mat5_text": _mat(lambda: written_by_scipy("text")),
    "mat5_cell": _mat(lambda: written_by_scipy(np.array([[1, "a"]], dtype=object))),
    "mat5_complex": _mat(lambda: written_by_scipy(ecg() * 1j)),
    "hdf5_external_link": _h5(_links),
    "hdf5_soft_link": _h5(_soft),
    "hdf5_external_values": _h5(_outside),
    "hdf5_1e12_samples": _h5(_huge),
    "hdf5_two_arrays": _h5(_huge_chunk),
    "hdf5_strings": _h5(_strings),
    "hdf5_300_arrays": _h5(_many),
    "hdf5_cut": _h5(_sound_hdf5, _second_chunk_cut),
    "hdf5_head_only": _h5(_sound_hdf5, lambda data: data[:64]),
    "hdf5_noise": _h5(_sound_hdf5, lambda d: d[:8] + np.random.default_rng(1).bytes(4000)),
}
