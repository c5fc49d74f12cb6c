"""The table of diagnoses: its content, and refusal of invalid rows."""

from __future__ import annotations

import csv
import math
import pickle
import tomllib
from pathlib import Path

import pytest

from ecgxai_core import diagnoses as d
from ecgxai_core.errors import DiagnosisError
from ecgxai_core.settings import assets_dir
from ecgxai_core.types import STANDARD_LEADS

SUPERCLASSES = ("NORM", "MI", "STTC", "CD", "HYP")
TABLE = (assets_dir() / "diagnoses.toml").read_text(encoding="utf-8")
NAMES = tomllib.loads(TABLE)["names"]
"""Names of codes that have no row."""
CODE, NAME = next(iter(NAMES.items()))
NAMED = f'{CODE} = "{NAME}"'
PUBLISHED = (
    "426783006", "164889003", "164890007", "426627000", "426177001", "427084000", "427393009",
    "284470004", "63593006", "427172004", "17338001", "10370003", "270492004", "164947007",
    "713427006", "59118001", "713426002", "164909002", "445118002", "698252002", "39732003",
    "47665007", "251146004", "164917005", "111975006", "164934002", "59931005",
)  # fmt: skip
"""Codes of the published table, which stay as published; others may be added."""
ADDED_ALIASES = ("733534002",)
"""Codes of published rows that a later Challenge scores as the same."""


def published_rows() -> list[d.Diagnosis]:
    return [row for row in d.diagnoses() if row.code in PUBLISHED]


def test_the_published_codes_have_evidence_and_no_code_stands_twice() -> None:
    codes = [code for row in published_rows() for code in row.aliases]
    assert sorted(codes) == sorted((*PUBLISHED, *ADDED_ALIASES))
    every = [code for row in d.diagnoses() for code in row.aliases]
    assert len(set(every)) == len(every)
    assert all(row.has_evidence for row in d.diagnoses() if row.code not in SUPERCLASSES)


def test_superclasses_have_no_evidence() -> None:
    for code in SUPERCLASSES:
        row = d.diagnosis(code)
        assert not row.has_evidence
        assert row.windows == row.strict_leads == row.lenient_leads == ()
        assert row.terms[0].ptbxl_class == code


@pytest.mark.parametrize(
    ("alias", "canonical"),
    [
        ("59118001", "713427006"), ("63593006", "284470004"), ("17338001", "427172004"),
        ("733534002", "164909002"),
    ],
)  # fmt: skip
def test_challenge_aliases_share_the_canonical_row(alias: str, canonical: str) -> None:
    assert d.diagnosis(alias) is d.diagnosis(canonical)
    assert d.diagnosis(alias).code == canonical
    assert d.aliases(alias) == d.aliases(canonical) == (canonical, alias)
    assert d.term_of(alias).code == alias
    assert d.term_of(alias).name != d.term_of(canonical).name


def test_lookup_by_abbreviation_ignores_case() -> None:
    assert d.diagnosis("af").code == "164889003"
    assert d.diagnosis(" VPB ").code == "427172004"
    assert d.diagnosis("NSR").code == d.diagnosis("sr").code == "426783006"


def test_unknown_targets() -> None:
    assert d.find_diagnosis("123456789") is None
    assert d.aliases("123456789") == ("123456789",)
    assert d.term_of("123456789").name == "123456789"
    with pytest.raises(DiagnosisError, match="123456789"):
        d.diagnosis("123456789")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("164889003", "164889003"), ("AF", "164889003"), ("af", "164889003"),
        (" Atrial   fibrillation ", "164889003"), ("RBBB", "59118001"), ("VPB", "17338001"),
        (NAME.upper(), CODE), ("MI", "MI"), ("myocardial infarction", "MI"),
        ("nonsense", "nonsense"), ("123456789", "123456789"),
    ],
)  # fmt: skip
def test_names_and_abbreviations_become_codes(text: str, code: str) -> None:
    assert d.code_of(text) == code
    assert d.is_free_name(code) is (text == "nonsense")


def test_every_name_of_the_table_is_found() -> None:
    for term in d.terms():
        for name in (term.code, term.name, *term.abbreviations):
            assert d.code_of(name.upper()) == term.code


def test_codes_without_evidence_have_a_name() -> None:
    for code, name in NAMES.items():
        assert d.term_of(code).name == name
        assert d.find_diagnosis(code) is None
        assert d.aliases(code) == (code,)
    assert {*NAMES, "164889003", "59118001", "MI"} <= d.known_codes()
    assert all(d.term_of(code).name != code for code in d.known_codes())


