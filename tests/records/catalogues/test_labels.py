"""Labels of PTB-XL: the mapping, and counts on the real data."""

from __future__ import annotations

import csv
import io
import lzma
from collections import Counter
from pathlib import Path

import pytest

from ecgxai_core.errors import RecordError
from ecgxai_core.records.catalogues.ptbxl import (
    SUPERCLASSES,
    frequent_classes,
    parse_scp_codes,
    read_superclass_table,
    scp_snomed,
    snomed_labels,
    superclass_labels,
)

# Records with each label in all ten folds (published table) and in folds 1-9.
TEN_FOLDS = {
    "426783006": 18092, "164889003": 1514, "164890007": 73, "426177001": 637, "427084000": 826,
    "427393009": 772, "713427006": 542, "713426002": 1118, "164909002": 536, "445118002": 1626,
    "698252002": 789, "270492004": 797, "164947007": 340, "111975006": 118, "284470004": 398,
    "63593006": 157, "427172004": 1146, "10370003": 296, "164917005": 548, "59931005": 294,
    "164934002": 2345, "251146004": 182, "39732003": 5146, "47665007": 343,
    "NORM": 9528, "MI": 5486, "STTC": 5250, "CD": 4907, "HYP": 2655,
}  # fmt: skip
NINE_FOLDS = {
    "426783006": 16266, "164889003": 1362, "164890007": 66, "426177001": 573, "427084000": 744,
    "427393009": 695, "713427006": 488, "713426002": 1006, "164909002": 482, "445118002": 1463,
    "698252002": 710, "270492004": 717, "164947007": 306, "111975006": 107, "284470004": 358,
    "63593006": 143, "427172004": 1031, "10370003": 267, "164917005": 493, "59931005": 265,
    "164934002": 2113, "251146004": 164, "39732003": 4618, "47665007": 317,
    "NORM": 8564, "MI": 4933, "STTC": 4727, "CD": 4409, "HYP": 2392,
}  # fmt: skip


@pytest.fixture(scope="module")
def real(data_dir: Path) -> list[tuple[int, tuple[str, ...]]]:
    """``(ecg_id, labels)`` of folds 1-9."""
    table = read_superclass_table(data_dir / "ptbxl100" / "scp_statements.csv")
    packed = (data_dir / "ptbxl100" / "ptbxl_database.csv.xz").read_bytes()
    rows = csv.DictReader(io.StringIO(lzma.decompress(packed).decode("utf-8")))
    found = []
    for row in rows:
        codes = parse_scp_codes(row["scp_codes"])
        labels = (*snomed_labels(codes, row["heart_axis"]), *superclass_labels(codes, table))
        found.append((int(row["ecg_id"]), labels))
    return found


@pytest.mark.data
def test_counts_over_the_folds_present(real: list[tuple[int, tuple[str, ...]]]) -> None:
    counts = Counter(label for _, labels in real for label in labels)
    assert {label: counts[label] for label in NINE_FOLDS} == NINE_FOLDS
    for label, n in TEN_FOLDS.items():
        assert 0.03 * n <= n - counts[label] <= 0.2 * n, f"{label}: a tenth is in fold 10"


@pytest.mark.data
def test_labels_agree_with_those_of_the_challenge(
    real: list[tuple[int, tuple[str, ...]]], data_dir: Path
) -> None:
    """The PTB-XL records in the CinC sample have SNOMED-CT codes of their own."""
    ours = dict(real)
    known = set(scp_snomed().values()) | {"39732003", "47665007"}
    compared = 0
    for header in sorted((data_dir / "cinc2020_sample").glob("HR*.hea")):
        number = int(header.stem[2:])
        if number not in ours:
            continue
        line = next(x for x in header.read_text().splitlines() if x.startswith("#Dx"))
        theirs = set(line.split(":")[1].strip().split(",")) & known
        assert theirs == set(ours[number]) & known, header.stem
        compared += 1
    assert compared == 22


@pytest.mark.data
def test_outputs_are_the_classes_with_a_hundred_records(
    real: list[tuple[int, tuple[str, ...]]],
) -> None:
    outputs = frequent_classes([labels for _, labels in real])
    assert {label for label, n in NINE_FOLDS.items() if n >= 100} <= set(outputs)
    assert outputs[-5:] == SUPERCLASSES
    assert "164890007" not in outputs, "atrial flutter has 66 records"
    codes = outputs[:-5]
    assert list(codes) == sorted(codes, key=lambda code: (len(code), code))


def test_each_statement_and_axis_counts_once() -> None:
    assert snomed_labels(["SR", "NORM"]) == ("426783006",)
    assert snomed_labels(["NDT", "LOWT"], "ALAD") == ("164934002", "39732003")
    assert snomed_labels(["XYZ"], "MID") == ()


def test_superclasses_are_in_a_fixed_order() -> None:
    table = {"IMI": "MI", "LVH": "HYP", "NORM": "NORM"}
    assert superclass_labels(["LVH", "IMI", "SR"], table) == ("MI", "HYP")


@pytest.mark.parametrize("text", ["", "{", "[1]", "{'A': 'x'}", "__import__('os')", "{'A': f()}"])
def test_invalid_statements_are_refused(text: str) -> None:
    with pytest.raises(RecordError, match="scp_codes"):
        parse_scp_codes(text)


def test_a_table_without_its_column_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scp_statements.csv"
    path.write_text(",description\nNORM,normal\n")
    with pytest.raises(RecordError, match="diagnostic_class"):
        read_superclass_table(path)
    with pytest.raises(RecordError, match="does not exist"):
        read_superclass_table(tmp_path / "none.csv")
