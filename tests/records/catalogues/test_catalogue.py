"""Catalogues of official layouts, and splits by patient."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgxai_core.errors import ParameterError, RecordError
from ecgxai_core.records.catalogues.catalogue import (
    ludb_labels,
    mit_bih_labels,
    open_catalogue,
    ptbxl_number,
    read_challenge,
    read_cinc2017,
    read_entry,
    read_mit_bih,
)
from ecgxai_core.records.catalogues.entry import Catalogue, Entry, with_folds
from ecgxai_core.records.catalogues.ptbxl import read_ptbxl, read_tasks
from ecgxai_core.records.write import write_record
from ecgxai_core.types import STANDARD_LEADS
from tests.small import beats

DATABASE = (
    "ecg_id,patient_id,age,sex,scp_codes,heart_axis,baseline_drift,strat_fold,filename_lr,"
    "filename_hr\n"
    "1,11.0,56.0,1,\"{'NORM': 100.0, 'SR': 0.0}\",MID,,3,records100/00000/00001_lr,x/00001_hr\n"
    "2,11.0,300,0,\"{'AFIB': 0.0, 'IMI': 50.0}\",ALAD,\"I,V1\",3,records100/00000/00002_lr,x/2_hr\n"
    "3,12.0,,0,\"{'AFLT': 0.0}\",,,9,records100/00000/00003_lr,x/00003_hr\n"
)


def ptbxl_folder(folder: Path, database: str = DATABASE) -> Path:
    (folder / "ptbxl_database.csv").write_text(database)
    table = ",description,diagnostic_class\nNORM,normal,NORM\nIMI,infarct,MI\nSR,sinus,\n"
    (folder / "scp_statements.csv").write_text(table)
    place = folder / "records100" / "00000"
    place.mkdir(parents=True)
    for number in (1, 2):
        name = f"{number:05d}_lr"
        write_record(place, name, beats(60, number)[:, :600], 100.0, STANDARD_LEADS)
    return folder


def test_the_layout_of_ptbxl(tmp_path: Path) -> None:
    catalogue = open_catalogue(ptbxl_folder(tmp_path))
    assert (catalogue.name, catalogue.fs, catalogue.patients_known) == ("PTB-XL", 100.0, True)
    assert catalogue.skipped == ("00003_lr",), "its files are missing"
    assert catalogue.unreadable == (), "downloaded in part"
    first, second = catalogue
    assert (first.name, first.patient, first.fold, first.sex) == ("00001_lr", "11", 3, "female")
    assert first.labels == ("426783006", "NORM")
    assert second.labels == ("164889003", "39732003", "MI")
    assert (second.age, second.sex, second.quality) == (None, "male", ("baseline_drift",))
    assert read_entry(first).fs == 100.0
    assert len(read_ptbxl(tmp_path, check_files=False)) == 3


@pytest.mark.parametrize(
    ("old", "new"),
    [("records100/00000/00001_lr", "../../etc/passwd"), ("strat_fold", "f"), (",3,", ",x,")],
)
def test_invalid_tables_of_ptbxl_are_refused(tmp_path: Path, old: str, new: str) -> None:
    folder = ptbxl_folder(tmp_path, DATABASE.replace(old, new))
    with pytest.raises(RecordError, match="ptbxl_database"):
        read_ptbxl(folder)


def test_challenge_folders_with_groups(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    ptbxl = read_ptbxl(ptbxl_folder(tmp_path / "p"))
    place = tmp_path / "c" / "training" / "ptb-xl" / "g1"
    place.mkdir(parents=True)
    signal = beats(60, 1)[:, :600]
    for name in ("HR00002", "A0001"):
        write_record(place, name, signal, 100.0, STANDARD_LEADS, labels=["164889003"], age=50)
    (place / "bad.hea").write_text("nonsense\n")
    (place / "other.dcm").write_bytes(b"has no labels")
    catalogue = read_challenge(tmp_path / "c", ptbxl)
    found = {entry.name: entry for entry in catalogue}
    assert set(found) == {"HR00002", "A0001"}
    assert catalogue.skipped == ("bad.hea", "other.dcm")
    assert catalogue.unreadable == (place / "bad.hea",)
    assert found["A0001"].labels == ("164889003",)
    assert found["A0001"].age == 50
    assert (found["A0001"].fold, found["HR00002"].fold) == (None, 3)
    assert found["HR00002"].patient == "ptb-xl 11"
    assert [ptbxl_number(name) for name in ("HR00169", "A0001")] == [169, None]


def test_the_layout_of_cinc2017(tmp_path: Path) -> None:
    (tmp_path / "REFERENCE.csv").write_text("A00001,N\nA00002,~\nA00003,A\nA00004,O\n")
    for name in ("A00001", "A00002", "A00004"):
        (tmp_path / f"{name}.hea").write_text(f"{name} 1 300 9000\n")
    catalogue = open_catalogue(tmp_path)
    assert [entry.labels for entry in catalogue] == [("426783006",), (), ()]
    assert catalogue[1].quality == ("too_noisy",)
    assert catalogue.skipped == ("A00003",)
    assert not catalogue[0].standard_leads
    (tmp_path / "REFERENCE.csv").write_text("A00001,X\n")
    with pytest.raises(RecordError, match="no known label"):
        read_cinc2017(tmp_path)


def test_the_layout_of_mit_bih(tmp_path: Path) -> None:
    import wfdb

    signal = np.random.default_rng(1).normal(0, 0.5, (720, 2))
    for name in ("201", "202"):
        wfdb.wrsamp(
            name, 360, ["mV", "mV"], ["MLII", "V1"], signal, fmt=["16", "16"], write_dir=tmp_path
        )
    wfdb.wrann(
        "201", "atr", np.array([10, 100, 300]), ["+", "N", "V"],
        aux_note=["(AFIB", "", ""], write_dir=str(tmp_path),
    )  # fmt: skip
    catalogue = read_mit_bih(tmp_path)
    assert [entry.patient for entry in catalogue] == ["201", "201"], "two records of one patient"
    assert catalogue[0].labels == ("164889003", "427172004")
    assert catalogue[1].labels is None
    record = read_entry(catalogue[0])
    assert (record.fs, record.leads, record.labels) == (360.0, ("MLII", "V1"), catalogue[0].labels)
    assert np.allclose(record.signal, signal.T, atol=1e-3)
    (tmp_path / "202.dat").unlink()
    with pytest.raises(RecordError, match="cannot be read"):
        read_entry(catalogue[1])


def _with_beats(folder: Path, name: str, **more: object) -> None:
    """An own record with an annotation file that says nothing of the rhythm."""
    import wfdb

    write_record(folder, name, beats(60, 1)[:, :600], 100.0, STANDARD_LEADS, **more)  # type: ignore[arg-type]
    wfdb.wrann(name, "atr", np.array([10, 100]), ["N", "N"], write_dir=str(folder))


def test_annotations_of_other_sets_are_no_labels(tmp_path: Path) -> None:
    _with_beats(tmp_path, "r", labels=["164889003"])
    _with_beats(tmp_path, "I01")
    catalogue = open_catalogue(tmp_path)
    assert {entry.name: entry.labels for entry in catalogue} == {"r": ("164889003",), "I01": None}
    assert not catalogue.patients_known
    assert not read_mit_bih(tmp_path).patients_known, "INCART has several records of a patient"


def test_annotations_never_replace_labels(tmp_path: Path) -> None:
    _with_beats(tmp_path, "100", labels=["164889003"])
    _with_beats(tmp_path, "101")
    _with_beats(tmp_path, "102", comments=["Dx: what nobody knows"])
    catalogue = open_catalogue(tmp_path)
    assert (catalogue.name, catalogue.patients_known) == ("MIT-BIH", True)
    assert [entry.labels for entry in catalogue] == [("164889003",), (), None]


def test_beats_and_rhythms_are_mapped_to_codes() -> None:
    assert mit_bih_labels(["N", "/", "A"], ["(N\x00", "(XYZ"]) == (
        "10370003", "284470004", "426783006",
    )  # fmt: skip


def test_ludb_lines_are_mapped_to_codes() -> None:
    lines = [
        "Rhythm: Sinus bradycardia.",
        "Electric axis of the heart: left axis deviation. ",
        "Ventricular extrasystole, type: single PVC.",
        "Left atrial hypertrophy.",
    ]
    assert ludb_labels(lines) == ("39732003", "426177001", "427172004")
    assert ludb_labels(["Rhythm: Sinus bradycardia with pauses."]) == ()


@pytest.mark.data
def test_ludb_on_the_real_records(data_dir: Path) -> None:
    catalogue = open_catalogue(data_dir / "ludb")
    assert (len(catalogue), catalogue.skipped) == (100, ())
    assert catalogue[0].name == "1"
    assert catalogue[0].labels == ("39732003", "426177001")
    assert (catalogue[0].age, catalogue[0].sex) == (51, "female")
    assert catalogue.label_counts()["164889003"] == 8
    assert catalogue.label_counts()["426783006"] == 73


@pytest.mark.data
def test_challenge_sample_on_the_real_records(data_dir: Path) -> None:
    catalogue = open_catalogue(data_dir / "cinc2020_sample")
    assert (len(catalogue), catalogue.skipped) == (50, ())
    counts = catalogue.label_counts()
    assert counts["164889003"] >= 25
    assert counts["426783006"] >= 25


def test_unknown_layouts_and_empty_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="use one of"):
        open_catalogue(tmp_path, "mimic")
    for layout in ("ptb-xl", "ludb", "mit-bih", "cinc2017", "cinc"):
        with pytest.raises(RecordError):
            open_catalogue(tmp_path, layout)


def invented(n: int, seed: int) -> Catalogue:
    rng = np.random.default_rng(seed)
    labels, shares = ("a", "b", "c"), (0.6, 0.3, 0.1)
    entries = tuple(
        Entry(
            name=f"r{i}",
            path=Path(f"r{i}.hea"),
            patient=f"p{rng.integers(n // 2)}",
            labels=tuple(
                x for x, share in zip(labels, shares, strict=True) if rng.random() < share
            ),
        )
        for i in range(n)
    )
    return Catalogue("invented", entries)


@given(st.integers(20, 120), st.integers(0, 99), st.integers(2, 6))
@settings(max_examples=25, deadline=None)
def test_no_patient_is_in_two_folds(n: int, seed: int, folds: int) -> None:
    catalogue = invented(n, seed)
    folded = with_folds(catalogue, folds, seed)
    of_patient: dict[str, set[int | None]] = {}
    for entry in folded:
        of_patient.setdefault(entry.patient, set()).add(entry.fold)
    assert all(len(found) == 1 for found in of_patient.values())
    assert {entry.fold for entry in folded} <= set(range(1, folds + 1))
    bare = tuple(dataclasses.replace(entry, fold=None) for entry in folded)
    assert bare == catalogue.entries, "only the fold has changed, and not the order"


def test_parts_are_stratified_by_label() -> None:
    catalogue = invented(2000, 4)
    folded = with_folds(catalogue, (0.7, 0.15, 0.15), seed=1)
    total = catalogue.label_counts()
    for name, share in enumerate((0.7, 0.15, 0.15), start=1):
        rows = [i for i, entry in enumerate(folded) if entry.fold == name]
        assert len(rows) / 2000 == pytest.approx(share, abs=0.03)
        for label, n in total.items():
            found = sum(label in (catalogue[i].labels or ()) for i in rows)
            assert found / n == pytest.approx(share, abs=0.04), (name, label)


def test_splits_depend_on_the_seed_but_not_on_the_order() -> None:
    catalogue = invented(200, 2)
    first = {e.patient: e.fold for e in with_folds(catalogue, 4, 7)}
    turned = dataclasses.replace(catalogue, entries=tuple(reversed(catalogue.entries)))
    assert {e.patient: e.fold for e in with_folds(turned, 4, 7)} == first
    assert {e.patient: e.fold for e in with_folds(catalogue, 4, 8)} != first


def test_impossible_splits_are_refused() -> None:
    with pytest.raises(ParameterError):
        with_folds(invented(20, 1), 50)
    with pytest.raises(ParameterError, match="positive"):
        with_folds(invented(20, 1), (1.0, 0.0))


def test_statements_are_kept_beside_the_labels(tmp_path: Path) -> None:
    first, second = open_catalogue(ptbxl_folder(tmp_path))
    assert first.statements == ("scp:NORM", "scp:SR")
    assert second.statements == ("scp:AFIB", "scp:IMI")
    assert second.all_labels == (*(second.labels or ()), "scp:AFIB", "scp:IMI")
    assert not any(name.startswith("scp:") for entry in (first, second) for name in entry.labels)


def test_the_published_tasks_follow_the_table_of_statements(tmp_path: Path) -> None:
    (tmp_path / "scp_statements.csv").write_text(
        ",description,diagnostic,form,rhythm,diagnostic_class,diagnostic_subclass\n"
        "NDT,t,1.0,1.0,,STTC,STTC\nIMI,infarct,1.0,,,MI,IMI\nILMI,infarct,1.0,,,MI,IMI\n"
        "PVC,beat,,1.0,,,\nSR,sinus,,,1.0,,\n"
    )
    tasks = read_tasks(tmp_path / "scp_statements.csv")
    assert set(tasks["all"]) == {"scp:NDT", "scp:IMI", "scp:ILMI", "scp:PVC", "scp:SR"}
    assert set(tasks["diagnostic"]) == {"scp:NDT", "scp:IMI", "scp:ILMI"}
    assert set(tasks["form"]) == {"scp:NDT", "scp:PVC"}
    assert set(tasks["rhythm"]) == {"scp:SR"}
    assert tasks["superdiagnostic"] == {"STTC": ("scp:NDT",), "MI": ("scp:IMI", "scp:ILMI")}
    assert tasks["subdiagnostic"]["sub:IMI"] == ("scp:IMI", "scp:ILMI")


@pytest.mark.data
def test_the_tasks_of_ptbxl_have_the_published_numbers_of_classes(data_dir: Path) -> None:
    tasks = read_tasks(data_dir / "ptbxl100" / "scp_statements.csv")
    assert {task: len(classes) for task, classes in tasks.items()} == {
        "all": 71, "diagnostic": 44, "subdiagnostic": 23, "superdiagnostic": 5, "form": 19,
        "rhythm": 12,
    }  # fmt: skip