def test_names_are_written_in_one_style() -> None:
    names = [d.term_of(code).name for code in d.known_codes()]
    assert d.diagnosis("164934002").name == "T wave abnormal"
    assert d.diagnosis("164917005").name == "Q wave abnormal"
    assert d.diagnosis("270492004").name == "1st degree AV block"
    written: dict[str, str] = {}
    for name in names:
        assert name == " ".join(name.split())
        for word in name.split():
            assert written.setdefault(word.lower(), word) == word, name


@pytest.mark.data
def test_every_code_of_the_sample_has_a_name(data_dir: Path) -> None:
    found = set()
    for header in (data_dir / "cinc2020_sample").glob("*.hea"):
        line = next(t for t in header.read_text().splitlines() if "Dx" in t)
        found |= {code.strip() for code in line.partition(":")[2].split(",")}
    assert len(found) > 20
    assert not {code for code in found if d.term_of(code).name == code}


def test_published_defaults() -> None:
    nsr, pvc, af = d.diagnosis("NSR"), d.diagnosis("PVC"), d.diagnosis("AF")
    assert nsr.segment_sec == 0.25
    assert dict(nsr.method_weights) == {"lime": 0.7, "timeshap": 0.3}
    assert pvc.segment_sec == 0.4
    assert {r.segment_sec for r in published_rows() if r not in (nsr, pvc)} == {0.5}
    assert all(not r.method_weights for r in published_rows() if r is not nsr)
    assert nsr.prior_leads == ("II", "V1", "I", "aVF", "V2")
    assert nsr.prior_windows == ("pre",)
    assert af.prior_leads == ("II", "V1", "III", "aVF", "V2")
    assert af.prior_windows == ("beat", "qrs")
    assert pvc.prior_leads == ("V1", "V2", "V3", "V4", "II")
    assert pvc.prior_windows == ("qrs", "qrs_on", "qrs_term", "beat")
    assert sum(bool(r.prior_leads) for r in published_rows()) == 3


def test_windows_in_seconds() -> None:
    af = d.diagnosis("AF")
    expected = {
        "pre": (-0.22, -0.05), "qrs_on": (-0.06, -0.01), "qrs": (-0.05, 0.08),
        "qrs_term": (0.04, 0.16), "stt": (0.06, 0.20), "tlate": (0.20, 0.40),
        "pace": (-0.01, 0.02), "beat": (-0.30, 0.40),
    }  # fmt: skip
    assert {kind: d.windows_sec(kind, af, 60) for kind in d.window_kinds()} == expected
    assert d.windows_sec("pre", af, 100) == (-0.22, -0.05)
    assert d.windows_sec("pre", af, 100.1) == (-0.18, -0.04)
    assert d.windows_sec("pre", af, math.nan) == (-0.22, -0.05)
    assert d.windows_sec("qrs", None, 150) == (-0.05, 0.08)
    with pytest.raises(DiagnosisError, match="window"):
        d.windows_sec("p_wave", af, 60)


def test_terminal_qrs_is_longer_in_bundle_branch_and_intraventricular_blocks() -> None:
    wide = {r.abbreviations[0] for r in published_rows()
            if d.windows_sec("qrs_term", r, 60)[1] == 0.20}  # fmt: skip
    assert wide == {"CRBBB", "IRBBB", "LBBB", "NSIVCB"}


def test_every_row_has_citations_and_doubtful_ones_a_note() -> None:
    for row in d.diagnoses():
        assert row.citations
        assert all(any(year in c for year in map(str, range(2000, 2027))) for c in row.citations)
        # The published lists of NSIVCB are not nested, which its note must state.
        if not set(row.strict_leads) <= set(row.lenient_leads):
            assert "lenient" in row.note
    assert not set(d.diagnosis("NSIVCB").strict_leads) <= set(d.diagnosis("NSIVCB").lenient_leads)


def test_rows_can_be_hashed_compared_and_sent_to_another_process() -> None:
    for row in d.diagnoses():
        assert pickle.loads(pickle.dumps(row)) == row  # noqa: S301
        assert isinstance(hash(row), int)


