"""Comment lines of the Challenges, LUDB and PTB-XL."""

from __future__ import annotations

import pytest

from ecgxai_core.diagnoses import known_codes
from ecgxai_core.records.metadata import Metadata, parse_comments


@pytest.mark.parametrize(
    ("comments", "labels"),
    [
        ([], None),
        (["Dx: Unknown"], None),
        (["Dx:"], ()),
        (["Dx: 164889003"], ("164889003",)),
        (["dx : 164889003, 426783006;164889003"], ("164889003", "426783006")),
        (["Dx: NORM,164889003,Unknown"], ("NORM", "164889003")),
        (["Dx: 1", "Dx: 2,1"], ("1", "2")),
        (["Hx: Dx of 1999"], None),
        (["Dx: AF, sinus  Rhythm,164889003"], ("164889003", "426783006")),
        (["Dx: norm"], ("NORM",)),
        (["Dx: own_class, AF"], ("own_class", "164889003")),
        (["Dx: 426783006, some thing"], None),
        (["Dx: 426783006", "Dx: some thing"], None),
        (["Dx: " + ",".join(map(str, range(201)))], None),
    ],
)
def test_labels(comments: list[str], labels: tuple[str, ...] | None) -> None:
    assert parse_comments(comments).labels == labels


def test_a_label_that_cannot_be_read_is_said() -> None:
    (warning,) = parse_comments(["Dx: AF,some thing,<b>"]).warnings
    assert warning.code == "unreadable_dx"
    assert warning.message.startswith("2 entries of #Dx are neither codes nor names")


@pytest.mark.parametrize(
    ("text", "age", "odd"),
    [("81", 81.0, False), ("0", 0.0, False), ("0.5", 0.5, False),
     ("0.5833333333333334", 7 / 12, False), ("NaN", None, False),
     ("Unknown", None, False), ("", None, False), ("300", None, True), ("-1", None, True),
     ("1e2", None, True), ("٣", None, True)],
)  # fmt: skip
def test_age(text: str, age: float | None, odd: bool) -> None:
    found = parse_comments([f"Age: {text}"])
    assert found.age == age
    assert [w.code for w in found.warnings] == (["odd_age"] if odd else [])


@pytest.mark.parametrize(
    ("text", "sex"), [("F", "female"), ("Male", "male"), ("MALE", "male"), ("X", None), ("", None)]
)
def test_sex(text: str, sex: str | None) -> None:
    assert parse_comments([f"<sex>: {text}"]).sex == sex


@pytest.mark.parametrize(
    ("text", "synthetic"), [("true", True), ("Yes", True), ("maybe", True), ("false", False)]
)
def test_doubt_counts_as_synthetic(text: str, synthetic: bool) -> None:
    assert parse_comments([f"Synthetic: {text}"]) == Metadata(synthetic=synthetic)


def test_code_list() -> None:
    snomed = [code for code in known_codes() if code.isdigit()]
    assert len(snomed) == 133, "30 that the Challenge of 2021 scores, 103 that it does not"
    assert all(6 <= len(code) <= 18 for code in snomed)
    assert {"426783006", "59118001", "164931005", "NORM"} <= known_codes()


def test_fields_in_one_line_as_incart_writes_them() -> None:
    found = parse_comments(["<age>: 65 <sex>: F <diagnoses> Coronary artery disease"])
    assert (found.age, found.sex, found.labels, found.warnings) == (65.0, "female", None, ())