def test_ptbxl_statements_have_one_code_each() -> None:
    codes = {s: term.code for term in d.terms() for s in term.ptbxl}
    assert codes["AFIB"] == "164889003"
    assert codes["NORM"] == codes["SR"] == "426783006"
    assert codes["SVARR"] == "63593006"
    assert codes["PAC"] == "284470004"
    axis = {s: term.code for term in d.terms() for s in term.ptbxl_axis}
    left, right = "39732003", "47665007"
    assert axis == axis | {"LAD": left, "ALAD": left, "RAD": right, "ARAD": right}


@pytest.mark.data
def test_rows_agree_with_the_published_table(data_dir: Path) -> None:
    published = list(csv.DictReader((data_dir / "diagnosis_evidence.csv").open()))
    assert len(published) == 27
    for line in published:
        row = d.find_diagnosis(line["snomed"])
        assert row is not None
        term = d.term_of(line["snomed"])
        assert term.name.lower().replace("q wave", "qwave") == line["name"]
        assert term.abbreviations[0] == line["abbreviation"]
        if row.code == line["snomed"]:
            assert row.strict_leads == tuple(line["strict_leads"].split())
            assert row.lenient_leads == tuple(line["lenient_leads"].split())
            assert row.windows == tuple(line["windows"].split())


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("schema = 1", "schema = 2", "schema"),
        ("schema = 1", "", "schema"),
        ("schema = 1", "schema = 1\nextra = 1", "extra"),
        ('strict_leads = ["II", "V1"]', 'strict_leads = ["II", "V9"]', "V9"),
        ('strict_leads = ["II", "V1"]', 'strict_leads = ["II", "II"]', "distinct"),
        ('strict_leads = ["II", "V1"]', 'strict_leads = "II"', "valid tuple"),
        ('strict_leads = ["II", "V1"]', "", "leads and windows"),
        ('windows = ["pre"]', 'windows = ["preq"]', "preq"),
        ("segment_sec = 0.25", "segment_sec = 0.0", "greater than 0"),
        ("segment_sec = 0.25", 'segment_sec = "0.25"', "valid number"),
        ("segment_sec = 0.25", "segment_sec = nan", "finite"),
        ("segment_sec = 0.25", "segment_secs = 0.25", "segment_sec"),
        ("segment_sec = 0.25", "segment_sec = true", "valid number"),
        ("lime = 0.7", "lime = -0.7", "greater than 0"),
        ('code = "164889003"', 'code = "426783006"', "twice"),
        ('"AFIB"]', '"NSR"]', "twice"),
        ('ptbxl = ["AFLT"]', 'ptbxl = ["AFIB"]', "twice"),
        ('code = "164889003"', 'code = "../x"', "code: String should match pattern"),
        ('citations = ["hindricks2021", "goldberger2018"]', "", "citations"),
        ('["hindricks2021",', '["nobody1900",', "nobody1900"),
        ("stop = -0.05", "stop = -0.5", "before"),
        ("wide_stop = 0.20", "wide_stop = 0.0", "before"),
        ("schema = 1", "schema = = 1", "cannot be read"),
        (NAMED, '164889003 = "fibrillation"', "has a row"),
        (NAMED, f'{CODE} = ""', "at least 1 character"),
        (NAMED, 'small-letters = "x"', "small-letters"),
    ],
)  # fmt: skip
def test_invalid_tables_are_refused(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert TABLE.count(old) >= 1
    path = tmp_path / "table.toml"
    path.write_text(TABLE.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(DiagnosisError, match=r"table\.toml") as caught:
        d.load_table(path)
    assert says in str(caught.value)


def test_a_missing_table_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DiagnosisError, match="cannot be read"):
        d.load_table(tmp_path / "none.toml")


def test_evidence_leads_are_standard_leads() -> None:
    for row in d.diagnoses():
        for leads in (row.strict_leads, row.lenient_leads, row.prior_leads):
            assert set(leads) <= set(STANDARD_LEADS)


def test_ptbxl_labels_are_mapped_as_in_the_table() -> None:
    labels = pytest.importorskip("ecgxai_core.records.catalogues.ptbxl")
    codes = {s: term.code for term in d.terms() for s in term.ptbxl}
    axis = {s: term.code for term in d.terms() for s in term.ptbxl_axis}
    assert labels.snomed_labels(codes) == tuple(sorted(set(codes.values())))
    for statement, code in codes.items():
        assert labels.snomed_labels([statement]) == (code,)
    for value, code in axis.items():
        assert labels.snomed_labels([], value) == (code,)
